import { StorageType } from "nats";
import { afterEach, describe, expect, it } from "vitest";
import { hindrances, lastSentence, memoryStreams, preflight } from "../../components/stream-contract/preflight";
import { lossWords, podFacts, startsFor, type Pods } from "../../components/stream-contract/pods";
import {
  addStream,
  closedPort,
  inputsFor,
  startNatsServer,
  startNoetl,
  withManager,
  type NatsServer,
  type ServerTool,
} from "./support";

let server: NatsServer | undefined;
afterEach(async () => {
  await server?.stop();
  server = undefined;
});

const JETSTREAM = (memory: string): string =>
  `jetstream: {store_dir: "DIR/jetstream", max_memory_store: ${memory}, max_file_store: 64MB}`;

const started = async (config: string, tool: ServerTool = "nats-server"): Promise<NatsServer> =>
  (server = await startNatsServer({ config, tool }));

/** A stream of somebody else's. */
const other = (to: NatsServer, config: object): Promise<unknown> =>
  withManager(to, (manager) =>
    manager.streams.add({ name: "OTHER", subjects: ["other.>"], storage: StorageType.File, ...config }),
  );

const names = (of: NatsServer): Promise<string[]> =>
  withManager(of, async (manager) => (await manager.streams.list().next()).map(({ config }) => config.name));

describe("before NoETL is deployed", () => {
  it("nothing stands in the way of a first deployment, and of one that works", async () => {
    const to = await started(JETSTREAM("64MB"));
    expect(await preflight(inputsFor(to))).toEqual({ result: "clear" });
    await startNoetl(to);
    expect(await preflight(inputsFor(to, { gateway: {} }))).toEqual({ result: "clear" });
  });

  it("a stream that takes the subject is named, after another name for NoETL's own", async () => {
    const to = await started(JETSTREAM("64MB"));
    await startNoetl(to);
    const found = await preflight(inputsFor(to, { stream: "RENAMED" }));
    expect(found).toMatchObject({ result: "blocked" });
    expect("report" in found && found.report).toContain(
      "violation stream-overlap: found NOETL_COMMANDS, expected RENAMED alone",
    );
  });

  it("so is what NoETL would find and could not use", async () => {
    const to = await started(JETSTREAM("64MB"));
    await withManager(to, (manager) => addStream(manager, { subjects: ["else"] }));
    const found = await preflight(inputsFor(to));
    expect("report" in found && found.report).toContain("violation stream-subjects: found else");
  });

  it.each<ServerTool>(["nats-server-2.9", "nats-server-2.10", "nats-server-2.11", "nats-server-2.12", "nats-server"])(
    "%s tells that there is no room for the stream, and creates nothing for the answer",
    async (tool) => {
      const reserved = await started(JETSTREAM("1MB"), tool);
      await other(reserved, {});
      expect(await preflight(inputsFor(reserved))).toEqual({ result: "clear" });
      await withManager(reserved, (manager) =>
        manager.streams.add({
          name: "GREEDY",
          subjects: ["greedy"],
          storage: StorageType.Memory,
          max_bytes: 1_048_576,
        }),
      );
      const found = await preflight(inputsFor(reserved));
      expect(found).toMatchObject({ result: "blocked" });
      expect("report" in found && found.report).toMatch(
        /NoETL will not be able to create stream NOETL_COMMANDS in memory storage .*\(10\d+\)/,
      );
      expect(await names(reserved)).toEqual(["GREEDY", "OTHER"]);
    },
  );

  it("a NATS that cannot be asked is not NoETL's trouble", async () => {
    const nowhere = { address: `127.0.0.1:${await closedPort()}` };
    expect(await preflight(inputsFor(nowhere, { timeoutSeconds: 1 }))).toMatchObject({ result: "unasked" });
  });

  it("what hinders NoETL while it starts is said under one name", async () => {
    const to = await started(JETSTREAM("64MB"));
    expect(await hindrances(inputsFor(to))).toEqual([]);
    await startNoetl(to);
    expect(await hindrances(inputsFor(to, { stream: "RENAMED" }))).toMatchObject([{ id: "contract" }]);
  });
});

