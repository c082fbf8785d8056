/**
 * Measures the contract's check against a real nats-server on loopback: how many round trips it costs after connecting,
 * and how long it takes beside `nats stream info` and `nats consumer info`, which show the same facts and compare nothing.
 *
 *     npm run build && node dist/bench/contract.js [--json]
 */
import { execFile, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { promisify } from "node:util";
import { connect } from "nats";
import { checkContract, Deadline, openSession, withDefaults, type ContractInputs } from "../contract";
import { checkWith } from "../contract/check";
import { ensureContract } from "../contract/ensure";
import { CONSUMER, STREAM } from "../contract/facts";
import { ensureTools } from "../embedded/toolchain";
import { median, seconds, report, type Row } from "./table";

const run = promisify(execFile);

/** Delay that the round trips are counted with, in milliseconds; far above what anything else takes on loopback. */
const ROUND_TRIP_MILLISECONDS = 200;
const ROUNDS = 15;

async function startServer(binary: string, dir: string): Promise<{ port: number; stop: () => Promise<void> }> {
  const file = path.join(dir, "nats.conf");
  fs.writeFileSync(file, `listen: "127.0.0.1:-1"\njetstream: {store_dir: "${dir}/jetstream"}\n`);
  const child = spawn(binary, ["-c", file, "--ports_file_dir", dir], { stdio: "ignore" });
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null) return resolve();
      child.once("exit", () => resolve());
      child.kill("SIGKILL");
    });
  const deadline = Date.now() + 20_000;
  while (Date.now() < deadline) {
    const ports = fs.readdirSync(dir).find((name) => name.endsWith(".ports"));
    const text = ports ? fs.readFileSync(path.join(dir, ports), "utf8") : "";
    const address = /"nats:\/\/[^"]*:(\d+)"/.exec(text)?.[1];
    if (address) return { port: Number(address), stop };
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await stop();
  throw new Error("waited 20 s for nats-server to start");
}

/** A way to the server on which every chunk takes half a round trip, in both directions. */
async function delayed(port: number): Promise<{ port: number; stop: () => void }> {
  const sockets: net.Socket[] = [];
  const listener = net.createServer({ noDelay: true }, (client) => {
    const upstream = net.connect({ port, host: "127.0.0.1", noDelay: true });
    sockets.push(client, upstream);
    const later = (from: net.Socket, to: net.Socket): void => {
      from.on("data", (chunk) => setTimeout(() => to.writable && to.write(chunk), ROUND_TRIP_MILLISECONDS / 2));
      from.on("error", () => to.destroy()).on("close", () => to.destroy());
    };
    later(client, upstream);
    later(upstream, client);
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const stop = (): void => {
    for (const socket of sockets) socket.destroy();
    listener.close();
  };
  return { port: (listener.address() as net.AddressInfo).port, stop };
}

const inputsFor = (port: number): ContractInputs =>
  withDefaults({ connection: { servers: [`127.0.0.1:${port}`] }, gateway: {}, timeoutSeconds: 30 });

async function roundTrips(port: number): Promise<number> {
  const way = await delayed(port);
  try {
    const inputs = inputsFor(way.port);
    const deadline = new Deadline(30_000);
    const session = await openSession(inputs, deadline);
    const took = await seconds(() => checkWith({ session, inputs, deadline }, true));
    await session.close();
    return (took * 1000) / ROUND_TRIP_MILLISECONDS;
  } finally {
    way.stop();
  }
}

async function measure(): Promise<Row[]> {
  const tools = await ensureTools(["nats-server", "nats"]);
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "bench-contract-"));
  const server = await startServer(tools["nats-server"], dir);
  try {
    const inputs = inputsFor(server.port);
    await ensureContract({ ...inputs, mode: "ensure" });
    const cli = (...args: string[]): Promise<unknown> =>
      run(tools.nats, ["--server", `127.0.0.1:${server.port}`, ...args, "--json"], { env: { HOME: dir } });

    const client = await connect({ servers: `127.0.0.1:${server.port}` });
    const manager = await client.jetstreamManager();
    const [check, commands, library, process_]: number[][] = [[], [], [], []];
    const script =
      "require(process.argv[1]).checkContract(JSON.parse(process.argv[2])).then(({holds}) => process.exit(holds ? 0 : 1))";
    const module = path.join(__dirname, "../contract/check.js");
    for (let round = 0; round <= ROUNDS; round++) {
      const took = [
        await seconds(async () => {
          if (!(await checkContract(inputs)).holds) throw new Error("the contract does not hold");
        }),
        await seconds(async () => {
          await cli("stream", "info", STREAM.name);
          await cli("consumer", "info", STREAM.name, CONSUMER.name);
        }),
        await seconds(async () => {
          await manager.streams.info(STREAM.name);
          await manager.consumers.info(STREAM.name, CONSUMER.name);
        }),
        await seconds(() => run(process.execPath, ["-e", script, module, JSON.stringify(inputs)])),
      ];
      // The first round fills caches.
      if (round > 0) [check, commands, library, process_].forEach((figures, index) => figures?.push(took[index] ?? 0));
    }
    await client.close();
    const [checked, commanded] = [median(check ?? []), median(commands ?? [])];
    return [
      { what: "round trips of a check after connecting", measured: await roundTrips(server.port), unit: "", limit: 3 },
      { what: "check, connecting included", measured: checked * 1000, unit: "ms" },
      { what: "nats stream info + nats consumer info", measured: commanded * 1000, unit: "ms" },
      { what: "ratio of the two", measured: checked / commanded, unit: "", limit: 1 },
      { what: "check as a process of its own", measured: median(process_ ?? []) * 1000, unit: "ms" },
      { what: "the two questions alone, connected", measured: median(library ?? []) * 1000, unit: "ms" },
    ];
  } finally {
    await server.stop();
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

report(measure);
