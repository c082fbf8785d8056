import { unknownValue } from "@pulumi/pulumi/runtime/rpc";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { checkContract, withDefaults, type ContractArguments } from "../../../contract";
import {
  areOfTwoDeployments,
  check,
  create,
  diff,
  lostIn,
  read,
  update,
} from "../../../components/stream-contract/provider";
import {
  closedPort,
  inputsFor,
  rejection,
  removeStreams,
  sleep,
  startGateway,
  startNatsServer,
  startNoetl,
  withManager,
  type NatsServer,
} from "../../support/nats";

/** The state of a contract that an earlier release of this package deployed, with a gateway, as its `create` gave it. */
const DEPLOYED_EARLIER = {
  connection: { namespace: "nats", service: "nats", port: 4222, context: "kind-noetl" },
  user: "noetl",
  password: "one",
  mode: "assert",
  stream: "NOETL_COMMANDS",
  subject: "noetl.commands",
  consumer: "noetl_worker_pool",
  expect: {
    retention: "limits",
    storage: "memory",
    maxAgeSeconds: 3600,
    ackPolicy: "explicit",
    deliverPolicy: "new",
    replayPolicy: "instant",
    ackWaitSeconds: 30,
    replicas: 1,
    duplicateWindowSeconds: 120,
  },
  worker: { maxAckPending: 64, maxDeliver: 1000, fetchTimeoutSeconds: 30, replicas: 2 },
  noetl: { namespace: "noetl", serverDeployment: "noetl-server", workerDeployment: "noetl-worker" },
  gateway: {
    updatesSubjectPrefix: "playbooks.executions.",
    callbackSubjectPrefix: "noetl.callbacks",
    sessionBucket: "sessions",
    sessionTtlSeconds: 300,
    requestBucket: "requests",
    requestTtlSeconds: 1800,
    namespace: "gateway",
    deployment: "gateway",
  },
  strict: false,
  timeoutSeconds: 120,
  triggers: [1, 1, 1],
  __provider: "code",
  holds: true,
  report: "",
  differences: {},
  skippedRules: [],
  changes: [],
  server: "pod nats/nats-0 port 4222",
  serverVersion: "2.15.2",
  streamCreated: "2026-03-02T10:00:00.123456789Z",
};

/** The inputs where nothing is given. */
const DEFAULTS = (({ mode, stream, subject, consumer, expect, worker, noetl, strict, timeoutSeconds }) => ({
  ...{ mode, stream, subject, consumer, expect, noetl, strict, timeoutSeconds },
  connection: { namespace: "nats", service: "nats", port: 4222 },
  worker: { ...worker, replicas: 1 },
}))(DEPLOYED_EARLIER);

describe("check", () => {
  it("fills in the contract's defaults", () => {
    expect(check({}, {})).toEqual({ inputs: DEFAULTS });
  });

  it("keeps what is given, object by object, and drops what is none of the inputs", () => {
    const news = {
      connection: { context: "kind-noetl", kubeconfig: undefined },
      expect: { storage: "file" },
      worker: { maxAckPending: 0 },
      triggers: [1, { a: null }],
      __provider: "code",
      holds: true,
    };
    expect(check({}, news)).toEqual({
      inputs: {
        ...DEFAULTS,
        connection: { ...DEFAULTS.connection, context: "kind-noetl" },
        expect: { ...DEFAULTS.expect, storage: "file" },
        worker: { ...DEFAULTS.worker, maxAckPending: 0 },
        triggers: [1, { a: null }],
      },
    });
  });

  it("takes servers instead of a cluster", () => {
    const { inputs, failures } = check(
      {},
      { connection: { servers: ["tls://nats.example:4222", "[::1]:4222", "nats"] } },
    );
    expect(failures).toBeUndefined();
    expect(inputs?.connection).toEqual({ servers: ["tls://nats.example:4222", "[::1]:4222", "nats"] });
  });

  it("does not judge what a preview does not know yet", () => {
    const unknown = { connection: unknownValue, user: unknownValue, password: unknownValue, stream: unknownValue };
    expect(check({}, { ...unknown, strict: unknownValue, worker: unknownValue }).failures).toBeUndefined();
    expect(check({}, { connection: { namespace: unknownValue, kubeconfig: unknownValue } }).failures).toBeUndefined();
  });

  it.each<[ContractArguments, string]>([
    [{ connection: { servers: [] } }, "connection.servers is not a list of servers"],
    [
      { connection: { servers: ["nats://noetl:hunter2@nats:4222"] } },
      "connection.servers is a URL with credentials in it, which the client would ignore",
    ],
    [
      { connection: { servers: ["http://nats:4222"] } },
      'connection.servers is not a server address: "http://nats:4222"',
    ],
    [{ connection: { servers: ["nats:70000"] } }, 'connection.servers is not a server address: "nats:70000"'],
    [{ connection: { namespace: "Nats" } }, "connection.namespace is not a Kubernetes name"],
    [{ connection: { namespace: "nats.prod" } }, "connection.namespace is a name with a dot, which no namespace has"],
    [{ noetl: { namespace: "a".repeat(64) } }, "noetl.namespace is longer than 63 characters"],
    [{ connection: { port: 0 } }, "connection.port is smaller than 1"],
    [{ stream: "A B" }, "stream is not a JetStream name"],
    [{ consumer: "a.b" }, "consumer is not a JetStream name"],
    [{ subject: "noetl.>.commands" }, "subject is not a NATS subject: `>` may stand only at its end"],
    [{ expect: { retention: "work" } }, "expect.retention is none of limits, interest, workqueue"],
    [{ expect: { maxAgeSeconds: -1 } }, "expect.maxAgeSeconds is smaller than 0"],
    [{ worker: { maxDeliver: -2 } }, "worker.maxDeliver is smaller than -1"],
    [{ timeoutSeconds: 3601 }, "timeoutSeconds is larger than 3600"],
    [{ strict: "yes" as unknown as boolean }, "strict is not a boolean"],
    [{ password: "hunter2" }, "password is set without user"],
    [{ user: "noetl", password: "hunter2\n" }, "password is more than one line"],
  ])("refuses %j", (args, problem) => {
    const { failures } = check({}, args);
    expect(failures).toHaveLength(1);
    // With a property's name the engine would print its value.
    expect(failures?.[0]?.property).toBe("");
    expect(failures?.[0]?.reason).toContain(problem);
    expect(failures?.[0]?.reason).toMatch(/ for example /);
    expect(failures?.[0]?.reason).not.toContain("hunter2");
  });
});

