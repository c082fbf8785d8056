import type { ConsumerConfig, StreamConfig } from "nats";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { checkContract, ensureContract, withDefaults, type ContractArguments } from "../../contract";
import { inputProblems } from "../../contract/input-problems";
import { contractTerms } from "../../config/contract";
import { lineTerms, lineWarning } from "../../config/lines";
import { parseSettings } from "../../config/parse";
import {
  GATEWAY_RANGES,
  isGatewayWithoutNats,
  lineOfImage,
  NOETL_LINES,
  NOETL_RANGES,
  versionText,
  type NoetlLine,
} from "../../contract/lines";
import { inputsFor, removeStreams, startNatsServer, withManager, type NatsServer } from "../support/nats";

const SECOND = 1e9;

/** What each line was seen to make, as it stood in the server afterwards: the contract of that line must hold there. */
const RECORDED: Readonly<
  Record<NoetlLine, { stream: Partial<StreamConfig>; consumers: Partial<ConsumerConfig>[]; args: object }>
> = {
  "2.8": {
    stream: { subjects: ["noetl.commands"], storage: "memory" as never, max_age: 3600 * SECOND },
    consumers: [consumer("noetl_worker_pool", 30)],
    args: {},
  },
  "2.10": {
    stream: { subjects: ["noetl.commands"], storage: "memory" as never, max_age: 3600 * SECOND },
    consumers: [consumer("noetl_worker_pool", 300)],
    args: {},
  },
  "4.7": {
    stream: {
      subjects: ["noetl.commands", "noetl.commands.>"],
      storage: "memory" as never,
      max_age: 3600 * SECOND,
    },
    consumers: [
      consumer("noetl_worker_pool", 300),
      { ...consumer("noetl_worker_pool_shared", 300), filter_subject: "noetl.commands.shared.>" },
      { ...consumer("noetl_worker_pool_python", 300), filter_subject: "noetl.commands.python.>" },
    ],
    args: {},
  },
  rust: {
    stream: { subjects: ["noetl.commands", "noetl.commands.>"], storage: "file" as never, max_age: 0 },
    consumers: [
      {
        ...consumer("worker-pool", 30),
        deliver_policy: "all" as never,
        filter_subject: "noetl.commands.shared.>",
        max_deliver: -1,
        max_ack_pending: 1000,
      },
    ],
    args: { consumer: "worker-pool" },
  },
};

function consumer(name: string, ackWaitSeconds: number): Partial<ConsumerConfig> {
  return {
    durable_name: name,
    ack_policy: "explicit" as never,
    deliver_policy: "new" as never,
    replay_policy: "instant" as never,
    ack_wait: ackWaitSeconds * SECOND,
    max_deliver: 1000,
    max_ack_pending: 64,
  };
}

let server: NatsServer;
beforeAll(async () => {
  server = await startNatsServer();
});
afterAll(() => server.stop());
beforeEach(() => removeStreams(server));

async function arrange({ stream, consumers }: (typeof RECORDED)[NoetlLine]): Promise<void> {
  await withManager(server, async (manager) => {
    await manager.streams.add({ name: "NOETL_COMMANDS", ...stream });
    for (const each of consumers) await manager.consumers.add("NOETL_COMMANDS", each);
  });
}

const argsOf = (line: NoetlLine): Omit<ContractArguments, "connection"> => ({
  noetlLine: line,
  ...RECORDED[line].args,
  strict: true,
});

