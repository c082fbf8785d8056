/** What the gateway prints where the chart starts it, its environment full of credentials: charts/gateway/files/start.sh. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { certificate } from "../support/certificates";
import { chartFolder, podTemplate, refusal, render } from "./helm";

const SCRIPT = path.join(chartFolder("gateway"), "files", "start.sh");
const CREDENTIALS = {
  NATS_URL: "nats://noetl:canary-nats.1@nats:4222",
  NATS_PASSWORD: "canary-nats.1",
  LONGER_TOKEN: "canary-nats.1-and-more",
  SIGNING_KEY: "-----BEGIN PRIVATE KEY-----\ncanary/key+3==\n-----END PRIVATE KEY-----",
};
const PRINTS_ALL =
  'for (const n of process.argv.slice(1)) { console.log("  NATS: " + process.env[n]); console.error(process.env[n]); }';

let folder: string;
beforeEach(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-start-"))));
afterEach(() => fs.rmSync(folder, { recursive: true }));

const environment = (env: Record<string, string> = {}) => ({
  PATH: process.env.PATH,
  TMPDIR: folder,
  ...CREDENTIALS,
  ...env,
});

function started(program: readonly string[], env: Record<string, string> = {}) {
  const args = [SCRIPT, ...Object.keys(CREDENTIALS), "--", ...program];
  const ended = spawnSync("sh", args, { cwd: folder, env: environment(env), encoding: "utf8", timeout: 60_000 });
  return { code: ended.status, output: ended.stdout + ended.stderr };
}

const node = (source: string, ...args: string[]) => started([process.execPath, "-e", source, ...args]);

describe("authorities of NATS", () => {
  it("stand beside those that the gateway is given, in the one file that it reads, and no other variable changes", () => {
    const [own, nats] = ["own", "nats"].map((name) => path.join(folder, `${name}.crt`));
    if (own === undefined || nats === undefined) throw new Error("no files");
    fs.writeFileSync(own, "OWN\n");
    fs.writeFileSync(nats, "NATS\n");
    const prints =
      "console.log(require('fs').readFileSync(process.env.SSL_CERT_FILE, 'utf8').trim().replace(/\\n/g, '+'))";
    const program = [process.execPath, "-e", prints];
    expect(started(program, { SSL_CERT_FILE: own, NATS_CA_FILE: nats })).toEqual({ code: 0, output: "OWN+NATS\n" });
    expect(started(program, { SSL_CERT_FILE: own })).toEqual({ code: 0, output: "OWN\n" });
    const missing = started(program, { SSL_CERT_FILE: own, NATS_CA_FILE: path.join(folder, "none") });
    expect(missing.output).toContain("the authorities of NATS_CA_FILE are not trusted");
  });

  it("need the script: a chart without it refuses them", async () => {
    const { cert } = certificate("authority");
    const values = { image: { repository: "g" }, natsCa: cert };
    expect(await refusal("gateway", { ...values, maskLogs: { enabled: false } })).toContain(
      "natsCa needs maskLogs.enabled true",
    );
    const objects = await render("gateway", values);
    const [container] = podTemplate(objects, "gateway").spec.containers;
    expect(container?.env).toContainEqual({ name: "NATS_CA_FILE", value: "/opt/gateway-scripts/nats-ca.crt" });
    const scripts = objects.find(({ kind }) => kind === "ConfigMap");
    expect(scripts?.data?.["nats-ca.crt"]?.trim()).toBe(cert.trim());
  });
});

describe("no credential reaches the gateway's log", () => {
  it("by what the gateway says of itself, and whatever else it prints", () => {
    const { code, output } = node(PRINTS_ALL, ...Object.keys(CREDENTIALS));
    expect({ code, lines: output.split("\n").slice(0, 2) }).toEqual({
      code: 0,
      lines: [
        "  NATS: nats://noetl:***@nats:4222",
        expect.stringMatching(/^(nats:\/\/noetl:\*\*\*@nats:4222|.*\*\*\*)$/),
      ],
    });
    expect(output).not.toMatch(/canary|and-more/);
  });

  it("in a last line without its end, by a gateway that ends", () => {
    const { code, output } = node(
      "process.stdout.write('twice: ' + process.env.NATS_URL + process.env.NATS_URL); process.exitCode = 7",
    );
    expect({ code, output }).toEqual({
      code: 7,
      output: "twice: nats://noetl:***@nats:4222nats://noetl:***@nats:4222\n",
    });
  });

  it("where its password is a word of every line: in the URL", () => {
    const env = { NATS_URL: "nats://noetl:noetl@nats:4222", NATS_PASSWORD: "noetl" };
    const { output } = started([process.execPath, "-e", "console.log('noetl_gateway: ' + process.env.NATS_URL)"], env);
    expect(output).toBe("noetl_gateway: nats://noetl:***@nats:4222\n");
  });
});

describe("everything else stays as it is", () => {
  it("what is printed, line by line", () => {
    const text = "a\\tb  %s * $HOME `x` ä\n\n  indented\r\n\u001b[32m INFO\u001b[0m";
    expect(node(`console.log(${JSON.stringify(text)})`)).toEqual({ code: 0, output: `${text}\n` });
  });

  it("the program of the image, in its folder", () => {
    fs.writeFileSync(path.join(folder, "gateway"), "#!/bin/sh\necho older\n", { mode: 0o755 });
    const run = () =>
      spawnSync("sh", [SCRIPT, "NATS_URL"], { cwd: folder, env: environment(), encoding: "utf8", timeout: 60_000 })
        .stdout;
    expect(run()).toBe("older\n");
    fs.writeFileSync(path.join(folder, "noetl-gateway"), "#!/bin/sh\necho newer\n", { mode: 0o755 });
    expect(run()).toBe("newer\n");
  });

  it("a start without a place for the pipe, with a line that says so", () => {
    const { code, output } = started(["sh", "-c", "echo runs; exit 4"], { TMPDIR: path.join(folder, "none") });
    expect(code).toBe(4);
    expect(output).toContain("credentials are not kept out of this log: no pipe in");
    expect(output).toContain("runs\n");
  });

  it("a second start beside the remains of the first, and a program that is not there", () => {
    for (const code of [3, 4]) expect(started(["sh", "-c", `exit ${code}`]).code).toBe(code);
    expect(started(["./none"])).toMatchObject({
      code: 127,
      output: expect.stringMatching(/none.*not found/) as string,
    });
  });

  it("a signal: it reaches a program that waits for it, and leaves one alone that does not, as in the image's own start", async () => {
    const waits =
      "process.on('SIGTERM', () => { console.log('bye'); process.exit(5) }); console.log('up'); setInterval(() => 0, 1000)";
    const child = spawn("sh", [SCRIPT, "NATS_URL", "--", process.execPath, "-e", waits], {
      cwd: folder,
      env: environment(),
    });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      if (output === "up\n") child.kill("SIGTERM");
    });
    expect(await once(child, "close")).toEqual([5, null]);
    expect(output).toBe("up\nbye\n");
  });
});

describe("the chart", () => {
  it("starts the gateway by it, names its credentials and never their values, and starts it again where the script changes", async () => {
    const values = {
      image: { repository: "g" },
      env: { natsUrl: "nats://noetl:canary-nats.1@nats:4222" },
      extraEnv: { API_TOKEN: "canary" },
    };
    const objects = await render("gateway", values);
    const template = podTemplate(objects, "gateway");
    const [container] = template.spec.containers;
    expect(container?.command).toEqual(["sh", "/opt/gateway-scripts/start.sh"]);
    expect(container?.args).toEqual(["API_TOKEN", "NATS_URL"]);
    expect(JSON.stringify(template.metadata)).toContain("checksum/scripts");
    const scripts = objects.find(({ kind }) => kind === "ConfigMap");
    expect(scripts?.data?.["start.sh"]?.trim()).toBe(fs.readFileSync(SCRIPT, "utf8").trim());
  });

  it("leaves the image as it is where that is asked for", async () => {
    const objects = await render("gateway", { image: { repository: "g" }, maskLogs: { enabled: false } });
    const template = podTemplate(objects, "gateway");
    expect(template.spec.containers[0]).not.toHaveProperty("command");
    expect(objects.map(({ kind }) => kind)).not.toContain("ConfigMap");
  });

  it("starts another program with its arguments", async () => {
    const objects = await render("gateway", { image: { repository: "g" }, maskLogs: { program: ["/bin/gw", "--x"] } });
    const [container] = podTemplate(objects, "gateway").spec.containers;
    expect(container?.args).toEqual(["NATS_URL", "--", "/bin/gw", "--x"]);
  });
});
