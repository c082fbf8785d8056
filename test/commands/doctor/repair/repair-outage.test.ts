/** NATS itself during a repair: leaders that move, a server that restarts, JetStream that is away for a while. */
import * as fs from "node:fs";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { holdingStream, type Point } from "../../../../commands/doctor/repair";
import {
  DEFAULT_NAMES,
  handedOut,
  newFolder,
  numbered,
  publisher,
  repairInputs,
  runRepair,
  workQueue,
} from "./repair-support";
import { JETSTREAM, onceElected, sleep, startNatsServer, withManager, type NatsServer } from "../../../support/nats";
import { NatsCluster } from "../../../support/nats-cluster";

const { stream: STREAM, subject: SUBJECT } = DEFAULT_NAMES;
const sorted = (values: readonly string[]): string[] => [...values].sort();

let folder: string;
beforeEach(() => (folder = newFolder()));
afterEach(() => fs.rmSync(path.dirname(folder), { recursive: true, force: true }));

/** How long a repair is run again and again, in milliseconds: less than a test may take, so that it ends with what was said. */
const PATIENCE_MILLISECONDS = 90_000;

/** Runs a repair until it comes to its end; what each run said before. */
async function untilRepaired(run: () => ReturnType<typeof runRepair>): Promise<string[]> {
  const words: string[] = [];
  const deadline = Date.now() + PATIENCE_MILLISECONDS;
  while (Date.now() < deadline) {
    const ended = await run().then(
      ({ outcome }) => outcome,
      (error: Error) => `${error.name}: ${error.message}`,
    );
    words.push(ended);
    if (ended === "repaired" || ended === "nothing-to-do") return words;
    await sleep(500);
  }
  throw new Error(words.join("\n"));
}

describe("a cluster", () => {
  it("whose leaders move in the middle of a repair loses nothing", { timeout: 240_000 }, async () => {
    const cluster = await NatsCluster.start();
    try {
      const server = cluster.any();
      await onceElected("the stream", () => workQueue(server, [], DEFAULT_NAMES, { num_replicas: 3 }));
      for (const body of numbered(70)) {
        await cluster.ask("a publish", (_manager, connection) =>
          connection.jetstream().publish(SUBJECT, body, { msgID: body }),
        );
      }
      const live = await publisher(server, SUBJECT, { every: 10 });
      const said: string[] = [];
      const under: Promise<unknown>[] = [];
      const moves = new Set<Point>(["frozen", "saved", "removed", "created", "moving", "opened"]);
      const stepDown = async (): Promise<void> =>
        withManager(server, async (_manager, connection) => {
          for (const name of [STREAM, holdingStream(STREAM)]) {
            await connection
              .request(`$JS.API.STREAM.LEADER.STEPDOWN.${name}`, "", { timeout: 2_000 })
              .catch(() => undefined);
          }
        }).catch(() => undefined);
      const words = await untilRepaired(() =>
        runRepair(repairInputs(server, DEFAULT_NAMES, { expect: { replicas: 3 } }), folder, {
          said,
          at: (point) => {
            if (!moves.has(point)) return;
            moves.delete(point);
            under.push(stepDown());
          },
        }),
      );
      await Promise.all(under);
      await live.stop();
      for (const each of words.slice(0, -1)) expect(each).toMatch(/run the same command again/i);
      const delivered = await handedOut(server);
      const wanted = [...numbered(70), ...live.accepted];
      expect(wanted.filter((body) => !delivered.includes(body))).toEqual([]);
      if (!/delivered (twice|again)/.test(said.join("\n"))) expect(new Set(delivered).size).toBe(delivered.length);
    } finally {
      await cluster.stop();
    }
  });
});

