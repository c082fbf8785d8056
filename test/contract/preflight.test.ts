import { StorageType } from "nats";
import { afterEach, describe, expect, it } from "vitest";
import { ensureContract, withDefaults } from "../../contract";
import { patience } from "../../components/stream-contract/provider";
import { hindrances, lastSentence, lastWords, memoryStreams, preflight } from "../../contract/preflight";
import { wholeLines } from "../../contract/kubernetes/objects";
import type { Pods } from "../../contract/kubernetes/pod-facts";
import { lossWords, podFacts, startsFor } from "../../contract/kubernetes/pods";
import {
  addStream,
  closedPort,
  inputsFor,
  rejection,
  startGateway,
  startNatsServer,
  startNoetl,
  withManager,
  type NatsServer,
  type ServerTool,
} from "../support/nats";

let server: NatsServer | undefined;
afterEach(async () => {
  await server?.stop();
  server = undefined;
});

const JETSTREAM = (memory: string, file = "64MB"): string =>
  `jetstream: {store_dir: "DIR/jetstream", max_memory_store: ${memory}, max_file_store: ${file}}`;

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
        /violation stream-creatable: found .*\(10\d+\), expected NOETL_COMMANDS can be created/,
      );
      expect(await names(reserved)).toEqual(["GREEDY", "OTHER"]);
    },
  );

  it.each<ServerTool>(["nats-server-2.9", "nats-server-2.10", "nats-server-2.11", "nats-server-2.12", "nats-server"])(
    "%s tells that it has no store of that kind although no stream is there yet, and creates nothing for the answer",
    async (tool) => {
      const to = await started(JETSTREAM("0"), tool);
      const found = await preflight(inputsFor(to, { gateway: {} }));
      expect("report" in found && found.report).toMatch(/violation stream-creatable: found insufficient.*\(10\d+\)/);
      expect("report" in found && found.report).toContain("a store of 0 holds no stream at all");
      // Its buckets are in files, and its own.
      expect(await preflight(inputsFor(to, { gateway: {} }), "gateway")).toEqual({ result: "clear" });
      expect(await names(to)).toEqual([]);
    },
  );

  it("messages in flight that the account does not admit are seen before there is a stream, and after", async () => {
    const account = (limit: string): string =>
      `${JETSTREAM("64MB")}
       accounts {NOETL {jetstream: {max_mem: 1MB, max_file: 1MB${limit}}, users: [{user: noetl, password: noetl}]}}
       no_auth_user: noetl`;
    const to = await started(account(", max_ack_pending: 10"));
    const refused = "found consumer max ack pending exceeds system limit of 10 (10121)";
    for (const arrange of [undefined, (each: NatsServer) => withManager(each, (manager) => addStream(manager))]) {
      await arrange?.(to);
      const found = await preflight(inputsFor(to));
      expect("report" in found && found.report).toContain(`violation consumer-creatable: ${refused}`);
      expect("report" in found && found.report).toContain("workerMaxAckPending");
      expect(await preflight(inputsFor(to, { worker: { maxAckPending: 10 } }))).toEqual({ result: "clear" });
      expect(await preflight(inputsFor(to, { worker: { maxAckPending: -1 } }))).toEqual({ result: "clear" });
    }
    await to.reload(account(""));
    expect(await preflight(inputsFor(to))).toEqual({ result: "clear" });
  });

  it("a consumer with other messages in flight, which a worker that starts recreates, is none of it", async () => {
    const to = await started(JETSTREAM("64MB"));
    await startNoetl(to, { consumer: { max_ack_pending: 10 } });
    expect(await preflight(inputsFor(to))).toEqual({ result: "clear" });
  });

  it("a NATS that cannot be asked is not NoETL's trouble", async () => {
    const nowhere = { address: `127.0.0.1:${await closedPort()}` };
    expect(await preflight(inputsFor(nowhere, { timeoutSeconds: 1 }))).toMatchObject({ result: "skipped" });
  });

  it("what hinders NoETL while it starts is said under one name", async () => {
    const to = await started(JETSTREAM("64MB"));
    expect(await hindrances(inputsFor(to))).toEqual([]);
    await startNoetl(to);
    expect(await hindrances(inputsFor(to, { stream: "RENAMED" }))).toMatchObject([{ id: "contract" }]);
  });
});

