import type { NatsError, StreamInfo } from "nats";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  checkContract,
  ConnectError,
  ensureContract,
  withDefaults,
  type ContractArguments,
  type ContractInputs,
} from "../../contract";
import { CONSUMER, STREAM } from "../../contract/facts";
import { peersOf } from "../../contract/rules/rule";
import { NOETL_STORES } from "../../contract/rules/store";
import { inventoryOf, rollProblem } from "../../contract/roll";
import { IN_A_CLUSTER } from "./cases";
import {
  addConsumer,
  addStream,
  natsClient,
  natsCommand,
  onceElected,
  rejection,
  sleep,
  startGateway,
  startNatsServer,
  startNoetl,
  until,
  type NatsServer,
} from "../support/nats";
import { NatsCluster } from "../support/nats-cluster";

/** What is removed is gone; where the answer to an earlier request was lost, it is not found any more. */
const removed = (request: Promise<boolean>): Promise<boolean> =>
  request.catch((error: NatsError) => {
    if ([10014, 10059].includes(error.api_error?.err_code ?? 0)) return true;
    throw error;
  });

/** How long a cluster may take to agree on its leaders, and a follower to be in step. */
const ELECTIONS_MILLISECONDS = 60_000;

// One cluster, in the order of the tests: each leaves it as the next one needs it.
describe("a cluster of three servers", { timeout: 180_000 }, () => {
  let cluster: NatsCluster;
  const any = (): NatsServer => cluster.any();
  const addresses = (): string[] => cluster.addresses();

  const inputs = (args: Omit<ContractArguments, "connection"> = {}): ContractInputs =>
    withDefaults({ connection: { servers: addresses() }, timeoutSeconds: 60, ...args });
  const replicated = { expect: { replicas: 3 } };
  const broken = (checks: readonly { id: string; ok: boolean; found: string }[]) =>
    Object.fromEntries(checks.flatMap(({ id, ok, found }) => (ok ? [] : [[id, found]])));

  /** What the nats command line says about an object, which has no leader for some seconds now and then. */
  const said = async (what: string): Promise<StreamInfo> => {
    const command = `nats --server ${addresses().join(",")} ${what} --json`;
    let last: unknown;
    const answer = await until(
      command,
      () => natsCommand(command).catch((error: unknown) => void (last = error)),
      ELECTIONS_MILLISECONDS,
    ).catch((error: Error) => Promise.reject(new Error(error.message, { cause: last })));
    return JSON.parse(answer) as StreamInfo;
  };
  const witness = (): Promise<StreamInfo> => said(`stream info ${STREAM.name}`);

  beforeAll(async () => {
    cluster = await NatsCluster.start();
  });
  afterAll(() => cluster.stop());

  it("is waited for until it has a leader, and ensured in three replicas", async () => {
    const { holds, report, replicas } = await ensureContract(inputs({ mode: "ensure", ...replicated }));
    expect({ holds, report, replicas }).toEqual({ holds: true, report: "", replicas: 3 });
    const { config, cluster: peers } = await witness();
    expect({ replicas: config.num_replicas, others: peers?.replicas?.length }).toEqual({ replicas: 3, others: 2 });
    // NoETL's own start-up, which takes what is there, leaves it so.
    await cluster.ask("the consumer", (manager) => manager.consumers.info(STREAM.name, CONSUMER.name));
    expect((await checkContract(inputs(replicated))).report).toBe("");
  });

  it("has what was made with one replica found, and raised by ensure with what is in it", async () => {
    const buckets = ["sessions", "requests"];
    await cluster.ask("NoETL's stores", async (manager) => {
      const stores = NOETL_STORES.map((name) => ({ name, subjects: [`${name}.>`] }));
      for (const { name, subjects } of stores) await manager.streams.add({ name, subjects });
    });
    await cluster.ask("the stream to go", (manager) => removed(manager.streams.delete(STREAM.name)));
    await cluster.ask("stream and consumer with one replica", async (manager, connection) => {
      await addStream(manager);
      await addConsumer(manager);
      await connection.jetstream().publish(STREAM.subject, "waits", { msgID: "waits" });
    });
    await onceElected("the gateway's buckets", () => startGateway(any()));
    const args = { ...replicated, gateway: {} };
    const { checks } = await checkContract(inputs(args));
    const differing = checks.filter(({ ok }) => !ok).map(({ id, found, expected }) => ({ id, found, expected }));
    const few = (id: string) => ({ id, found: "1", expected: "at least 3 replicas" });
    expect(differing).toEqual([
      few("stream-replicas"),
      ...buckets.map(() => few("bucket-replicas")),
      ...NOETL_STORES.map(() => few("store-replicas")),
    ]);
    expect(IN_A_CLUSTER.filter((id) => !differing.some((check) => check.id === id))).toEqual([]);

    const { report, changes } = await ensureContract(inputs({ mode: "ensure", ...args }));
    expect(report).toBe("");
    expect(changes).toEqual([
      "update stream NOETL_COMMANDS: num_replicas 1 -> 3",
      ...buckets.map((name) => `update bucket ${name}: num_replicas 1 -> 3`),
      ...NOETL_STORES.map((name) => `update stream ${name}: num_replicas 1 -> 3`),
    ]);
    const names = [STREAM.name, ...buckets.map((name) => `KV_${name}`), ...NOETL_STORES];
    await until(
      "every copy to be in step",
      async () => {
        const infos = await cluster.ask("the streams", (manager) =>
          Promise.all(names.map((name) => manager.streams.info(name))),
        );
        return infos.every((info) => peersOf(info).real === 3 && peersOf(info).trouble.length === 0) || undefined;
      },
      ELECTIONS_MILLISECONDS,
    );
    const { state, config } = await witness();
    expect({ messages: state.messages, storage: config.storage }).toEqual({ messages: 1, storage: "memory" });
    const consumer = await until(
      "the consumer to follow its stream",
      async () => {
        const info = await cluster.ask("the consumer", (manager) => manager.consumers.info(STREAM.name, CONSUMER.name));
        return info.cluster?.replicas?.length === 2 ? info : undefined;
      },
      ELECTIONS_MILLISECONDS,
    );
    expect(consumer.num_pending).toBe(1);
    const roll = { before: 3, after: 3 };
    const inventory = await until(
      "a roll to be safe",
      async () => {
        const found = await inventoryOf(inputs());
        return typeof found !== "string" && rollProblem(found, roll) === undefined ? found : undefined;
      },
      ELECTIONS_MILLISECONDS,
    );
    expect(inventory.messages[STREAM.name]).toBe(1);
    expect(inventory.groups.map(({ of }) => of)).toEqual(
      expect.arrayContaining([
        `stream ${STREAM.name}`,
        `consumer ${CONSUMER.name} of ${STREAM.name}`,
        "stream KV_sessions",
      ]),
    );
  });

  it("has a consumer with fewer replicas than its stream found, and fixed by ensure", async () => {
    await cluster.ask("the consumer to go", (manager) => removed(manager.consumers.delete(STREAM.name, CONSUMER.name)));
    await cluster.ask("a consumer with one replica", (manager) => addConsumer(manager, { num_replicas: 1 }));
    expect(broken((await checkContract(inputs(replicated))).checks)).toEqual({
      "consumer-replicas": "1 of the stream's replicas",
    });
    const { report, changes } = await ensureContract(inputs({ mode: "ensure", ...replicated }));
    expect(changes).toEqual(["update consumer noetl_worker_pool: num_replicas 1 -> 3"]);
    expect(report).toBe("");
  });

  it("is checked although the stream's leader is killed during the check", async () => {
    await cluster.ask("the consumer to go", (manager) => removed(manager.consumers.delete(STREAM.name, CONSUMER.name)));
    const leader = (await witness()).cluster?.leader ?? "";
    // The first server that the check asks is the one that is killed, so that its connection breaks too.
    const first = cluster.server(leader)?.address ?? "";
    const all = [first, ...addresses().filter((address) => address !== first)];
    const checking = checkContract(inputs({ ...replicated, connection: { servers: all } } as never));
    await sleep(700); // it waits for the consumer by now
    await cluster.kill(leader);
    await until(
      "the others to elect a leader and take the consumer",
      async () => {
        const connection = await natsClient(any());
        try {
          await addConsumer(await connection.jetstreamManager({ timeout: 2_000, checkAPI: false }));
          return true;
        } catch {
          return undefined;
        } finally {
          await connection.close();
        }
      },
      ELECTIONS_MILLISECONDS,
    );
    const { holds, checks, server } = await checking;
    expect(holds).toBe(true);
    expect(server).not.toBe(first);
    // A server is missing, and that is reported as drift.
    expect(Object.keys(broken(checks)).filter((id) => id !== "stream-peers")).toEqual([]);
  });

  it("with a server missing says which, as the nats command line does", async () => {
    const missing = cluster.names.find((name) => !cluster.running().includes(name)) ?? "";
    const found = await until(
      "the missing server to be missed",
      async () => {
        const report = await checkContract(inputs(replicated), false);
        return broken(report.checks)["stream-peers"] === undefined ? undefined : report;
      },
      ELECTIONS_MILLISECONDS,
    );
    // A server that was killed is out of step within seconds, and known to be offline after a minute.
    expect(broken(found.checks)).toEqual({
      "stream-peers": expect.stringMatching(`^3 of 3, ${missing} is (offline|not in step)$`) as string,
    });
    // No update would restart the others now.
    const inventory = await until(
      "all that the cluster keeps",
      async () => {
        const all = await inventoryOf(inputs());
        return typeof all === "string" ? undefined : all;
      },
      ELECTIONS_MILLISECONDS,
    );
    expect(rollProblem(inventory, { before: 3, after: 3 })?.why).toMatch(
      new RegExp(`stream ${STREAM.name}: ${missing} is (offline|not in step)`),
    );
    const others = (await witness()).cluster?.replicas ?? [];
    expect(others.filter(({ current, offline }) => offline || !current).map(({ name }) => name)).toEqual([missing]);
    expect(found.report).toContain("bring the servers that are missing or out of step back");
  });

  it("without a majority is given up at the deadline, and says why", async () => {
    await cluster.kill(cluster.running()[0] ?? "");
    // For some seconds the one that is left does not know that it is alone.
    const { error, seconds } = await until(
      "the last server to know that it is alone",
      async () => {
        const started = performance.now();
        const found = await checkContract({ ...inputs(replicated), timeoutSeconds: 2 }).then(
          () => undefined,
          (reason: unknown) => reason as ConnectError,
        );
        return found && { error: found, seconds: (performance.now() - started) / 1000 };
      },
      ELECTIONS_MILLISECONDS,
    );
    // The rest is a busy machine's; a check that does not look at its deadline has one of a minute here.
    expect(seconds).toBeLessThan(20);
    expect(error).toBeInstanceOf(ConnectError);
    expect(["jetstream-unavailable", "no-answer"]).toContain(error.problem);
    expect(error.message).toMatch(/gave up after [\d.]+ s/);
  });

  it("is whole again when the servers are back", async () => {
    for (const name of cluster.names) if (!cluster.running().includes(name)) await cluster.start(name);
    const report = await until(
      "every replica to be in step",
      async () => {
        const seen = await checkContract(inputs(replicated), false).catch(() => undefined);
        return seen?.report === "" ? seen : undefined;
      },
      2 * ELECTIONS_MILLISECONDS,
    );
    expect(report).toMatchObject({ holds: true, replicas: 3 });
  });

  it("keeps as many copies as are declared, more and fewer, also of what a consumer and a bucket keep", async () => {
    const ensure = (replicas: number) =>
      ensureContract(
        inputs({
          mode: "ensure",
          declaredOnly: true,
          declared: {
            streams: [{ name: "ORDERS", subjects: ["orders.>"], replicas }],
            consumers: [{ stream: "ORDERS", name: "billing", replicas }],
            buckets: [{ name: "carts", replicas }],
          },
        }),
      );
    const others = async (what: string): Promise<number> => (await said(what)).cluster?.replicas?.length ?? 0;
    const objects = ["stream info ORDERS", "stream info KV_carts", "consumer info ORDERS billing"];
    expect((await ensure(1)).changes).toHaveLength(3);
    for (const [from, to] of [
      [1, 3],
      [3, 1],
    ] as const) {
      const { changes, holds } = await ensure(to);
      expect({ holds, changes: [...changes].sort() }).toEqual({
        holds: true,
        changes: ["bucket carts", "consumer billing of ORDERS", "stream ORDERS"].map(
          (object) => `update ${object}: replicas ${from} -> ${to}`,
        ),
      });
      expect((await ensure(to)).changes).toEqual([]);
      for (const object of objects) {
        await until(
          `${object} to have ${to - 1} other copies`,
          async () => (await others(object)) === to - 1 || undefined,
          ELECTIONS_MILLISECONDS,
        );
      }
    }
  });
});