describe.each(NOETL_LINES)("line %s", (line) => {
  it("what it makes holds, strictly", async () => {
    await arrange(RECORDED[line]);
    const { holds, report } = await checkContract(inputsFor(server, argsOf(line)));
    expect({ holds, report }).toEqual({ holds: true, report: "" });
  });

  it("ensure finds nothing to do on what it makes, nor do the terms of any other line take something from it", async () => {
    await arrange(RECORDED[line]);
    expect((await ensureContract(inputsFor(server, { ...argsOf(line), mode: "ensure" }))).changes).toEqual([]);
    for (const other of NOETL_LINES.filter((each) => each !== line)) {
      await ensureContract(
        inputsFor(server, { noetlLine: other, ...RECORDED[other].args, mode: "ensure", timeoutSeconds: 1 }),
      ).catch(() => undefined);
      await withManager(server, async (manager) => {
        const { config } = await manager.streams.info("NOETL_COMMANDS");
        const [age, wanted] = [config.max_age, RECORDED[line].stream.max_age ?? 0];
        expect(age === 0 || (wanted > 0 && age >= wanted)).toBe(true);
        for (const each of RECORDED[line].consumers) {
          const { config: now } = await manager.consumers.info("NOETL_COMMANDS", String(each.durable_name));
          expect(now.filter_subject).toBe(each.filter_subject);
          expect(now.ack_wait).toBeGreaterThanOrEqual(each.ack_wait ?? 0);
        }
      });
    }
  });

  it("ensure makes what it makes", async () => {
    await ensureContract(inputsFor(server, { ...argsOf(line), mode: "ensure" }));
    await withManager(server, async (manager) => {
      expect((await manager.streams.info("NOETL_COMMANDS")).config).toMatchObject(RECORDED[line].stream);
      for (const each of RECORDED[line].consumers) {
        const { config } = await manager.consumers.info("NOETL_COMMANDS", String(each.durable_name));
        expect(config).toMatchObject(each);
      }
    });
  });
});

describe("the line of an image", () => {
  it.each([
    ["ghcr.io/noetl/noetl:v2.8.9", "2.8", "2.8.9"],
    ["ghcr.io/noetl/noetl:2.8.9", "2.8", "2.8.9"],
    ["localhost:5000/noetl:v2.8.9-arm64", "2.8", "2.8.9"],
    ["noetl:v2.8.9_local@sha256:0123", "2.8", "2.8.9"],
    ["noetl:kind-2.8.9", "2.8", "2.8.9"],
    ["noetl:local_v4.26.0-3-g1a2b3c4", "4.7", "4.26.0"],
    ["ghcr.io/noetl/noetl:v2.10.5", "2.8", "2.10.5"],
    ["ghcr.io/noetl/noetl:v2.10.6", "2.10", "2.10.6"],
    ["ghcr.io/noetl/noetl:v2.11.0", "2.10", "2.11.0"],
    ["ghcr.io/noetl/noetl:v2.100.4", "2.10", "2.100.4"],
    ["ghcr.io/noetl/noetl:v4.6.9", "2.10", "4.6.9"],
    ["ghcr.io/noetl/noetl:v4.7.0", "4.7", "4.7.0"],
    ["ghcr.io/noetl/noetl:v4.8.0", "4.7", "4.8.0"],
    ["ghcr.io/noetl/noetl:v4.26.0", "4.7", "4.26.0"],
    // A tag that says less moves on to the newest.
    ["ghcr.io/noetl/noetl:2.8", "2.8", "2.8"],
    ["ghcr.io/noetl/noetl:v2.10", "2.10", "2.10"],
    ["ghcr.io/noetl/noetl:4", "4.7", "4"],
    ["ghcr.io/noetl/noetl-server:v3.54.0", "rust", "3.54.0"],
    ["registry.example/noetl-worker:5.52.0", "rust", "5.52.0"],
    ["registry.example/worker-rust:latest", "rust", undefined],
    ["ghcr.io/noetl/noetl:latest", undefined, undefined],
    ["ghcr.io/noetl/noetl", undefined, undefined],
    ["localhost:5000/noetl", undefined, undefined],
    ["ghcr.io/noetl/noetl@sha256:0123", undefined, undefined],
    ["noetl:local-1a2b3c4", undefined, undefined],
    ["noetl:kind-20261128-1", undefined, undefined],
    ["noetl:2026.11.28", undefined, undefined],
    ["ghcr.io/noetl/noetl:v5.1.0", undefined, undefined],
  ] as const)("%s: %s, %s", (image, line, version) => {
    const found = lineOfImage(image);
    expect(found?.line).toBe(line);
    expect(found?.version && versionText(found.version)).toBe(version);
    expect(found?.isNearest).toBeUndefined();
  });

  it.each([
    ["ghcr.io/noetl/noetl:v1.9.0", "2.8"],
    ["ghcr.io/noetl/noetl:v2.7.4", "2.8"],
    ["ghcr.io/noetl/noetl:v4.27.0", "4.7"],
  ])("%s is not known, and nearest to %s", (image, line) => {
    expect(lineOfImage(image)).toMatchObject({ line, isNearest: true });
  });

  it.each([
    ["noetl-server:3.60.1", undefined],
    ["noetl-server:3.60.2", true],
    ["noetl-worker:5.91.1", undefined],
    ["noetl-worker:v5.91.2", true],
  ])("%s is without NATS: %s", (image, without) => {
    expect(lineOfImage(image)?.withoutNats).toBe(without);
  });
});

