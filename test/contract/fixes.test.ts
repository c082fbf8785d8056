import type { ConsumerInfo, StorageType, StreamInfo } from "nats";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { checkContract, ensureContract, EnsureRefused, withDefaults, type ContractInputs } from "../../contract";
import { consumerKey, type DeclaredObserved } from "../../contract/declared/observe";
import { declaredResults } from "../../contract/declared/rules";
import { targetsOf } from "../../contract/declared/targets";
import type { Declared } from "../../contract/declared/types";
import { fixCommands } from "../../contract/message";
import { CONSUMER, STREAM } from "../../contract/facts";
import type { ContractArguments } from "../../contract";
import { arrange, BROKEN, CASES_CONFIG, clear } from "./cases";
import {
  inputsFor,
  natsCommand,
  restartNoetl,
  startGateway,
  startNatsServer,
  startNoetl,
  withManager,
  type NatsServer,
  type ServerTool,
} from "../support/nats";

/** The commands at the end of a report. */
const commandsIn = (report: string): string[] =>
  report.split("\n").flatMap((line) => /^ {4}((?:nats|kubectl) .*)$/.exec(line)?.slice(1) ?? []);

/** Runs them, NoETL's restarts as they would be. */
async function runAll(
  commands: readonly string[],
  server: NatsServer,
  { args }: (typeof BROKEN)[number],
): Promise<void> {
  for (const command of commands) {
    if (command === "kubectl -n gateway rollout restart deploy/gateway") {
      await startGateway(server);
    } else if (command.startsWith("kubectl")) {
      expect(command).toMatch(/^kubectl -n noetl rollout restart (deploy\/noetl-server )?deploy\/noetl-worker$/);
      await restartNoetl(server, args?.expect?.storage as StorageType | undefined, args?.consumers);
    } else {
      await natsCommand(command);
    }
  }
}

describe("the commands of a report, run as they stand", () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNatsServer({ config: CASES_CONFIG });
  });
  afterAll(() => server.stop());
  beforeEach(() => clear(server));

  const here = BROKEN.filter(({ until = 15 }) => until >= 15);

  it.each(here.filter(({ advice }) => !advice))("fix $rule: $name", async (broken) => {
    await arrange(server, broken);
    const inputs = inputsFor(server, { timeoutSeconds: 2, ...broken.args });
    const { report } = await checkContract(inputs);
    const commands = commandsIn(report);
    expect(commands.length).toBeGreaterThan(0);
    await runAll(commands, server, broken);
    expect((await checkContract(inputs)).report).toBe("");
  });

  it.each(here.filter(({ advice }) => advice))("or words do, done as they say, for $rule: $name", async (broken) => {
    await arrange(server, broken);
    const { args, remembered, advice } = broken;
    const created = () =>
      withManager(server, async (manager) => (await manager.streams.info(STREAM.name)).created, {}).catch(() => "");
    const check = async (given: typeof args, seen: typeof remembered) =>
      checkContract(inputsFor(server, { timeoutSeconds: 2, ...given }), true, seen?.(await created()));
    const found = await check(args, remembered);
    const [, fixing = ""] = found.report.split("  To fix it:\n");
    expect(fixing).toMatch(advice?.says ?? /^$/);
    await advice?.act?.(server);
    if (advice?.reload) await server.reload(advice.reload);
    try {
      const fixed = await check(advice?.args ?? args, advice?.remembered ?? remembered);
      expect({ holds: fixed.holds, report: fixed.report }).toEqual({ holds: true, report: "" });
    } finally {
      if (advice?.reload) await server.reload(CASES_CONFIG);
    }
  });

  it("say how many messages recreating the stream drops", async () => {
    await startNoetl(server, { stream: { storage: "file" as never } });
    await withManager(server, async (_manager, connection) => {
      for (let count = 0; count < 3; count++) await connection.jetstream().publish(STREAM.subject);
    });
    const { report } = await checkContract(inputsFor(server));
    expect(report).toContain("Removing the stream drops the 3 messages in it.");
    const info = JSON.parse(await natsCommand(`nats --server ${server.address} stream info ${STREAM.name} --json`)) as {
      state: { messages: number };
    };
    expect(info.state.messages).toBe(3);
  });
});