describe("diff of inputs", () => {
  const news = {
    ...DEFAULTS,
    connection: { servers: ["127.0.0.1:1"] },
    user: "noetl",
    password: "one",
    triggers: ["a", 1],
    __provider: "code",
  };
  const olds = { ...news, holds: true, report: "", differences: {}, retention: "limits" };

  it.each<[string, object]>([
    ["a password", { password: "two" }],
    ["a trigger", { triggers: ["a", 2] }],
    ["a nested value", { worker: { ...DEFAULTS.worker, maxAckPending: 65 } }],
    ["the connection", { connection: { servers: ["nats:4222"] } }],
    ["the line of NoETL", { noetlLine: "4.7" }],
    ["a list of subjects", { publishes: ["noetl.commands", "noetl.commands.>"] }],
    ["a list of consumers", { consumers: [{ name: "noetl_worker_pool" }, { name: "pool" }] }],
    ["NoETL's login", { noetlLogin: { user: "noetl", password: "two" } }],
    ["what is declared", { declared: { streams: [{ name: "ORDERS" }] } }],
    ["the provider's code", { __provider: "other code" }],
    ["a value that is not known yet", { triggers: [unknownValue] }],
    ["a connection that is not known yet", { connection: unknownValue }],
  ])("finds %s, and never replaces", async (_name, change) => {
    expect(await diff("id", olds, { ...news, ...change })).toEqual({ changes: true });
  });

  it.each<[string, object, boolean]>([
    ["another line of NoETL", { noetlLine: "4.7" }, true],
    ["a longer list of consumers", { consumers: [{ name: "noetl_worker_pool" }, { name: "pool" }] }, true],
    ["a filter in a list of consumers", { consumers: [{ name: "noetl_worker_pool", filters: ["noetl.>"] }] }, true],
    ["another list of subjects", { publishes: ["noetl.commands.>"] }, true],
    ["a NoETL where there was none", { declaredOnly: true }, true],
    ["a trigger", { triggers: ["a", 2] }, true],
    ["a password", { password: "two" }, false],
    ["a deadline", { timeoutSeconds: 60 }, false],
  ])("takes %s for a deployment, or not, whose start is waited for", (_name, change, is) => {
    const consumers = { consumers: [{ name: "noetl_worker_pool" }], publishes: ["noetl.commands"] };
    expect(areOfTwoDeployments({ ...olds, ...consumers }, { ...news, ...consumers, ...change })).toBe(is);
    expect(areOfTwoDeployments({ ...olds, ...consumers, ...change }, { ...news, ...consumers })).toBe(is);
  });

  it("checks again where a refresh found the contract broken", async () => {
    expect(await diff("id", { ...olds, holds: false }, news)).toEqual({ changes: true });
  });

  it("takes a default for what a state did not know yet", async () => {
    const { noetl: _noetl, strict: _strict, ...older } = olds;
    expect(await diff("id", older, news)).toEqual({ changes: false });
  });
});