describe("the gateway's image", () => {
  it.each([
    ["ghcr.io/noetl/gateway:v2.14.1", false],
    ["ghcr.io/noetl/gateway:v3.7.0", false],
    ["ghcr.io/noetl/gateway:v3.7.1", true],
    ["us-central1-docker.pkg.dev/p/noetl/gateway:3.12.1-arm64", true],
    ["localhost:5000/noetl-gateway:v4", true],
    ["noetl-gateway:local", false],
    ["ghcr.io/noetl/gateway@sha256:0123", false],
    ["registry.example/api-gateway:v9.0.0", false],
  ])("%s is without NATS: %s", (image, without) => {
    expect(isGatewayWithoutNats(image)).toBe(without);
  });
});

describe("the releases of the documentation", () => {
  it("name every line, and end with those that are refused", () => {
    expect(new Set(NOETL_RANGES.flatMap(({ lines }) => lines))).toEqual(new Set(NOETL_LINES));
    for (const ranges of [NOETL_RANGES, GATEWAY_RANGES])
      expect(ranges.map(({ lines }) => lines.length === 0)).toEqual(
        ranges.map((_, index) => index === ranges.length - 1),
      );
  });

  it.each(
    NOETL_RANGES.flatMap(({ releases, lines }) =>
      [...releases.matchAll(/Python ([\d.]+)/g)].map(([, v]) => [v, lines] as const),
    ),
  )("Python %s is of one of the lines %j", (version, lines) =>
    expect(lines).toContain(lineOfImage(`noetl:${version}`)?.line),
  );

  it.each(
    NOETL_RANGES.filter(({ lines }) => !lines.some((line) => line !== "rust")).flatMap(({ releases, lines }) =>
      [...releases.matchAll(/(server|worker) (?:since )?([\d.]+)(?: to ([\d.]+))?/g)].flatMap(([, part, first, last]) =>
        [first, last].flatMap((each) => (each === undefined ? [] : [[part, each, lines.length === 0] as const])),
      ),
    ),
  )("Rust %s %s is refused: %s", (part, version, refused) => {
    expect(lineOfImage(`noetl-${part}:${version}`)?.withoutNats === true).toBe(refused);
  });
});

