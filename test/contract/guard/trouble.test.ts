/** The guard where NATS, or somebody beside it, does what no rule of the contract is about. */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { StorageType, type JetStreamManager, type NatsError } from "nats";
import { afterEach, describe, expect, it } from "vitest";
import { bucketConfig } from "../../../contract/desired";
import { CONSUMER, STREAM } from "../../../contract/facts";
import type { GuardMode } from "../../../contract/guard/settings";
import { withDefaults, type ContractArguments } from "../../../contract/inputs";
import { bucketsOf } from "../../../contract/rules/gateway";
import { holdingStream, type Bucket } from "../../../contract/rules/rule";
import { NOETL_STORES } from "../../../contract/rules/store";
import { CONTRACT, guardConfig, operator, Running } from "../../support/guard";
import { addStream, sleep, startNatsServer, until, withManager, type NatsServer } from "../../support/nats";
import { NatsCluster, type ServerName } from "../../support/nats-cluster";
import { newFolder, repairInputs, runRepair, workQueue } from "../../commands/doctor/repair/repair-support";

const servers: NatsServer[] = [];
const guards: Running[] = [];
const frozen = new Set<number>();

const freeze = (pid: number): void => {
  process.kill(pid, "SIGSTOP");
  frozen.add(pid);
};
const thaw = (pid: number): void => {
  process.kill(pid, "SIGCONT");
  frozen.delete(pid);
};

afterEach(async () => {
  for (const pid of [...frozen]) thaw(pid);
  for (const guard of guards.splice(0)) expect(await guard.end()).toBe(0);
  for (const server of servers.splice(0)) await server.stop();
});

async function server(config = guardConfig()): Promise<NatsServer> {
  const started = await startNatsServer({ config });
  servers.push(started);
  return started;
}
async function guard(...given: Parameters<typeof Running.start>): Promise<Running> {
  const started = await Running.start(...given);
  guards.push(started);
  return started;
}

describe("a server that is gone without a word", () => {
  it("is called away within half a minute, and is found again", { timeout: 120_000 }, async () => {
    const nats = await server();
    const running = await guard(nats.address);
    await running.reaches("noetl_contract_holds", 1);
    freeze(nats.pid);
    await until(
      "the server to be away",
      async () => ((await running.metric("noetl_contract_nats_connected")) === 0 ? true : undefined),
      30_000,
    );
    await running.says(`NATS is away, waiting for it: ${nats.address} gives no sign of life`);
    expect(await running.get("/healthz")).toBe("ok\n");
    thaw(nats.pid);
    await running.reaches("noetl_contract_holds", 1);
  });

  it("leaves the next one of several its time", async () => {
    const [first, second] = [await server(), await server()];
    freeze(first.pid);
    const running = await guard([first.address, second.address]);
    await running.reaches("noetl_contract_holds", 1);
  });
});

it("the guard looks again after 15 s where NATS tells it of nothing", { timeout: 120_000 }, async () => {
  const running = await guard((await server()).address);
  await running.reaches("noetl_contract_holds", 1);
  const looks = async (): Promise<number> => (await running.metric("noetl_contract_looks_total")) ?? 0;
  const next = async (): Promise<number> => {
    const before = await looks();
    await until("another look", async () => ((await looks()) > before ? true : undefined));
    return performance.now();
  };
  // What it has made itself is told, too, so that the first looks come at once.
  for (let last = await next(); ;) {
    const now = await next();
    if (now - last > 5_000) {
      expect(now - last).toBeLessThan(25_000);
      return;
    }
    last = now;
  }
});

