import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { projectRoot } from "../../../contract/project";

const run = promisify(execFile);

it("a script of a pod reaches in-cluster addresses, is refused where nothing is ready, and has the pod's name", async () => {
  const listener = net.createServer((socket) => socket.end("hello"));
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "node-names-"));
  try {
    const names = path.join(dir, "names.json");
    const { port } = listener.address() as net.AddressInfo;
    fs.writeFileSync(names, JSON.stringify({ "nats.nats:4222": port, "gone.nats:4222": 0 }));
    const script = `
      const net = require("node:net");
      const ask = (host) => new Promise((resolve) => {
        const socket = net.connect({ host, port: 4222 });
        socket.on("data", (data) => resolve(String(data))).on("error", ({ code }) => resolve(code));
      });
      (async () => console.log(await ask("nats.nats"), await ask("gone.nats"), require("node:os").hostname()))();`;
    const resolver = path.join(projectRoot(), "dist", "embedded", "cluster", "programs", "node-names.js");
    const { stdout } = await run(process.execPath, ["--require", resolver, "-e", script], {
      env: { EMBEDDED_NAMES: names, EMBEDDED_HOSTNAME: "contract-guard-0" },
    });
    expect(stdout.trim()).toBe("hello ECONNREFUSED contract-guard-0");
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
    await new Promise((resolve) => listener.close(resolve));
  }
});