describe("a stack's settings", () => {
  const terms = (config: Record<string, string>) => contractTerms(parseSettings(config));
  const image = (tag: string): Record<string, string> => ({ noetlImage: `ghcr.io/noetl/noetl:${tag}` });
  const problemOf = (config: Record<string, string>): string => {
    try {
      parseSettings(config);
    } catch (error) {
      return (error as Error).message;
    }
    return "";
  };

  it("of the default NoETL ask for nothing that the contract does not ask by itself", () => {
    expect(lineTerms(parseSettings({}))).toEqual({});
    expect(lineWarning(parseSettings({}))).toBeUndefined();
  });

  it("take the line from the image, or from the setting", () => {
    expect(terms(image("v2.29.0"))).toMatchObject({ noetlLine: "2.10" });
    expect(terms({ noetlLine: "rust" })).toMatchObject({
      noetlLine: "rust",
      worker: { maxAckPending: 1000, maxDeliver: -1 },
    });
    expect(lineWarning(parseSettings({ ...image("v2.8.9"), noetlLine: "4.7" }))).toBe(
      "noetlLine is 4.7, and noetlImage ghcr.io/noetl/noetl:v2.8.9 says 2.8: the contract goes by noetlLine",
    );
  });

  it.each(["latest", "local-1a2b3c4"])("with tag %s say in one line that it is not known", (tag) => {
    const settings = parseSettings(image(tag));
    expect(lineTerms(settings)).toEqual({});
    expect(lineWarning(settings)).toBe(
      `noetlImage ghcr.io/noetl/noetl:${tag} does not tell which NoETL it holds: its stream and consumer are held to what ` +
        "line 2.8 makes, the least that every line keeps. Set noetlLine (2.8, 2.10, 4.7, rust) to say which it is",
    );
    expect(lineWarning(parseSettings({ ...image(tag), noetlLine: "2.8" }))).toBeUndefined();
    expect(lineWarning(parseSettings({ ...image(tag), deployNoetl: "false" }))).toBeUndefined();
  });

  it("with a release that is not known say which line is the nearest", () => {
    expect(lineWarning(parseSettings(image("v4.30.0")))).toContain("the nearest line, 4.7, makes. Set noetlLine");
  });

  it("know that pools came with 4.8, which of them there are, and what is published where commands are routed", () => {
    expect(terms(image("v4.7.0")).consumers).toEqual([{ name: "noetl_worker_pool" }]);
    expect(terms(image("v4.8.0")).consumers).toBeUndefined();
    expect(
      terms({ ...image("v4.26.0"), workerEnv: '{"NOETL_WORKER_POOL_SEGMENTS":"shared, python,system"}' }).consumers,
    ).toEqual(
      ["shared", "python", "system"].map((pool) => ({
        name: `noetl_worker_pool_${pool}`,
        filters: [`noetl.commands.${pool}.>`],
      })),
    );
    expect(terms({ ...image("v4.26.0"), serverEnv: '{"NOETL_COMMAND_ROUTING_ENABLED":"true"}' }).publishes).toEqual([
      "noetl.commands.shared.>",
      "noetl.commands.python.>",
    ]);
    expect(terms({ noetlLine: "rust", workerEnv: '{"NATS_FILTER_SUBJECT":"noetl.commands.gpu.>"}' }).consumers).toEqual(
      [{ name: "noetl_worker_pool", filters: ["noetl.commands.gpu.>"] }],
    );
  });

  it("know the time to acknowledge that the workers make of theirs", () => {
    const ackWait = (workerEnv: string): number | undefined =>
      terms({ ...image("v2.29.0"), workerEnv }).expect.ackWaitSeconds;
    expect(ackWait("{}")).toBeUndefined();
    expect(ackWait('{"NOETL_WORKER_NATS_ACK_WAIT_SECONDS":"600"}')).toBe(600);
    // Never below the longest command and its buffer.
    expect(ackWait('{"NOETL_WORKER_NATS_ACK_WAIT_SECONDS":"30"}')).toBe(210);
    expect(ackWait('{"NOETL_WORKER_COMMAND_TIMEOUT_SECONDS":"900"}')).toBe(930);
  });

  it.each([
    ["v2.8.9", "has no effect on the server of NoETL 2.8.9, which publishes on noetl.commands whatever is set"],
    ["v2.10.6", "has no effect on the server of NoETL 2.10.6, which publishes on noetl.commands whatever is set"],
    [
      "latest",
      "needs NoETL 2.11.0 or newer, since older ones publish on noetl.commands whatever is set, and noetlImage",
    ],
  ])("with %s and another subject are refused", (tag, why) => {
    const message = problemOf({ ...image(tag), natsSubject: "jobs" });
    expect(message).toContain(`natsSubject: "jobs" ${why}`);
    expect(message).toContain("allowed: noetl.commands, or a noetlImage whose tag is 2.11.0 or newer");
  });

  it.each([
    [{ ...image("v2.11.0") }, { noetlLine: "2.10", publishes: ["jobs"] }],
    [{ ...image("v4.26.0") }, { noetlLine: "4.7" }],
    [{ ...image("latest"), noetlLine: "4.7" }, { noetlLine: "4.7" }],
    [{ ...image("v2.8.9"), deployNoetl: "false" }, {}],
  ])("with %j and another subject are accepted", (config, expected) => {
    const found = terms({ ...config, natsSubject: "jobs" });
    expect(found).toMatchObject({ subject: "jobs", ...expected });
    expect(inputProblems(withDefaults(found as never))).toEqual([]);
  });

  it("refuse a NoETL that does not use NATS, and say what NATS is for then", () => {
    const message = problemOf({ noetlImage: "registry.example/noetl-server:v3.61.0" });
    expect(message).toContain(
      'noetlImage: "registry.example/noetl-server:v3.61.0" is a NoETL that does not use NATS for commands any more',
    );
    expect(message).toContain("NATS is still the broker of its playbooks");
    expect(message).toContain("for example ghcr.io/noetl/noetl:v2.8.9");
  });

  it("refuse a gateway that does not use NATS where it is deployed, in the same message", () => {
    const gatewayImage = "ghcr.io/noetl/gateway:v3.12.1";
    const message = problemOf({
      ...image("v2.8.9"),
      noetlImage: "noetl-worker:5.92.0",
      gatewayImage,
      deployGateway: "true",
    });
    expect(message).toContain('noetlImage: "noetl-worker:5.92.0" is a NoETL that does not use NATS');
    expect(message).toContain(
      `gatewayImage: "${gatewayImage}" is a gateway that does not use NATS any more (from 3.7.1)`,
    );
    expect(problemOf({ gatewayImage })).toBe("");
    expect(problemOf({ gatewayImage: "ghcr.io/noetl/gateway:v3.7.0", deployGateway: "true" })).toBe("");
  });

  it("leave NATS to the playbooks of such a NoETL", () => {
    const natsStreams = '[{ "name": "ORDERS", "subjects": ["orders.>"] }]';
    expect(parseSettings({ deployNoetl: "false", deployGateway: "false", natsStreams }).natsStreams).toHaveLength(1);
  });
});