describe("a part that nobody answers for", () => {
  // As NoETL makes it in a cluster: one server keeps it.
  const STORE = { name: NOETL_STORES[0], subjects: ["$KV.noetl_execution_state.>"], storage: StorageType.Memory };
  const [sessions] = bucketsOf(withDefaults(CONTRACT));

  it.each([
    ["a store of NoETL's", STORE],
    ["a bucket", bucketConfig(sessions as Bucket, 1)],
  ])("is said, and the guard goes on with the rest, other buckets too: %s", { timeout: 180_000 }, async (_, part) => {
    const cluster = await NatsCluster.start();
    try {
      const { cluster: of } = await cluster.ask("the part", (manager) => manager.streams.add(part));
      const contract = { ...CONTRACT, expect: { replicas: 3 } };
      const running = await guard(cluster.addresses(), { contract });
      await running.reaches("noetl_contract_stream_present", 1);
      await running.reaches("noetl_contract_unanswered", 0);
      await cluster.kill(of?.leader ?? "");
      await running.reaches("noetl_contract_unanswered", 1);
      expect(await running.metric("noetl_contract_leader")).toBe(1);
      for (const gone of [STREAM.name, "KV_requests"])
        await cluster.ask("the removal", (manager) =>
          manager.streams
            .delete(gone)
            .catch((error: NatsError) => error.api_error?.err_code === 10059 || Promise.reject(error)),
        );
      await running.reaches("noetl_contract_stream_remade_total", 1);
      await until("the bucket that was removed", () =>
        cluster.ask("whether it is there", (manager) => manager.streams.info("KV_requests").catch(() => undefined)),
      );
      await running.reaches("noetl_contract_holds", 1);
      expect(await running.metric("noetl_contract_unanswered")).toBe(1);
      await cluster.start(of?.leader as ServerName);
      await running.says("all that the guard asks for is answered again");
    } finally {
      await cluster.stop();
    }
  });

  it("hides nothing of the rest that is declared", { timeout: 180_000 }, async () => {
    const streams = [
      { name: "ALONE", subjects: ["alone"] },
      { name: "ORDERS", subjects: ["orders"], maxAgeSeconds: 60 },
    ];
    const cluster = await NatsCluster.start();
    try {
      const add = ({ name, subjects }: (typeof streams)[0]) =>
        cluster.ask(`stream ${name}`, (manager) => manager.streams.add({ name, subjects }));
      const [alone, orders] = streams as [(typeof streams)[0], (typeof streams)[0]];
      const { cluster: of } = await add(alone);
      await cluster.kill(of?.leader ?? "");
      await add(orders);
      const running = await guard(cluster.addresses(), { contract: { ...CONTRACT, declared: { streams } } });
      await running.reaches("noetl_contract_unanswered", 1);
      const broken = (object: string) =>
        `noetl_contract_rule_broken{rule="declared-stream",severity="drift",object="${object}"} 1`;
      expect(await running.get("/metrics")).toContain(broken("stream ORDERS"));
      expect(await running.get("/metrics")).not.toContain("stream ALONE");
    } finally {
      await cluster.stop();
    }
  });
});

describe("what the guard asks", () => {
  const contracts: readonly [string, ContractArguments][] = [
    ["three replicas", { ...CONTRACT, expect: { replicas: 3 } }],
    ["pools, and three replicas", { ...CONTRACT, noetlLine: "4.7", expect: { replicas: 3 } }],
    ["the Rust line", { noetlLine: "rust", expect: { replicas: 3 } }],
    ["what is declared", { ...CONTRACT, declared: { streams: [{ name: "ORDERS", subjects: ["orders.>"] }] } }],
  ];
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "guard-log-"));
  afterEach(() => fs.rmSync(dir, { recursive: true, force: true }));

  it.each(
    contracts.flatMap(([name, contract]) =>
      (["watch", "heal"] as const).map((mode) => [name, mode, contract] as const),
    ),
  )("of %s in mode %s is refused in no line of the server's log", async (_, mode: GuardMode, contract) => {
    fs.mkdirSync(dir, { recursive: true });
    const log = path.join(dir, "nats.log");
    const nats = await server(`${guardConfig(mode, contract)}\nlog_file: "${log}"`);
    const running = await guard(nats.address, { mode, contract });
    await until("a look", async () => ((await running.metric("noetl_contract_looks_total")) ?? 0) > 0 || undefined);
    await sleep(200);
    expect(
      fs
        .readFileSync(log, "utf8")
        .split("\n")
        .filter((line) => line.includes("Violation")),
    ).toEqual([]);
  });
});

describe("a stream of that name that lacks the subject", () => {
  it("gets no consumer, which no worker of NoETL would make on it", async () => {
    const nats = await server();
    const manage = <T>(work: Parameters<typeof withManager<T>>[1]) => withManager(nats, work, operator);
    await manage((manager) => addStream(manager, { subjects: ["other.>"], retention: "interest" as never }));
    const running = await guard(nats.address);
    await running.reaches("noetl_contract_holds", 0);
    await running.reaches('noetl_contract_heals_total{kind="bucket",mode="heal"}', 2);
    await manage(async (manager) => {
      expect((await manager.streams.info(STREAM.name)).state.consumer_count).toBe(0);
      await manager.streams.update(STREAM.name, { subjects: [STREAM.subject], retention: "limits" } as never);
    });
    await manage((manager) =>
      until("the consumer", () =>
        manager.consumers.info(STREAM.name, CONSUMER.name).then(
          () => true,
          () => undefined,
        ),
      ),
    );
  });
});

