import { spawn } from "node:child_process";
import * as path from "node:path";
import { createInterface } from "node:readline";
import { RetentionPolicy, StorageType, type StreamConfig } from "nats";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkContract, ensureContract } from "../../../../contract";
import { STREAM } from "../../../../contract/facts";
import { ensureNoetlClient } from "../../../../embedded/toolchain/noetl-client";
import { NatsCluster } from "../../../support/nats-cluster";
import { onceElected, sleep, withManager, type NatsServer } from "../../../support/nats";
import {
  DEFAULT_NAMES,
  forEachRepair,
  handedOut,
  numbered,
  publisher,
  repairInputs,
  runRepair,
  workersConsumer,
  workQueue,
} from "./repair-support";

const sorted = (values: readonly string[]): string[] => [...values].sort();

let server: NatsServer;
let folder: string;
forEachRepair((bed) => ({ server, folder } = bed));

interface Published {
  readonly accepted: readonly string[];
  readonly refused: readonly string[];
}

/** nats-py, as NoETL 2.8.9 has it, publishing until `stop`. */
async function natsPyPublisher({ address }: { address: string }): Promise<{ stop(): Promise<Published> }> {
  const { python, modules } = await ensureNoetlClient("2.8.9");
  const script = path.join(__dirname, "nats-py-publisher.py");
  const child = spawn(python, ["-B", script, address, DEFAULT_NAMES.subject], {
    env: { PATH: process.env.PATH, PYTHONPATH: modules },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async (): Promise<string> => String((await lines.next()).value);
  expect(await line()).toBe("ready");
  return {
    stop: async () => {
      child.stdin.end();
      return JSON.parse(await line()) as Published;
    },
  };
}

describe("nats-py, the client that NoETL's server has, publishing every 5 ms", () => {
  it("is refused nothing while its stream is replaced: none is lost, none comes twice", async () => {
    await workQueue(server, numbered(150));
    const live = await natsPyPublisher(server);
    const { outcome } = await runRepair(repairInputs(server), folder);
    const { accepted, refused } = await live.stop();
    expect(outcome).toBe("repaired");
    expect(refused).toEqual([]);
    expect(accepted.length).toBeGreaterThan(20);
    expect(sorted(await handedOut(server))).toEqual(sorted([...numbered(150), ...accepted]));
  }, 300_000);
});

describe("a stream as the Rust line has it", () => {
  const POOL = "worker-pool";
  const FILTER = "noetl.commands.shared.>";
  const NAMES = { ...DEFAULT_NAMES, consumer: POOL };
  const args = { noetlLine: "rust" as const, strict: true };
  const inputs = () => repairInputs(server, NAMES, args);

  /** Subjects, storage, age and the pool's consumer, as they are read from the sources of that line. */
  const make = (changes: Partial<StreamConfig> = {}) =>
    withManager(server, async (manager) => {
      await manager.streams.add({
        name: STREAM.name,
        subjects: ["noetl.commands", "noetl.commands.>"],
        storage: StorageType.File,
        max_age: 0,
        ...changes,
      });
      await manager.consumers.add(STREAM.name, {
        ...workersConsumer(POOL, { filter_subject: FILTER, max_deliver: -1, max_ack_pending: 1000 }),
        deliver_policy: "all" as never,
      });
    });
  const AS_MADE = {
    stream: { retention: "limits", storage: "file", max_age: 0, subjects: ["noetl.commands", "noetl.commands.>"] },
    consumer: { filter_subject: FILTER, deliver_policy: "all", ack_wait: 30e9, max_deliver: -1, max_ack_pending: 1000 },
  };
  const found = () =>
    withManager(server, async (manager) => ({
      stream: (await manager.streams.info(STREAM.name)).config,
      consumer: (await manager.consumers.info(STREAM.name, POOL)).config,
    }));

  it("is right for the check, and neither ensure nor repair finds anything to do on it", async () => {
    await make();
    const before = await found();
    expect(await checkContract(inputs())).toMatchObject({ holds: true, report: "" });
    expect((await ensureContract({ ...inputs(), mode: "ensure" })).changes).toEqual([]);
    const { outcome, intents } = await runRepair(inputs(), folder);
    expect({ outcome, intents }).toEqual({ outcome: "nothing-to-do", intents: [] });
    expect(await found()).toEqual(before);
    expect(before).toMatchObject(AS_MADE);
  });

  it("comes out of a repair with its subjects, its storage, no age, and its pool's filter", async () => {
    await make({ retention: RetentionPolicy.Workqueue });
    await withManager(server, async (_manager, connection) => {
      for (const body of numbered(3)) await connection.jetstream().publish("noetl.commands.shared.7", body);
    });
    expect((await runRepair(inputs(), folder)).outcome).toBe("repaired");
    expect(await found()).toMatchObject(AS_MADE);
    expect(await checkContract(inputs())).toMatchObject({ holds: true, report: "" });
    expect(await handedOut(server, NAMES)).toEqual(numbered(3));
  });
});

describe("a cluster of three servers, the stream in three replicas", () => {
  /** How long a cluster with a server less may take until each stream has a leader again, and a repair its end. */
  const RECOVERY_MILLISECONDS = 180_000;
  let cluster: NatsCluster;
  beforeAll(async () => {
    cluster = await NatsCluster.start();
  });
  afterAll(() => cluster.stop());

  it("loses nothing where the server that leads it is killed during a repair, which comes to its end when it is run again", async () => {
    const inputs = () => ({
      ...repairInputs(cluster.any(), DEFAULT_NAMES, { expect: { replicas: 3 } }),
      connection: { servers: cluster.addresses() },
      timeoutSeconds: 15,
    });
    // Without messages first: each of them is published once.
    await onceElected("a work queue", () => workQueue(cluster.any(), [], DEFAULT_NAMES, { num_replicas: 3 }));
    await cluster.ask("the messages", async (_, connection) => {
      for (const body of numbered(100)) await connection.jetstream().publish(STREAM.subject, body, { msgID: body });
    });
    const leader = await cluster.ask(
      "the stream's leader",
      async (manager) => (await manager.streams.info(STREAM.name)).cluster?.leader ?? "",
    );
    const bystander = cluster.server(cluster.names.find((name) => name !== leader) ?? "") as NatsServer;
    const live = await publisher(bystander);
    let killed: { at: number; accepted: number; refused: number } | undefined;
    const attempt = () =>
      runRepair(inputs(), folder, {
        at: (point) => {
          if (point !== "saved" || killed) return;
          killed = { at: Date.now(), accepted: live.accepted.length, refused: live.refused.length };
          void cluster.kill(leader);
        },
      }).then(
        ({ outcome }) => outcome,
        (error: Error) => error.message,
      );
    const ends = [await attempt()];
    while (ends.at(-1) !== "repaired" && Date.now() - (killed?.at ?? 0) < RECOVERY_MILLISECONDS) {
      // However it ends in between, it says how it goes on.
      expect(ends.at(-1)).toMatch(/Run the same command again(: it goes on from here| once that is put right)\./);
      await sleep(500);
      ends.push(await attempt());
    }
    await live.stop();
    expect(ends.at(-1), ends.join("\n")).toBe("repaired");
    const all = await handedOut(bystander);
    expect(sorted(all)).toEqual(sorted([...numbered(100), ...live.accepted]));
    expect(live.accepted.length).toBeGreaterThan(killed?.accepted ?? 0);
    // Up to the kill nobody is refused; after it NATS itself refuses as long as a stream has no leader, with or without a repair.
    expect(killed?.refused).toBe(0);
    expect(live.refused.filter((each) => !/: (503|TIMEOUT)$/.test(each))).toEqual([]);
  }, 400_000);
});
