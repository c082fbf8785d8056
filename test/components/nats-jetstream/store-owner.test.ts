/** The step that hands a volume over to user 1000, on a store that nats-server has written as root: ownerScript. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { connect, StorageType } from "nats";
import { afterEach, beforeEach, expect, it } from "vitest";
import { NATS_UID, ownerScript } from "../../../components/nats-jetstream/security";
import { ensureTools } from "../../../embedded/toolchain";

const isRoot = process.getuid?.() === 0;

let dir: string;
let volume: string;
let running: ChildProcess | undefined;
beforeEach(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-owner-"));
  fs.chmodSync(dir, 0o755);
  volume = path.join(dir, "data");
  fs.mkdirSync(volume);
  // As the provisioner of kind makes it.
  fs.chmodSync(volume, 0o777);
});
afterEach(async () => {
  await stop();
  fs.rmSync(dir, { recursive: true });
});

async function stop(): Promise<void> {
  const child = running;
  running = undefined;
  if (child === undefined || child.exitCode !== null) return;
  child.kill("SIGTERM");
  await once(child, "exit");
}

/** Port of a server that runs as that user; what it says where it ends instead. */
async function start(binary: string, uid: number): Promise<number | string> {
  const conf = path.join(dir, "nats.conf");
  fs.writeFileSync(conf, `listen: "127.0.0.1:-1"\njetstream: {store_dir: "${volume}", max_file_store: 64MB}\n`);
  const child = spawn(binary, ["-c", conf], { uid, gid: uid, stdio: ["ignore", "ignore", "pipe"] });
  running = child;
  let log = "";
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => reject(new Error(`waited 60 s for nats-server as user ${uid}: ${log}`)), 60_000);
    const settle = (result: number | string): void => {
      clearTimeout(limit);
      resolve(result);
    };
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      log += text;
      const [, port] = /Listening for client connections on 127\.0\.0\.1:(\d+)[\s\S]*Server is ready/.exec(log) ?? [];
      if (port !== undefined) settle(Number(port));
    });
    child.once("close", () => settle(log));
  });
}

const handOver = () => spawnSync("sh", ["-c", ownerScript(volume, NATS_UID)], { encoding: "utf8", timeout: 20_000 });

/** Messages of the stream KEPT, after one more. */
async function published(port: number | string): Promise<number> {
  const nats = await connect({ servers: `127.0.0.1:${port}`, timeout: 5000, reconnect: false });
  const manager = await nats.jetstreamManager();
  await manager.streams.add({ name: "KEPT", subjects: ["kept"], storage: StorageType.File });
  await nats.jetstream().publish("kept");
  const { state } = await manager.streams.info("KEPT");
  await nats.close();
  return state.messages;
}

it("has user 1000 read and write what root has written, which it could not before", async () => {
  if (!isRoot) {
    // Who cannot give a file away says so, and is not an obstacle to the server.
    fs.writeFileSync(path.join(volume, "own"), "");
    expect(
      spawnSync("sh", ["-c", ownerScript(volume, (process.getuid?.() ?? 0) + 1)], { encoding: "utf8" }),
    ).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^not all of .* belongs to \d+\n$/) as string,
    });
    return;
  }
  // Where another user may start it.
  const binary = path.join(dir, "nats-server");
  fs.copyFileSync((await ensureTools(["nats-server"]))["nats-server"], binary);
  fs.chmodSync(binary, 0o755);
  expect(await published(await start(binary, 0))).toBe(1);
  await stop();

  expect(await start(binary, NATS_UID)).toMatch(/storage directory is not writable/);
  expect(handOver()).toMatchObject({ status: 0, stdout: "", stderr: "" });
  expect(await published(await start(binary, NATS_UID))).toBe(2);
  await stop();

  const owners = () => spawnSync("find", [volume, "!", "-user", String(NATS_UID)], { encoding: "utf8" }).stdout;
  expect(owners()).toBe("");
  expect(handOver()).toMatchObject({ status: 0, stdout: "" });
  expect(await published(await start(binary, NATS_UID))).toBe(3);
});