describe("commands that wait for a worker", () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNatsServer({ config: CASES_CONFIG });
  });
  afterAll(() => server.stop());
  beforeEach(() => clear(server));

  /** Three commands: one in flight, two that wait. */
  const withCommands = (changes: Parameters<typeof startNoetl>[1], args: ContractArguments = {}) =>
    withManager(server, async (_manager, connection) => {
      await startNoetl(server, changes);
      const jetstream = connection.jetstream();
      for (let count = 0; count < 3; count++) await jetstream.publish(STREAM.subject);
      await (await jetstream.consumers.get(STREAM.name, CONSUMER.name)).next({ expires: 5_000 });
      return checkContract(inputsFor(server, args));
    });
  const open = () =>
    withManager(server, async (manager) => {
      const info = await manager.consumers.info(STREAM.name, CONSUMER.name);
      return [info.num_pending, info.num_ack_pending];
    });

  it("are all still there when the commands of a report have changed how many may be in flight", async () => {
    const { report } = await withCommands({ consumer: { max_ack_pending: 32 } });
    const commands = commandsIn(report);
    expect(commands).toEqual([
      expect.stringMatching(/ consumer edit NOETL_COMMANDS noetl_worker_pool --max-pending=64 -f$/),
    ]);
    await runAll(commands, server, { args: {} } as (typeof BROKEN)[number]);
    expect(await open()).toEqual([2, 1]);
    await restartNoetl(server);
    expect(await open()).toEqual([2, 1]);
  });

  it("are said to be lost where the commands remove their consumer, and are", async () => {
    const { report } = await withCommands({ consumer: { inactive_threshold: 600e9 } });
    expect(report).toContain(
      "Removing consumer noetl_worker_pool loses the 3 commands that wait or are in flight: the one that workers add begins at the next.",
    );
    await runAll(commandsIn(report), server, { args: {} } as (typeof BROKEN)[number]);
    expect(await open()).toEqual([0, 0]);
  });

  it("are said to come again where a new consumer begins at the first", async () => {
    const { report } = await withCommands(
      { consumer: { deliver_policy: "all" as never, inactive_threshold: 600e9 } },
      { expect: { deliverPolicy: "all" } },
    );
    expect(report).toContain("Removing consumer noetl_worker_pool has up to 3 commands delivered again");
  });

  it("are not spoken of where there is none", async () => {
    await startNoetl(server, { consumer: { inactive_threshold: 600e9 } });
    expect((await checkContract(inputsFor(server))).report).not.toContain("Removing");
  });
});

describe.each<[ServerTool, number]>([
  ["nats-server-2.9", 9],
  ["nats-server-2.11", 11],
])("on %s, which does not change what later servers do,", (tool, minor) => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNatsServer({ config: CASES_CONFIG, tool });
  });
  afterAll(() => server.stop());
  beforeEach(() => clear(server));

  const rules = ["stream-retention", "stream-max-consumers", "stream-consumer-limits"];
  const here = BROKEN.filter(({ rule, since = 9 }) => rules.includes(rule) && since <= minor);

  it.each(here)("the commands fix $rule: $name", async (broken) => {
    await arrange(server, broken);
    const inputs = inputsFor(server, { timeoutSeconds: 2, ...broken.args });
    await runAll(commandsIn((await checkContract(inputs)).report), server, broken);
    expect((await checkContract(inputs)).report).toBe("");
  });

  it.each(here)("mode ensure fixes it, or refuses and leaves everything: $rule: $name", async (broken) => {
    await arrange(server, broken);
    const inputs = inputsFor(server, { timeoutSeconds: 2, mode: "ensure", ...broken.args });
    const outcome = await ensureContract(inputs).catch((error: unknown) => error);
    if (outcome instanceof Error) expect(outcome).toBeInstanceOf(EnsureRefused);
    else expect(outcome).toMatchObject({ report: "" });
  });
});