describe("a lone server", () => {
  let server: NatsServer;
  beforeEach(async () => {
    server = await startNatsServer();
  });
  afterEach(() => server.stop());

  it.each<Point>([
    "frozen",
    "saved",
    "removed",
    "created",
    "writing",
    "restored",
    "moving",
    "opening",
    "opened",
    "draining",
  ])("that restarts at %s: what was saved, and held on disk, is delivered", async (point) => {
    await workQueue(server, numbered(70), DEFAULT_NAMES, { storage: "file" as never });
    const said: string[] = [];
    const held: string[] = [];
    let restarted: Promise<void> | undefined;
    const words = await untilRepaired(() =>
      runRepair(repairInputs(server, DEFAULT_NAMES, { expect: { storage: "file" }, timeoutSeconds: 10 }), folder, {
        said,
        at: (each) => {
          if (each !== point || restarted) return;
          restarted = (async () => {
            await withManager(server, async (_manager, connection) => {
              for (const body of numbered(5, "held")) {
                await connection
                  .jetstream()
                  .publish(SUBJECT, body, { timeout: 500 })
                  .then(
                    () => held.push(body),
                    () => undefined,
                  );
              }
            }).catch(() => undefined);
            await server.restart(JETSTREAM);
          })();
        },
      }),
    );
    await restarted;
    for (const each of words.slice(0, -1))
      expect(each).toMatch(/^(ConnectError|CommandError): .*run the same command again/is);
    const delivered = await handedOut(server);
    expect([...numbered(70), ...held].filter((body) => !delivered.includes(body))).toEqual([]);
    if (!/delivered (twice|again)/.test(said.join("\n")))
      expect(sorted(delivered)).toEqual(sorted([...numbered(70), ...held]));
  });

  it("without JetStream for a while says so, and goes on when it is back", async () => {
    await workQueue(server, numbered(5), DEFAULT_NAMES, { storage: "file" as never });
    const inputs = repairInputs(server, DEFAULT_NAMES, { expect: { storage: "file" }, timeoutSeconds: 5 });
    const first = await runRepair(inputs, folder, {
      at: (point) => {
        if (point === "saved") throw new Error("it stops here");
      },
    }).catch((error: Error) => error.message);
    expect(first).toContain("is as it was");
    await server.restart("");
    const off = await runRepair(inputs, folder).catch((error: Error) => `${error.name}: ${error.message}`);
    expect(off).toMatch(/^ConnectError: JetStream is off/);
    await server.restart(JETSTREAM);
    expect((await runRepair(inputs, folder)).outcome).toBe("repaired");
    expect(await handedOut(server)).toEqual(numbered(5));
  });
});

describe("a server that says nothing any more", () => {
  it.concurrent.each<Point>([
    "freezing",
    "frozen",
    "saved",
    "removing",
    "removed",
    "creating",
    "created",
    "subscribing",
    "writing",
    "restored",
    "opening",
    "opened",
    "draining",
  ])("from %s on: the repair gives up, says where the messages are, and goes on afterwards", async (point) => {
    const server = await startNatsServer();
    const folder = newFolder();
    try {
      await workQueue(server, numbered(70), DEFAULT_NAMES, { storage: "file" as never });
      const inputs = repairInputs(server, DEFAULT_NAMES, { expect: { storage: "file" }, timeoutSeconds: 10 });
      const at = (each: Point): void => {
        if (each === point) process.kill(server.pid, "SIGSTOP");
      };
      const begun = Date.now();
      const words = await runRepair(inputs, folder, { at }).catch((error: Error) => error.message);
      expect(Date.now() - begun).toBeLessThan(60_000);
      expect(words).toMatch(
        point === "freezing"
          ? /Nothing was removed: stream NOETL_COMMANDS has what it had, .* Run the same command again/
          : /What is published meanwhile is kept in stream NOETL_COMMANDS-repair.* Run the same command again/,
      );
      process.kill(server.pid, "SIGCONT");
      await untilRepaired(() => runRepair(inputs, folder));
      expect(sorted(await handedOut(server))).toEqual(sorted(numbered(70)));
    } finally {
      fs.rmSync(path.dirname(folder), { recursive: true, force: true });
      await server.stop();
    }
  });
});