it("an update finds nothing to change in what an earlier release deployed with the same arguments", async () => {
  const servers = { servers: [`127.0.0.1:${await closedPort()}`] };
  const earlier = { ...DEPLOYED_EARLIER, connection: servers };
  const { inputs: news = {} } = check(
    {},
    {
      connection: servers,
      user: "noetl",
      password: "one",
      worker: { maxAckPending: 64, maxDeliver: 1000, fetchTimeoutSeconds: 30, replicas: 2 },
      gateway: { namespace: "gateway" },
      triggers: [1, 1, 1],
      run: { preview: true, urn: "" },
    },
  );
  const warned = vi.spyOn(console, "error").mockImplementation(() => undefined);
  try {
    expect(await diff("id", earlier, { ...news, __provider: "code" })).toEqual({ changes: false });
    expect(warned.mock.calls.flat().join()).toContain("could not be asked");
  } finally {
    warned.mockRestore();
  }
});

describe("against a server", () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNatsServer();
  });
  afterAll(() => server.stop());

  it("create fails, read reports, and create passes once NoETL has started", async () => {
    const inputs = inputsFor(server, { timeoutSeconds: 4 });
    expect((await rejection(create(inputs))).message).toContain("violation stream-exists");
    const missing = await read("id", inputs);
    expect(missing).toMatchObject({ id: "id", props: { holds: false, stream: "NOETL_COMMANDS" }, inputs });

    await startNoetl(server);
    const { id, outs } = await create(inputs);
    expect(id).toBe("NOETL_COMMANDS/noetl_worker_pool");
    expect(outs).toMatchObject({ ...inputs, holds: true, retention: "limits" });
    const present = await read(id, { ...outs, __provider: "code" });
    expect(present).toEqual({ id, props: outs, inputs });
    expect(await diff(id, present.props as object, { ...inputs })).toEqual({ changes: false });

    expect((await update(id, outs ?? {}, { ...inputs, triggers: [2] })).outs).toEqual({ ...outs, triggers: [2] });
    const { message } = await rejection(update(id, outs ?? {}, { ...inputs, subject: "other" }));
    expect(message).toContain("violation stream-subjects: found noetl.commands, expected subjects that cover other");
  });

  it("a refresh keeps what was asked for, however often it is run, and update reports a lost stream once", async () => {
    await removeStreams(server);
    const inputs = { ...inputsFor(server, { timeoutSeconds: 10, gateway: {} }) };
    await startNoetl(server);
    await startGateway(server);
    const { id, outs = {} } = await create(inputs);
    const created = (outs as { streamCreated?: string }).streamCreated;

    await removeStreams(server);
    await startNoetl(server, { stream: { max_age: 60e9, no_ack: true }, consumer: { max_deliver: 3 } });
    await startGateway(server, { sessions: { max_age: 60e9 } });
    const first = await read(id, outs);
    expect(first.inputs).toEqual({
      ...inputs,
      expect: { ...inputs.expect, maxAgeSeconds: 60 },
      worker: { ...inputs.worker, maxDeliver: 3 },
      gateway: { ...inputs.gateway, sessionTtlSeconds: 60 },
      drift: {
        "stream-acks": "no_ack; expected: acknowledges",
        "stream-lost": expect.stringMatching(`^created .*; expected: created ${created}$`) as string,
      },
    });
    const second = await read(id, first.props as object);
    expect(second).toEqual(first);
    expect(await diff(id, second.props as object, inputs)).toEqual({ changes: true });

    // The refresh has reported the loss; an update without one does it itself, and a deployment explains it.
    const warned = async (olds: object, news: object): Promise<boolean> =>
      ((await update(id, olds, news)).outs as { report: string }).report.includes("stream-lost");
    await removeStreams(server);
    await startNoetl(server);
    await startGateway(server);
    expect(await warned(second.props as object, inputs)).toBe(false);
    expect(await warned(outs, { ...inputs, strict: true })).toBe(true);
    expect(await warned(outs, { ...inputs, triggers: ["deployed"] })).toBe(false);
  });

  it("looks at the live contract where no input changed", async () => {
    await removeStreams(server);
    await startNoetl(server);
    const { inputs = {} } = check({}, { ...inputsFor(server), run: { preview: true, urn: "urn" } });
    expect(inputs).not.toHaveProperty("run");
    const { id, outs = {} } = await create(inputs);
    const warned = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const said = (): string => warned.mock.calls.splice(0).flat().join("\n");
    try {
      expect(await diff(id, outs, inputs)).toEqual({ changes: false });
      expect(said()).toBe("");

      // Drift is news until it stands in the state.
      await withManager(server, (manager) => manager.streams.update("NOETL_COMMANDS", { max_msgs: 5_000_000 }));
      expect(await diff(id, outs, inputs)).toEqual({ changes: true });
      expect(said()).toContain("drift stream-limits");
      const { outs: drifted = {} } = await update(id, outs, inputs);
      expect(await diff(id, drifted, inputs)).toEqual({ changes: false });
      await withManager(server, (manager) => manager.streams.update("NOETL_COMMANDS", { max_msgs: -1 }));
      expect(await diff(id, drifted, inputs)).toEqual({ changes: true });

      await removeStreams(server);
      expect(await diff(id, outs, inputs)).toEqual({ changes: true });
      expect(said()).toContain("violation stream-exists");

      // A stream that was lost and recreated is news once.
      await startNoetl(server);
      expect(await diff(id, outs, inputs)).toEqual({ changes: true });
      expect(said()).toContain("drift stream-lost");
      const { outs: told = {} } = await update(id, outs, inputs);
      expect((told as { report: string }).report).toContain("drift stream-lost");
      expect(await diff(id, told, inputs)).toEqual({ changes: false });

      // An update says it by what it does.
      check({}, { ...inputsFor(server), run: { preview: false, urn: "urn" } });
      await removeStreams(server);
      expect(await diff(id, told, inputs)).toEqual({ changes: true });
      expect(said()).toBe("");
    } finally {
      warned.mockRestore();
    }
  });

  it("updates from what an earlier release deployed, and from what a refresh of it left", async () => {
    await removeStreams(server);
    await startNoetl(server);
    await startGateway(server);
    const id = "NOETL_COMMANDS/noetl_worker_pool";
    const earlier = { ...DEPLOYED_EARLIER, connection: { servers: [server.address] } };
    const { streamCreated, expect: terms, worker } = DEPLOYED_EARLIER;
    const ttls = { sessionTtlSeconds: 300, requestTtlSeconds: 1800 };
    const refreshed = {
      ...earlier,
      holds: false,
      expect: { ...terms, maxAgeSeconds: 60 },
      drift: { "stream-acks": "no_ack; expected: acknowledges" },
      asked: JSON.stringify({ expect: terms, worker, gateway: ttls, streamCreated }),
    };
    for (const olds of [earlier, refreshed]) {
      const { inputs: news = {} } = check(olds, earlier);
      expect(await diff(id, olds, { ...news, noetlLine: "2.8", __provider: "new code" })).toEqual({ changes: true });
      const { outs } = await update(id, olds, news);
      expect(outs).toMatchObject({ holds: true, stream: "NOETL_COMMANDS" });
      // What the earlier release knew is remembered: this is another stream than the one that it saw.
      expect(outs).toHaveProperty("differences.stream-lost");
      expect(await diff(id, outs ?? {}, news)).toEqual({ changes: false });
    }
  });

  it("names every consumer that is lost, and the stream alone where that is", async () => {
    await removeStreams(server);
    const inputs = inputsFor(server, { noetlLine: "4.7", timeoutSeconds: 10 });
    const lost = async (): Promise<string[]> => lostIn(await checkContract(inputs, false), inputs);
    expect(await lost()).toEqual(["stream NOETL_COMMANDS"]);
    await startNoetl(server, { stream: { subjects: ["noetl.commands", "noetl.commands.>"] } });
    expect(await lost()).toEqual(["consumer noetl_worker_pool_shared", "consumer noetl_worker_pool_python"]);
    const one = inputsFor(server, { consumer: "other" });
    expect(lostIn(await checkContract(one, false), one)).toEqual(["consumer other"]);
  });

  it("does not wait for a stream that nobody is going to make", async () => {
    await removeStreams(server);
    await startNoetl(server);
    const inputs = inputsFor(server, { timeoutSeconds: 120 });
    const { id, outs = {} } = await create(inputs);
    await removeStreams(server);
    const start = performance.now();
    const { message } = await rejection(update(id, outs, inputs));
    expect(message).toContain("violation stream-exists: found no such stream");
    // Nothing tells here whether NoETL is starting, so it is given ten seconds.
    expect(performance.now() - start).toBeLessThan(60_000);
    const waiting = update(id, outs, { ...inputs, triggers: ["deployed"] });
    await sleep(500);
    await startNoetl(server);
    expect((await waiting).outs).toMatchObject({ holds: true, report: "" });
  });

  it("read takes a server that is gone as drift, and a login that it refuses", async () => {
    const gone = inputsFor({ address: `127.0.0.1:${await closedPort()}` }, { timeoutSeconds: 1 });
    expect(await read("id", gone)).toMatchObject({ props: { holds: false, server: "" } });
    const refused = await startNatsServer({ config: `authorization {users: [{user: a, password: "right"}]}` });
    try {
      const inputs = withDefaults({ ...inputsFor(refused), user: "a", password: "wrong" });
      expect(await read("id", inputs)).toMatchObject({ props: { holds: false, server: "" } });
    } finally {
      await refused.stop();
    }
  });
});
