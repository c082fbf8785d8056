import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as https from "node:https";
import type { AddressInfo } from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { ConnectError } from "../../../contract";
import { apiAnswer, clusterAccess, libraryAccess } from "../../../contract/kubernetes/api";
import {
  accessTo,
  chooseContext,
  exportKubeconfig,
  needsLibrary,
  readKubeconfig,
} from "../../../contract/kubernetes/kubeconfig";
import type { ClusterConnection } from "../../../contract/inputs";
import { certificate } from "../../support/certificates";
import { rejection } from "../../support/nats";

const TOKEN = "Right-Token.7";
let dir: string;
const before = { ...process.env };

beforeAll(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "kubeconfig-"));
});
afterEach(() => {
  process.env = { ...before };
});
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

/** A kubeconfig with one cluster, one user and one context of the same name. */
const config = (name: string, user: object = { token: TOKEN }, extra: object = {}): object => ({
  clusters: [{ name, cluster: { server: `https://${name}.example:6443` } }],
  users: [{ name, user }],
  contexts: [{ name, context: { cluster: name, user: name } }],
  ...extra,
});

function written(name: string, content: unknown): string {
  const file = path.join(dir, name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
  return file;
}

/** A login command that runs the words of a shell script. */
function command(name: string, script: string): string {
  const file = written(name, `#!/bin/sh\n${script}\n`);
  fs.chmodSync(file, 0o755);
  return file;
}

const optionsOf = async (kubeconfig: object): Promise<Record<string, unknown>> => {
  const options = {};
  await accessTo(
    chooseContext(readKubeconfig({ kubeconfig: JSON.stringify(kubeconfig) }), undefined),
  ).applyToHTTPSOptions(options);
  return options;
};

const current = (name: string) => ({ "current-context": name });

describe("the ambient kubeconfig", () => {
  it("is all files of $KUBECONFIG that are there: the first entry of a name counts, and the first current context", () => {
    const one = written("one", config("a"));
    const two = written("two", { ...config("b"), ...current("b"), users: [{ name: "a", user: { token: "other" } }] });
    const three = written("three", { ...config("c"), ...current("c") });
    process.env.KUBECONFIG = [one, path.join(dir, "missing"), two, three].join(path.delimiter);
    const kubeconfig = readKubeconfig({});
    expect(kubeconfig.contexts.map(({ name }) => name)).toEqual(["a", "b", "c"]);
    expect(kubeconfig.currentContext).toBe("b");
    expect(kubeconfig.users.find(({ name }) => name === "a")?.fields).toEqual({ token: TOKEN });
    expect(chooseContext(kubeconfig, "c").cluster.fields.server).toBe("https://c.example:6443");
  });

  it("is not there: says where it was looked for", () => {
    process.env.KUBECONFIG = [path.join(dir, "none"), path.join(dir, "either")].join(path.delimiter);
    expect(() => readKubeconfig({})).toThrow(
      `there is no kubeconfig (looked for ${dir}/none, ${dir}/either): set connection.kubeconfig (of a stack: kubeconfig) or KUBECONFIG`,
    );
  });

  it("counts paths from the file that they stand in", () => {
    const file = written("sub/config", {
      ...config("a", { "client-certificate": "a.crt", exec: { command: "./login", args: [] } }),
      clusters: [{ name: "a", cluster: { server: "https://a", "certificate-authority": "../ca.crt" } }],
      ...current("a"),
    });
    const { cluster, user } = chooseContext(readKubeconfig({ kubeconfig: file }), undefined);
    expect(cluster.fields["certificate-authority"]).toBe(path.join(dir, "ca.crt"));
    expect(user?.fields).toMatchObject({
      "client-certificate": path.join(dir, "sub/a.crt"),
      exec: { command: path.join(dir, "sub/login") },
    });
  });
});

describe("a login", () => {
  it("with a token, a token's file, a password or a certificate", async () => {
    const file = written("token", `${TOKEN}\n`);
    const bearer = { headers: { Authorization: `Bearer ${TOKEN}` } };
    expect(await optionsOf(config("a", { token: TOKEN }, current("a")))).toMatchObject(bearer);
    expect(await optionsOf(config("a", { tokenFile: file }, current("a")))).toMatchObject(bearer);
    expect(await optionsOf(config("a", { username: "u", password: "p" }, current("a")))).toMatchObject({ auth: "u:p" });
    const behalf = { token: TOKEN, as: "jane", "as-groups": ["one", "two"] };
    expect(await optionsOf(config("a", behalf, current("a")))).toMatchObject({
      headers: { "Impersonate-User": "jane", "Impersonate-Group": ["one", "two"] },
    });
    const { cert, key } = certificate("jane");
    const login = {
      "client-certificate-data": Buffer.from(cert).toString("base64"),
      "client-key": written("a.key", key),
    };
    expect(await optionsOf(config("a", login, current("a")))).toMatchObject({
      cert: Buffer.from(cert),
      key: Buffer.from(key),
    });
  });

  it("with what is no certificate: says so, and nothing of it", async () => {
    const login = { "client-certificate-data": Buffer.from(TOKEN).toString("base64") };
    const { message } = await rejection(optionsOf(config("a", login, current("a"))));
    expect(message).toMatch(/^its certificate-authority, client-certificate or client-key cannot be used \(error:/);
    expect(message).not.toContain(TOKEN);
  });

  it("is one connection's for all requests, until the certificates change", async () => {
    const { cert, key } = certificate("localhost", { names: ["127.0.0.1"] });
    const server = https.createServer({ cert, key }, (_, response) => response.end("{}"));
    let connections = 0;
    server.on("secureConnection", () => connections++);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const cluster = {
      server: `https://127.0.0.1:${port}`,
      "certificate-authority-data": Buffer.from(cert).toString("base64"),
    };
    const kubeconfig = { ...config("a", {}, current("a")), clusters: [{ name: "a", cluster }] };
    const access = await clusterAccess({ ...PLACE, kubeconfig: JSON.stringify(kubeconfig) });
    const path = "/api/v1/namespaces/nats/pods";
    for (let i = 0; i < 3; i++) {
      const answer = await apiAnswer(access, { path, what: "", needs: "" }, new AbortController().signal);
      expect(answer?.body).toBe("{}");
    }
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    expect(connections).toBe(1);
  });

  it("by a command, which learns what for, and is asked once", async () => {
    const answer = `{"kind":"ExecCredential","status":{"token":"'"$(printf %s "$KUBERNETES_EXEC_INFO" | wc -c)-$TENANT-$1"'"}}`;
    const login = command("login", `echo run >> ${dir}/runs; printf %s '${answer}'`);
    const exec = {
      apiVersion: "client.authentication.k8s.io/v1",
      command: login,
      args: ["x"],
      env: [{ name: "TENANT", value: "t" }],
    };
    const access = accessTo(
      chooseContext(readKubeconfig({ kubeconfig: JSON.stringify(config("a", { exec }, current("a"))) }), undefined),
    );
    const ask = async (): Promise<string | undefined> => {
      const options: { headers?: { Authorization?: string } } = {};
      await access.applyToHTTPSOptions(options);
      return options.headers?.Authorization;
    };
    for (const given of [...(await Promise.all([ask(), ask(), ask()])), await ask()]) {
      expect(given).toMatch(/^Bearer [1-9]\d+-t-x$/);
    }
    expect(fs.readFileSync(path.join(dir, "runs"), "utf8")).toBe("run\n");
  });

  it.each<[string, (name: string) => object, string]>([
    [
      "is missing: names it with the file's hint",
      () => ({ command: "no-such-login-plugin", installHint: "Install it:\n  apt-get install it\n" }),
      "no-such-login-plugin, the login command that the kubeconfig names, is not installed, or not on PATH: Install it: apt-get install it",
    ],
    [
      "fails without a word",
      (name) => ({ command: command(name, "exit 3") }),
      "fails-silently ended with exit code 3 without a word",
    ],
    [
      "fails with words",
      (name) => ({ command: command(name, "echo >&2; echo 'log in first' >&2; echo more >&2; exit 1") }),
      "fails-loudly ended with exit code 1: log in first",
    ],
    [
      "fails in Python",
      (name) => ({
        command: command(
          name,
          "printf 'Traceback (most recent call last):\\n  File x\\nKeyError: token\\n' >&2; exit 1",
        ),
      }),
      "fails-in-python ended with exit code 1: KeyError: token",
    ],
    [
      "answers with something else",
      (name) => ({ command: command(name, `echo ${TOKEN}`) }),
      "answers-oddly answered with something that is not an ExecCredential",
    ],
  ])("by a command that %s", async (_name, execOf, words) => {
    const name = words.split(" ")[0] ?? "";
    const kubeconfig = JSON.stringify(config("a", { exec: execOf(name) }, current("a")));
    const accesses = await Promise.all([clusterAccess, libraryCluster].map((load) => load({ ...PLACE, kubeconfig })));
    for (const access of accesses) {
      const { message } = await rejection(Promise.resolve(access.applyToHTTPSOptions({})));
      expect(message).toContain(words);
      expect(message).not.toContain(TOKEN);
    }
  });

  it("by a command that waits for somebody is ended, with its words and what to do", async () => {
    const started = path.join(dir, "started");
    const exec = { command: command("waits", `echo 'open the page' >&2; echo > ${started}; exec sleep 60`) };
    const access = await clusterAccess({
      ...PLACE,
      kubeconfig: JSON.stringify(config("a", { exec }, current("a"))),
    });
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const refused = rejection(Promise.resolve(access.applyToHTTPSOptions({})));
      await vi.waitUntil(() => fs.existsSync(started), { timeout: 20_000 });
      // Its words are in the pipe: they are read while this process waits for another one.
      await promisify(execFile)("sleep", ["0.3"]);
      vi.advanceTimersByTime(30_000);
      expect((await refused).message).toMatch(/waits did not end within 30 s: open the page; .* log in by hand first/);
    } finally {
      vi.useRealTimers();
    }
  });

  it("that only the client library knows is left to it", () => {
    const provider = config("a", { "auth-provider": { name: "oidc" } }, current("a"));
    expect(needsLibrary(chooseContext(readKubeconfig({ kubeconfig: JSON.stringify(provider) }), undefined))).toBe(true);
    expect(needsLibrary(chooseContext(readKubeconfig({ kubeconfig: JSON.stringify(config("a")) }), "a"))).toBe(false);
  });
});

const PLACE = { namespace: "nats", service: "nats", port: 4222 };

/** The way of the client library, whether the kubeconfig needs it or not. */
async function libraryCluster(connection: ClusterConnection) {
  const kubeconfig = readKubeconfig(connection);
  return libraryAccess(kubeconfig, chooseContext(kubeconfig, connection.context));
}

describe("a kubeconfig that cannot work", () => {
  it.each<[string, unknown, string]>([
    ["a list", [1], "it cannot be read as a kubeconfig"],
    ["no names", { clusters: [{ cluster: {} }] }, "it cannot be read as a kubeconfig"],
    ["clusters that are text", { clusters: TOKEN }, "it cannot be read as a kubeconfig"],
    ["no current context", config("a"), "names no current cluster"],
    ["a context without its cluster", config("a", {}, { ...current("a"), clusters: [] }), "names no current cluster"],
    [
      "a cluster without a server",
      config("a", {}, { ...current("a"), clusters: [{ name: "a", cluster: {} }] }),
      "names no current cluster",
    ],
  ])("has %s", async (_name, content, words) => {
    const file = written("bad", content);
    for (const load of [clusterAccess, libraryCluster]) {
      const error = await rejection(load({ ...PLACE, kubeconfig: file }));
      expect(error).toBeInstanceOf(ConnectError);
      expect(error.message).toContain(words);
      expect(error.message).not.toContain(TOKEN);
    }
  });
});

it("is exported as one that the client library reads, with the context asked for", async () => {
  const file = written("exported", config("a"));
  const kubeconfig = exportKubeconfig(readKubeconfig({ kubeconfig: file }), { context: "a" });
  const library = await libraryCluster({ ...PLACE, kubeconfig });
  expect(library.getCurrentContext()).toBe("a");
  expect(library.getCurrentUser()).toMatchObject({ name: "a", token: TOKEN });
});