describe("fixCommands", () => {
  const cluster: ContractInputs = withDefaults({
    connection: { namespace: "messaging", service: "bus", context: "kind noetl", kubeconfig: "/my files/kubeconfig" },
    user: "noetl",
    password: "pa-ss-wo-rd",
    stream: "JOBS",
    consumer: "pool",
    noetl: { namespace: "apps", serverDeployment: "api", workerDeployment: "runner" },
  });

  it("go through nats-box, which is logged in, and name what the inputs name", () => {
    expect(fixCommands(cluster, [{ action: "recreate-stream" }])).toEqual([
      "kubectl --kubeconfig '/my files/kubeconfig' --context 'kind noetl' -n messaging exec deploy/bus-box -- nats stream rm JOBS -f",
      "kubectl --kubeconfig '/my files/kubeconfig' --context 'kind noetl' -n apps rollout restart deploy/api deploy/runner",
    ]);
  });

  it("show nothing of a kubeconfig that is given as its content", () => {
    const kubeconfig = "{users: [{user: {token: canary}}]}";
    const inputs = { ...cluster, connection: { ...cluster.connection, kubeconfig } };
    expect(fixCommands(inputs, [{ action: "restart-worker" }])).toEqual([
      "kubectl --context 'kind noetl' -n apps rollout restart deploy/runner",
    ]);
  });

  it("go the way that the connection names, where it has no nats-box", () => {
    const natsCommand = "npm run nats -- --stack acme/prod";
    const inputs = { ...cluster, connection: { ...cluster.connection, natsCommand } };
    expect(fixCommands(inputs, [{ action: "recreate-stream" }])).toEqual([
      "npm run nats -- --stack acme/prod stream rm JOBS -f",
      "kubectl --kubeconfig '/my files/kubeconfig' --context 'kind noetl' -n apps rollout restart deploy/api deploy/runner",
    ]);
  });

  it("are exactly the documented ones where everything has its default", () => {
    expect(fixCommands(withDefaults({}), [{ action: "recreate-stream" }])).toEqual([
      "kubectl -n nats exec deploy/nats-box -- nats stream rm NOETL_COMMANDS -f",
      "kubectl -n noetl rollout restart deploy/noetl-server deploy/noetl-worker",
    ]);
  });

  it("leave out what recreating makes needless", () => {
    const edits = [
      { action: "edit-stream", patch: { no_ack: false } },
      { action: "edit-consumer", patch: { ack_wait: 30e9 } },
      { action: "restart-worker" },
    ] as const;
    expect(fixCommands(cluster, [...edits, { action: "recreate-stream" }])).toHaveLength(2);
    expect(fixCommands(withDefaults({}), [...edits, { action: "recreate-consumer" }])).toEqual([
      "kubectl -n nats exec deploy/nats-box -- nats stream edit NOETL_COMMANDS --ack -f",
      "kubectl -n nats exec deploy/nats-box -- nats consumer rm NOETL_COMMANDS noetl_worker_pool -f",
      "kubectl -n noetl rollout restart deploy/noetl-server deploy/noetl-worker",
    ]);
  });

  it("gather several edits into one and quote what a shell would expand", () => {
    expect(
      fixCommands(withDefaults({}), [
        { action: "edit-stream", patch: { subjects: ["a.>", "it's"] } },
        { action: "edit-stream", patch: { no_ack: false } },
      ]),
    ).toEqual([
      `kubectl -n nats exec deploy/nats-box -- nats stream edit NOETL_COMMANDS --subjects 'a.>' --subjects 'it'\\''s' --ack -f`,
      "kubectl -n noetl rollout restart deploy/noetl-server deploy/noetl-worker",
    ]);
  });
});

describe("what has declared objects made again", () => {
  const declared = (storage: "file" | "memory", deliverPolicy: "all" | "new"): Declared => ({
    streams: [{ name: "ORDERS", storage }],
    consumers: [{ stream: "ORDERS", name: "billing", deliverPolicy }],
    buckets: [{ name: "carts", storage }],
    objectStores: [{ name: "invoices", storage }],
  });
  const found = targetsOf(declared("file", "all"));
  const of = <T>(isConsumer: boolean) =>
    Object.fromEntries(
      found
        .filter(({ consumer }) => (consumer !== undefined) === isConsumer)
        .map(({ stream, consumer, config }) => [
          consumer === undefined ? stream : consumerKey(stream, consumer),
          { config, state: { messages: 0, bytes: 0, consumer_count: 0 } } as T,
        ]),
    );
  const observed: DeclaredObserved = {
    server: { version: "2.12.0", clustered: false },
    streams: of<StreamInfo>(false),
    consumers: of<ConsumerInfo>(true),
    takers: {},
    beside: {},
  };

  it.each<[string, Parameters<typeof withDefaults>[0]["connection"], string]>([
    [
      "nats-box of the stack's cluster",
      { kubeconfig: "/my files/kubeconfig", context: "prod" },
      "kubectl --kubeconfig '/my files/kubeconfig' --context prod -n nats exec deploy/nats-box -- nats",
    ],
    [
      "the command that the connection names",
      { natsCommand: "npm run nats -- --stack acme/prod" },
      "npm run nats -- --stack acme/prod",
    ],
    ["the servers themselves", { servers: ["nats://a:4222"] }, "nats --server nats://a:4222"],
  ])("goes through %s", (_, connection, nats) => {
    const inputs = withDefaults({ connection, declared: declared("memory", "new") });
    const commands = declaredResults(inputs, { declared: observed }).map(({ fix }) =>
      fix.action === "advise" ? /run `(.*?)`/.exec(fix.advice)?.[1] : undefined,
    );
    expect(commands.sort()).toEqual(
      ["consumer rm ORDERS billing -f", "kv del carts -f", "object del invoices -f", "stream rm ORDERS -f"].map(
        (words) => `${nats} ${words}`,
      ),
    );
  });
});
