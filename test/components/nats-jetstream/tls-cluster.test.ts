/** What a roll to TLS comes to in a cluster of three real servers (docs/tls.md). */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { connect, StorageType, type ConnectionOptions, type JetStreamManager } from "nats";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { withDefaults } from "../../../contract/inputs";
import { inventoryOf, rollProblem } from "../../../contract/roll";
import { TLS_FILES } from "../../../contract/nats/certificate";
import { generated } from "../../../components/nats-jetstream/tls/provider";
import { freePorts } from "../../../embedded/cluster/ports";
import { GENERATED } from "./certificate";
import { onceElected, sleep, startNatsServer, withManager, type NatsServer } from "../../support/nats";

const SERVERS = [0, 1, 2] as const;
const [MEMORY, FILE] = ["IN_MEMORY", "ON_DISK"] as const;
const MESSAGES = 20;
/** A minute in the chart (STEP_SECONDS). */
const STEP_MILLISECONDS = 15_000;

const { files, state } = generated(GENERATED, undefined, new Date());
const TLS: ConnectionOptions = { tls: { ca: state.ca } };
/** nats.js takes what a server offers unless it is told not to; NoETL's client does not. */
const PLAIN: ConnectionOptions = { tls: null };

let dir: string;
let ports: number[];
let servers: NatsServer[];

beforeAll(() => (dir = fs.mkdtempSync(path.join(os.tmpdir(), "tls-cluster-"))));
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));
beforeEach(async () => {
  fs.rmSync(dir, { recursive: true, force: true });
  ports = await freePorts(6);
  servers = await Promise.all(SERVERS.map((index) => startNatsServer({ config: config(index, false) })));
  mount();
  await asked(PLAIN, async (manager) => {
    for (const [name, storage] of [
      [MEMORY, StorageType.Memory],
      [FILE, StorageType.File],
    ] as const) {
      await manager.streams.add({ name, subjects: [name], storage, num_replicas: 3 });
    }
  });
  for (const name of [MEMORY, FILE]) await publish(name, MESSAGES);
}, 120_000);
afterEach(async () => void (await Promise.all(servers.map((server) => server.stop()))));

/** The certificate, as a pod has it. */
function mount(): void {
  for (const [name, text] of Object.entries(files ?? {})) fs.writeFileSync(path.join(dir, name), text);
}

function config(index: number, hasTls: boolean): string {
  const file = (name: string): string => JSON.stringify(path.join(dir, name));
  const { certificate, key, authority } = TLS_FILES;
  const tls = hasTls
    ? `tls {cert_file: ${file(certificate)}, key_file: ${file(key)}, ca_file: ${file(authority)}}`
    : "";
  const routes = SERVERS.map((other) => `"nats://route:s3cret@127.0.0.1:${ports[other]}"`).join(", ");
  return `server_name: nats-${index}
    http: "127.0.0.1:${ports[3 + index]}"
    jetstream {store_dir: "${dir}/store-${index}", max_memory_store: 64MB, max_file_store: 64MB}
    ${tls}
    cluster { name: nats, listen: "127.0.0.1:${ports[index]}", routes: [${routes}]
      authorization {user: route, password: s3cret}
      ${tls} }`;
}

const addresses = (): string[] => servers.map(({ address }) => address);

const at = (index: number): NatsServer => servers[index] as NatsServer;

/** JetStream's answer, from whichever server; again while there is no leader. */
const asked = <T>(options: ConnectionOptions, work: (manager: JetStreamManager) => Promise<T>, index = 0): Promise<T> =>
  onceElected("JetStream", () => withManager(at(index), work, options));

const held = (name: string, options: ConnectionOptions, index = 0): Promise<number> =>
  asked(options, async (manager) => (await manager.streams.info(name)).state.messages, index);

async function publish(name: string, count: number): Promise<void> {
  const connection = await connect({ servers: addresses(), ...PLAIN });
  for (let index = 0; index < count; index++) {
    await onceElected("a leader", () => connection.jetstream().publish(name, undefined, { msgID: `${name}-${index}` }));
  }
  await connection.close();
}

const monitor = (index: number, page: string): Promise<Response> =>
  fetch(`http://127.0.0.1:${ports[3 + index]}${page}`);

/** Names of the servers that one has routes to. */
async function joined(index: number): Promise<string[]> {
  const { routes } = (await (await monitor(index, "/routez")).json()) as { routes: { remote_name: string }[] };
  return [...new Set(routes.map(({ remote_name: name }) => name))].sort();
}

/** Waits until all that a server holds is in step, as the one that is to stop next does, and no longer than it would. */
async function inStep(index: number): Promise<void> {
  for (const end = Date.now() + STEP_MILLISECONDS; Date.now() < end; await sleep(200)) {
    const answer = await monitor(index, "/healthz").catch(() => undefined);
    if (answer?.ok) return;
  }
}

/** Publishes one message after the other to the stream on disk, by whichever server takes it, until it is stopped. */
function publisher() {
  let [acknowledged, longest, last, isOver] = [0, 0, Date.now(), false];
  const run = (async () => {
    for (let turn = 0; !isOver; turn++) {
      const options = turn % 2 === 0 ? PLAIN : TLS;
      try {
        const connection = await connect({
          servers: at(turn % 3).address,
          reconnect: false,
          timeout: 1000,
          ...options,
        });
        try {
          while (!isOver) {
            await connection.jetstream().publish(FILE, undefined, { msgID: `more-${acknowledged}`, timeout: 1000 });
            [acknowledged, longest, last] = [acknowledged + 1, Math.max(longest, Date.now() - last), Date.now()];
            await sleep(5);
          }
        } finally {
          await connection.close();
        }
      } catch {
        await sleep(20);
      }
    }
  })();
  return async () => {
    isOver = true;
    await run;
    return { acknowledged, seconds: longest / 1000 };
  };
}

it("a roll to TLS loses what only memory holds, with all its copies, and nothing of what is on disk", async () => {
  const stop = publisher();
  await sleep(500);
  // As a StatefulSet does it: the last one first. Nothing keeps it from the next: alone as it is, it counts as ready.
  await at(2).restart(config(2, true));
  await sleep(5000);
  expect([await joined(2), await joined(0)]).toEqual([[], ["nats-1"]]);
  expect((await monitor(2, "/healthz?js-server-only=true")).status).toBe(200);
  expect((await monitor(2, "/healthz")).status).toBe(503);
  expect(await held(MEMORY, PLAIN)).toBe(MESSAGES);
  const inventory = await inventoryOf(withDefaults({ connection: { servers: [at(0).address] }, timeoutSeconds: 15 }));
  expect(rollProblem(inventory, { before: 3, after: 3, parts: true })?.why).toContain(
    `These are now: ${MEMORY} (${MESSAGES} messages).`,
  );
  await at(1).restart(config(1, true));
  await inStep(1);
  await inStep(2);
  await at(0).restart(config(0, true));
  await inStep(0);
  expect(await Promise.all(SERVERS.map(joined))).toEqual([
    ["nats-1", "nats-2"],
    ["nats-0", "nats-2"],
    ["nats-0", "nats-1"],
  ]);
  const { acknowledged, seconds } = await stop();
  expect(await held(MEMORY, TLS)).toBe(0);
  expect(await held(FILE, TLS)).toBe(MESSAGES + acknowledged);
  // Measured on two cores: 5 to 15 s, for elections.
  expect(seconds).toBeLessThan(90);
  console.log("longest time without an acknowledged publish", seconds, "acknowledged", acknowledged);
}, 300_000);
