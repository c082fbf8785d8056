import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EXIT } from "../../../commands/shared/exit";
import { STREAM } from "../../../contract/facts";
import { projectRoot } from "../../../contract/project";
import { ensureTools } from "../../../embedded/toolchain";
import { certificate } from "../../support/certificates";
import { closedPort, JETSTREAM, startNatsServer, startNoetl, type NatsServer } from "../../support/nats";

// The compiled program with a stack of its own: an engine that answers from a file, and a server that a stack knows the address of. The
// way through a cluster is gone in test/commands/doctor/live/remedies.ts.

const PASSWORD = "canary-Horse.42";
const authority = certificate("authority");

let home: string;
let bin: string;
let server: NatsServer;
beforeAll(async () => {
  home = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-command-"));
  bin = path.join(home, "bin");
  fs.mkdirSync(bin);
  const { nats } = await ensureTools(["nats"]);
  fs.symlinkSync(nats, path.join(bin, "nats"));
  const engine = `#!${process.execPath}
    const stack = JSON.parse(require("node:fs").readFileSync(${JSON.stringify(path.join(home, "stack.json"))}, "utf8"));
    const config = Object.entries(stack.config).map(([key, value]) => ["noetl-nats:" + key, { value }]);
    console.log(JSON.stringify(process.argv.includes("config") ? Object.fromEntries(config) : stack.outputs));`;
  fs.writeFileSync(path.join(bin, "pulumi"), engine, { mode: 0o755 });
  const { cert, key } = certificate("server", { issuer: authority, names: ["127.0.0.1", "localhost"] });
  for (const [name, text] of Object.entries({ cert, key, ca: authority.cert })) fs.writeFileSync(at(name), text);
  server = await startNatsServer({
    config: `${JETSTREAM}
      authorization {users: [{user: noetl, password: "${PASSWORD}"}]}
      tls {cert_file: "${at("cert")}", key_file: "${at("key")}"}`,
  });
  await startNoetl(server, {}, { user: "noetl", pass: PASSWORD, tls: { ca: authority.cert } });
});
afterAll(async () => {
  await server?.stop();
  fs.rmSync(home, { recursive: true, force: true });
});
const at = (name: string): string => path.join(home, name);

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command as npm does, with settings of the stack beside those that lead to the server. */
async function run(words: readonly string[], config: Record<string, string> = {}, PATH = bin): Promise<Ended> {
  const own = {
    deployNats: "false",
    natsHost: "127.0.0.1",
    natsPort: String(server.port),
    natsPassword: PASSWORD,
    natsTls: "provided",
    natsTlsCa: at("ca"),
    ...config,
  };
  fs.writeFileSync(at("stack.json"), JSON.stringify({ config: own, outputs: {} }));
  // What the caller has of its own must not be used.
  const env = { PATH, HOME: home, NATS_URL: "nats://127.0.0.1:1", NATS_CREDS: "/none", NATS_CONTEXT: "other" };
  const program = path.join(projectRoot(), "dist", "commands", "nats", "main.js");
  return promisify(execFile)(process.execPath, [program, ...words], { env, timeout: 60_000 }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: Ended) => error,
  );
}

describe("npm run nats", () => {
  it("runs nats at the stack's server, logged in, with its authorities, and leaves nothing behind", async () => {
    const before = fs.readdirSync(os.tmpdir()).filter((name) => name.startsWith("noetl-nats-cli-"));
    const { code, stdout, stderr } = await run(["--stack", "dev", "stream", "ls", "--names"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain(STREAM.name);
    const after = fs.readdirSync(os.tmpdir()).filter((name) => name.startsWith("noetl-nats-cli-"));
    expect(after.filter((name) => !before.includes(name))).toEqual([]);
  });

  it("hands over the login in the environment alone", async () => {
    const shown = path.join(home, "shown");
    fs.mkdirSync(shown);
    const script = `#!${process.execPath}
      const { env, argv } = process;
      const files = require("node:fs").readdirSync(env.XDG_CONFIG_HOME);
      console.log(JSON.stringify({ args: argv.slice(2), files, user: env.NATS_USER, password: env.NATS_PASSWORD, creds: env.NATS_CREDS }));`;
    fs.writeFileSync(path.join(shown, "nats"), script, { mode: 0o755 });
    const { stdout } = await run(["--stack", "dev", "pub", "a b", "{}"], {}, `${shown}:${bin}`);
    const files = ["ca.crt"];
    expect(JSON.parse(stdout)).toEqual({ args: ["pub", "a b", "{}"], files, user: "noetl", password: PASSWORD });
  });

  it("ends as nats does", async () => {
    const missing = await run(["--stack", "dev", "stream", "info", "NONE"]);
    expect(missing.code).toBe(1);
    expect(missing.stdout + missing.stderr).toMatch(/could not pick a Stream|not found/);
    const wrong = await run(["--stack", "dev", "stream", "ls"], { natsPassword: "another-Horse.43" });
    expect(wrong.code).toBe(1);
    expect(wrong.stdout + wrong.stderr).toMatch(/authorization violation/i);
    expect(wrong.stdout + wrong.stderr).not.toContain("another-Horse.43");
  });

  it("says what keeps it from running nats, by the meaning of its exit code", async () => {
    const usage = EXIT.usage.code;
    for (const words of [[], ["stream", "ls"], ["--stack", "dev"], ["--stack", "a;b", "stream", "ls"]]) {
      expect(await run(words)).toMatchObject({ code: usage, stderr: expect.stringContaining("usage: ") as string });
    }
    const bare = path.join(home, "bare");
    fs.mkdirSync(bare);
    fs.symlinkSync(path.join(bin, "pulumi"), path.join(bare, "pulumi"));
    const without = await run(["--stack", "dev", "stream", "ls"], {}, bare);
    expect(without).toMatchObject({ code: usage, stderr: expect.stringContaining("nats is not on PATH") as string });
    // Through a cluster whose API is away.
    const kubeconfig = at("kubeconfig");
    const away = { server: `http://127.0.0.1:${await closedPort()}` };
    const context = { name: "c", context: { cluster: "c", user: "u" } };
    const clusters = [{ name: "c", cluster: away }];
    const file = { clusters, contexts: [context], users: [{ name: "u", user: {} }], "current-context": "c" };
    fs.writeFileSync(kubeconfig, JSON.stringify(file));
    const cluster = { deployNats: "true", natsTls: "off", natsTlsCa: "", natsHost: "", natsPort: "4222", kubeconfig };
    const unreachable = await run(["--stack", "dev", "stream", "ls"], cluster);
    expect(unreachable).toMatchObject({ code: EXIT.unknown.code, stdout: "" });
    expect(unreachable.stderr).not.toContain(PASSWORD);
    expect(unreachable.stderr).toMatch(/Kubernetes API/);
  });
});