describe("inputs that contradict themselves", () => {
  const problems = (args: object): string[] => inputProblems(withDefaults(args));

  it("are all in one list", () => {
    const found = problems({
      noetlLine: "3.0",
      publishes: ["a b"],
      consumers: [
        { name: "pool", filters: ["noetl.commands.>"] },
        { name: "pool", ackWaitSeconds: 0 },
        { name: "other", filters: ["noetl.commands.shared.>"] },
        { name: "a.b", filters: [] },
      ],
    });
    expect(found).toEqual([
      'noetlLine is "3.0"; allowed is one of 2.8, 2.10, 4.7, rust, for example 2.8',
      'publishes is not a list of NATS subjects; allowed is one or more, for example ["noetl.commands"]',
      expect.stringMatching(/^consumers\[1\]\.ackWaitSeconds /),
      expect.stringMatching(/^consumers\[3\]\.name /),
      expect.stringMatching(/^consumers\[3\]\.filters /),
      expect.stringMatching(/^consumers has pool more than once/),
      expect.stringMatching(/^consumers pool and other both take /),
    ]);
  });

  it("a subject that the server of the line does not publish on is refused", () => {
    expect(problems({ noetlLine: "2.8", subject: "jobs" })).toEqual([
      expect.stringMatching(
        /^subject is jobs, and the server of NoETL before 2\.11\.0 publishes on noetl\.commands whatever/,
      ),
    ]);
    expect(problems({ noetlLine: "2.10", subject: "jobs" })).toHaveLength(1);
    for (const fine of [{ noetlLine: "2.10", publishes: ["jobs"] }, { noetlLine: "4.7" }, { noetlLine: "rust" }, {}]) {
      expect(problems({ ...fine, subject: "jobs" })).toEqual([]);
    }
  });

  it("filters that leave out what is published are refused", () => {
    const consumers = [{ name: "pool", filters: ["noetl.commands.shared.>"] }];
    expect(
      problems({ noetlLine: "4.7", publishes: ["noetl.commands.shared.>", "noetl.commands.gpu.>"], consumers }),
    ).toEqual([
      expect.stringMatching(/^consumers let nothing through of noetl\.commands\.gpu\.>, which is published;/),
    ]);
    expect(problems({ noetlLine: "rust", publishes: ["noetl.commands.gpu.1"] })).toHaveLength(1);
  });

  it("nothing is said of what is not known yet", () => {
    const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
    for (const args of [
      { noetlLine: unknown },
      { subject: unknown, noetlLine: "2.8" },
      { publishes: unknown },
      { publishes: [unknown], noetlLine: "rust" },
      { consumers: unknown },
      { consumers: [{ name: unknown, filters: ["x"] }] },
    ]) {
      expect(inputProblems(withDefaults(args as never), unknown)).toEqual([]);
    }
  });

  it("a filter outside what the stream stores is refused", () => {
    expect(problems({ consumers: [{ name: "pool", filters: ["other.>"] }] })).toEqual([
      expect.stringMatching(/^consumers\[0\]\.filters has other\.>, which stream NOETL_COMMANDS does not store/),
      expect.stringMatching(/^consumers let nothing through of noetl\.commands,/),
    ]);
  });
});