it("streams that one server keeps in memory are named before a restart, with what is in them", async () => {
  const to = await started(JETSTREAM("64MB"));
  await other(to, {});
  await startNoetl(to);
  expect(await memoryStreams(inputsFor(to))).toEqual([{ name: "NOETL_COMMANDS", messages: 0 }]);
  const nowhere = { address: `127.0.0.1:${await closedPort()}` };
  expect(await memoryStreams(inputsFor(nowhere))).toBeUndefined();
});

describe("pods", () => {
  const now = Date.parse("2026-01-01T12:00:00Z");
  const pod = (name: string, secondsAgo: number, ready = true) => ({
    name,
    ready,
    started: new Date(now - secondsAgo * 1000).toISOString(),
    restarts: 1,
    ended: "OOMKilled",
  });
  const pods = (noetl: Pods["noetl"], nats: Pods["nats"] = []): Pods => ({ nats, noetl, now });

  it("that have run for a while make nothing; one that starts, or is not ready, may", () => {
    expect(startsFor(pods([]))).toBe(0);
    expect(startsFor(pods([pod("a", 300), pod("b", 40)]))).toBe(0);
    expect(startsFor(pods([pod("a", 300), pod("b", 10)]))).toBe(20_000);
    expect(startsFor(pods([pod("a", 300, false)]))).toBe(Infinity);
  });

  it("tell what happened, and since when", () => {
    const words = lossWords(
      ["stream S"],
      "2026-01-01T11:00:00.5Z",
      pods([pod("b", 3600), pod("a", 7200)], [pod("nats-0", 600)]),
    );
    expect(words).toBe(
      "Stream S is gone, which was there at the last check (stream created 2026-01-01T11:00:00.5Z). NATS pod nats-0 " +
        "started at 2026-01-01T11:50:00.000Z (restart 1, after OOMKilled), and what is kept in memory ends with the server. NoETL makes stream " +
        "and consumer only when it starts, and its pods have run since 2026-01-01T10:00:00.000Z: nothing brings it back but a restart of these pods.",
    );
    expect(lossWords(["stream S"], "2026-01-01T11:55:00Z", pods([], [pod("nats-0", 600)]))).not.toContain("nats-0");
    const several = lossWords(["consumer a", "consumer b"], "2026-01-01T11:55:00Z", pods([]));
    expect(several).toBe(
      "Consumer a, consumer b are gone, which were there at the last check (stream created 2026-01-01T11:55:00Z). " +
        "No pod of NoETL is there to make them.",
    );
  });

  it("are read from what the API says", () => {
    const status = {
      conditions: [{ type: "Ready", status: "True" }],
      containerStatuses: [
        { name: "config", restartCount: 0, state: {} },
        {
          name: "nats",
          restartCount: 2,
          state: { running: { startedAt: "2026-01-01T00:00:00Z" } },
          lastState: { terminated: { exitCode: 137, reason: "Error" } },
        },
      ],
    };
    expect(podFacts({ metadata: { name: "nats-0" }, status } as never)).toEqual({
      name: "nats-0",
      container: "nats",
      ready: true,
      started: "2026-01-01T00:00:00Z",
      restarts: 2,
      ended: "exit code 137",
    });
  });

  it.each([
    ["", undefined],
    ["one\ntwo\n\n", "two"],
    ['{"message": "it failed", "exc_info": "Traceback\\n  File\\nKeyError: x\\n"}', "it failed: KeyError: x"],
    ['{"message": "it failed"}', "it failed"],
    ["{not json", "{not json"],
  ])("say at last, of %j", (log, sentence) => {
    expect(lastSentence(log)).toBe(sentence);
  });
});