describe("a mapping of subjects in a cluster", { timeout: 180_000 }, () => {
  it("is told by the server that is asked, whichever leads the stream", async () => {
    const cluster = await NatsCluster.start(`mappings: {"${STREAM.subject}": "${STREAM.subject}.moved"}`);
    try {
      await cluster.ask("stream and consumer", async (manager) => {
        await addStream(manager, { subjects: [STREAM.subject, `${STREAM.subject}.>`] });
        await addConsumer(manager, { filter_subject: STREAM.subject });
      });
      for (const address of cluster.addresses()) {
        const { checks } = await checkContract(
          withDefaults({ connection: { servers: [address] }, timeoutSeconds: 60 }),
        );
        expect(checks.flatMap(({ id, ok }) => (ok ? [] : [id]))).toEqual(["publish-subject"]);
      }
    } finally {
      await cluster.stop();
    }
  });
});

describe("a server on its own", () => {
  it("says that it cannot keep three replicas", async () => {
    const server = await startNatsServer();
    try {
      await startNoetl(server);
      const args = { connection: { servers: [server.address] }, timeoutSeconds: 1, expect: { replicas: 3 } };
      expect((await checkContract(withDefaults(args))).report).toContain(
        "drift stream-replicas: found 1, expected at least 3 replicas",
      );
      const { message } = await rejection(ensureContract(withDefaults({ ...args, mode: "ensure" })));
      expect(message).toMatch(/refused to update stream NOETL_COMMANDS: num_replicas 1 -> 3: .* \(10074\)/);
    } finally {
      await server.stop();
    }
  });
});