describe("before the gateway is deployed", () => {
  const asked = (to: NatsServer, stream = "NOETL_COMMANDS") =>
    preflight(inputsFor(to, { stream, gateway: {} }), "gateway");
  const reportOf = async (to: NatsServer): Promise<string> => {
    const found = await asked(to);
    expect(found.result).toBe("blocked");
    return "report" in found ? found.report : "";
  };

  it("nothing stands in the way of a first deployment, of one that works, and what is NoETL's alone", async () => {
    const to = await started(JETSTREAM("64MB"));
    expect(await asked(to)).toEqual({ result: "clear" });
    await startNoetl(to);
    await startGateway(to);
    expect(await asked(to)).toEqual({ result: "clear" });
    expect((await preflight(inputsFor(to, { stream: "RENAMED" }))).result).toBe("blocked");
    expect(await asked(to, "RENAMED")).toEqual({ result: "clear" });
  });

  it("a stream that is not a bucket, and a bucket that nobody can write, are named, and NoETL goes on", async () => {
    const to = await started(JETSTREAM("64MB"));
    await startGateway(to, { sessions: { max_msgs_per_subject: -1 }, requests: { no_ack: true } });
    const report = await reportOf(to);
    expect(report).toContain("violation bucket-history of sessions");
    expect(report).toContain("violation bucket-writable of requests");
    expect(await preflight(inputsFor(to, { gateway: {} }))).toEqual({ result: "clear" });
  });

  it("a bucket that it could not create is named before it tries", async () => {
    const to = await started(JETSTREAM("64MB", "0"));
    const report = await reportOf(to);
    expect(report).toMatch(
      /violation bucket-creatable of sessions: found insufficient .*\(10\d+\), expected KV_sessions can be created/,
    );
    expect(report).toContain("violation bucket-creatable of requests");
    expect(report).toContain("make room for KV_sessions in file storage");
    expect(await names(to)).toEqual([]);
  });

  it("what its user may not listen to is named", async () => {
    const to = await started(
      `${JETSTREAM("64MB")}
       authorization {users: [
         {user: noetl, password: noetl}
         {user: gateway, password: gateway, permissions: {
           publish: {deny: ["$JS.API.STREAM.CREATE.KV_requests"]}, subscribe: {deny: ["noetl.callbacks.>"]}}}
       ]}`,
    );
    const inputs = inputsFor(to, {
      user: "noetl",
      password: "noetl",
      gateway: { user: "gateway", password: "gateway" },
    });
    const found = await preflight(inputs, "gateway");
    const report = "report" in found ? found.report : "";
    expect(report).toContain("violation gateway-callbacks");
    expect(report).toContain(
      'violation bucket-creatable of requests: found Permissions Violation for Publish to "$JS.API.STREAM.CREATE.KV_requests"',
    );
    expect(report).toContain("let user gateway publish on $JS.API.STREAM.CREATE.KV_requests");
    expect(report).not.toContain("of sessions");
    // Another login may create it for the gateway.
    expect((await rejection(ensureContract({ ...inputs, mode: "ensure" }))).message).toContain("gateway-callbacks");
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

  it("of a line whose workers add a consumer that is gone are given the time to do so", () => {
    const seconds = (noetlLine: "2.8" | "2.10" | "4.7" | "rust", lost: string, noetl: Pods["noetl"] | undefined) =>
      patience([lost], withDefaults({ noetlLine }), noetl && pods(noetl));
    const old = [pod("a", 300)];
    expect((["2.8", "2.10", "4.7", "rust"] as const).map((line) => seconds(line, "consumer c", old))).toEqual([
      0, 35, 35, 0,
    ]);
    expect(seconds("4.7", "stream S", old)).toBe(0);
    expect(seconds("4.7", "consumer c", [pod("a", 300, false)])).toBe(Infinity);
    expect([seconds("2.8", "consumer c", undefined), seconds("4.7", "consumer c", undefined)]).toEqual([10, 35]);
  });

  it("tell what happened, and since when", () => {
    const words = lossWords(["stream S"], {
      seen: "2026-01-01T11:00:00.5Z",
      pods: pods([pod("b", 3600), pod("a", 7200)], [pod("nats-0", 600)]),
    });
    expect(words).toBe(
      "Stream S is gone, which was there at the last check (stream created 2026-01-01T11:00:00.5Z). NATS pod nats-0 " +
        "started at 2026-01-01T11:50:00.000Z (restart 1, after OOMKilled), and what is kept in memory ends with the server. NoETL makes stream " +
        "and consumer only when it starts, and its pods have run since 2026-01-01T10:00:00.000Z: nothing brings it back but a restart of these pods.",
    );
    const seen = "2026-01-01T11:55:00Z";
    expect(lossWords(["stream S"], { seen, pods: pods([], [pod("nats-0", 600)]) })).not.toContain("nats-0");
    const again = lossWords(["consumer a"], { seen, pods: pods([pod("b", 3600)]), within: 30 });
    expect(again).toContain(
      "NoETL's workers, of which the oldest pod has run since 2026-01-01T11:00:00.000Z, have not added it within 30 s, as they do " +
        "since release 2.100.3: restart them.",
    );
    expect(lossWords(["stream S"], { seen, pods: pods([pod("b", 3600)]), within: 30 })).toContain(
      "nothing brings it back",
    );
    const several = lossWords(["consumer a", "consumer b"], { seen, pods: pods([]) });
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

  it("say nothing of a line that a limit has cut", () => {
    expect(wholeLines("one\ntw")).toBe("one\ntw");
    expect(wholeLines(`${"ä".repeat(32_760)}\nnats://noetl:Horse-Bat`)).toBe(`${"ä".repeat(32_760)}\n`);
  });

  const LOGINS = withDefaults({
    user: "noetl",
    password: "Horse-Battery.42",
    noetlLogin: {
      user: "server",
      password: "Server-Canary.43",
      worker: { user: "worker", password: "Worker-Canary.44" },
    },
  });
  it.each([
    ["of any user of NATS", "refused Server-Canary.43 and Worker-Canary.44", "refused *** and ***"],
    [
      "of the database",
      "cannot connect: host=postgres user=noetl password=Db-Canary.45",
      "cannot connect: host=postgres user=noetl password=***",
    ],
    ["in another writing", `auth ${Buffer.from("noetl:Horse-Battery.42").toString("base64")}`, "auth ***"],
    [
      "between colours, which go as well",
      "auth \u001b[31mHorse\u001b[0m-Battery.42\u001b[2J failed",
      "auth *** failed",
    ],
    ["where the line is cut", `${"x".repeat(390)} Horse-Battery.42`, `${"x".repeat(390)} ***`],
  ])("show no password at last: %s", (_, log, shown) => expect(lastWords(log, LOGINS)).toBe(shown));
});