describe("a consumer that is removed while commands wait", () => {
  /** A guard that has seen a contract that holds, and what is done to its stream then. */
  async function watched(
    work: (running: Running, ...on: Parameters<Parameters<typeof withManager>[1]>) => Promise<void>,
  ) {
    const nats = await server();
    const running = await guard(nats.address);
    await running.reaches("noetl_contract_holds", 1);
    await withManager(nats, (...on) => work(running, ...on), operator);
    return running;
  }

  /** The guard knows how far the consumer had come. */
  async function seen(running: Running, manager: JetStreamManager, waiting: number) {
    await manager.streams.update(STREAM.name, { description: "seen" });
    await running.reaches('noetl_contract_lag{consumer="noetl_worker_pool"}', waiting);
  }

  const passesOver = (message: number, commands: number): string =>
    `consumer noetl_worker_pool begins after message ${message}: up to ${commands} commands before it may reach no worker; ` +
    "npm run doctor names the executions that wait for one, and its --repair announces them again";

  it("is made again, and how many it passes over is said", async () => {
    const running = await watched(async (running, manager, connection) => {
      const jetstream = connection.jetstream();
      for (let count = 0; count < 4; count++) await jetstream.publish(STREAM.subject);
      const consumer = await jetstream.consumers.get(STREAM.name, CONSUMER.name);
      await (await consumer.next({ expires: 5_000 }))?.ackAck();
      await seen(running, manager, 3);
      await manager.consumers.delete(STREAM.name, CONSUMER.name);
    });
    await running.says(passesOver(4, 3));
  });

  it("and made again by somebody else between two looks is said, too", async () => {
    const running = await watched(async (running, manager, connection) => {
      for (let count = 0; count < 2; count++) await connection.jetstream().publish(STREAM.subject);
      await seen(running, manager, 2);
      freeze(running.pid);
      const { config } = await manager.consumers.info(STREAM.name, CONSUMER.name);
      await manager.consumers.delete(STREAM.name, CONSUMER.name);
      await manager.consumers.add(STREAM.name, config);
      thaw(running.pid);
    });
    await running.says(passesOver(2, 2));
    expect(await running.metric('noetl_contract_heals_total{kind="consumer",mode="heal"}')).toBe(1);
  });
});

describe("a repair", () => {
  it("that the guard has not seen at work is no loss of the stream", async () => {
    const nats = await server(`${guardConfig()}\nno_auth_user: operator`);
    await workQueue(nats, ["one", "two"]);
    const running = await guard(nats.address);
    await running.reaches("noetl_contract_stream_present", 1);
    freeze(running.pid);
    expect((await runRepair(repairInputs(nats), newFolder())).outcome).toBe("repaired");
    thaw(running.pid);
    await running.reaches("noetl_contract_holds", 1);
    expect(await running.metric("noetl_contract_stream_lost_total")).toBe(0);
    expect(await running.get("/metrics")).not.toContain("noetl_contract_stream_created_seconds");
    await withManager(nats, (manager) => manager.streams.delete(STREAM.name), operator);
    await running.reaches("noetl_contract_stream_lost_total", 1);
  });

  it("is noticed when it begins and when it ends, not at the next look", async () => {
    const nats = await server(`${guardConfig()}\nno_auth_user: operator`);
    await workQueue(nats, ["one"], undefined, { storage: StorageType.Memory });
    const running = await guard(nats.address);
    await running.reaches("noetl_contract_stream_present", 1);
    const name = holdingStream(STREAM.name);
    const becomes = (wanted: number) =>
      until(
        `noetl_contract_repair ${wanted}`,
        async () => ((await running.metric("noetl_contract_repair")) === wanted ? true : undefined),
        8_000,
      );
    await withManager(nats, (manager) =>
      manager.streams.add({ name, subjects: ["held"], storage: StorageType.Memory }),
    );
    await becomes(1);
    await withManager(nats, (manager) => manager.streams.delete(name));
    await becomes(0);
    expect(running.messages()).toContain(`the repair of stream ${STREAM.name} has ended`);
  });
});
