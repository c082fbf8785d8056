import type { ConsumerConfig, StreamConfig } from "nats";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { checkContract, ensureContract, withDefaults, type ContractArguments } from "../../components/stream-contract";
import { inputProblems } from "../../components/stream-contract/input-problems";
import { lineOfImage, NOETL_LINES, type NoetlLine } from "../../contract/lines";
import { inputsFor, removeStreams, startNatsServer, withManager, type NatsServer } from "./support";

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
    args: {
      consumer: "worker-pool",
      publishes: ["noetl.commands.shared.>"],
      consumers: [{ name: "worker-pool", filters: ["noetl.commands.shared.>"], maxDeliver: -1, maxAckPending: 1000 }],
    },
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
    ["ghcr.io/noetl/noetl:v2.8.9", "2.8"],
    ["ghcr.io/noetl/noetl:2.8.9", "2.8"],
    ["localhost:5000/noetl:v2.8.9-arm64", "2.8"],
    ["noetl:v2.8.9_local@sha256:0123", "2.8"],
    ["ghcr.io/noetl/noetl:v2.10.5", "2.8"],
    ["ghcr.io/noetl/noetl:v2.10.6", "2.10"],
    ["ghcr.io/noetl/noetl:v2.11.0", "2.10"],
    ["ghcr.io/noetl/noetl:v4.6.9", "2.10"],
    ["ghcr.io/noetl/noetl:v4.7.0", "4.7"],
    ["ghcr.io/noetl/noetl:v4.26.0", "4.7"],
    ["ghcr.io/noetl/noetl-server:v3.54.0", "rust"],
    ["registry.example/noetl-worker:5.52.0", "rust"],
    ["ghcr.io/noetl/noetl:latest", undefined],
    ["ghcr.io/noetl/noetl", undefined],
    ["localhost:5000/noetl", undefined],
    ["ghcr.io/noetl/noetl@sha256:0123", undefined],
    ["noetl:local-1a2b3c4", undefined],
    ["ghcr.io/noetl/noetl:v5.1.0", undefined],
    ["ghcr.io/noetl/noetl:v1.9.0", undefined],
    ["ghcr.io/noetl/noetl:2.8", undefined],
  ] as const)("%s: %s", (image, line) => {
    expect(lineOfImage(image)?.line).toBe(line);
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

  it("a filter outside what the stream stores is refused", () => {
    expect(problems({ consumers: [{ name: "pool", filters: ["other.>"] }] })).toEqual([
      expect.stringMatching(/^consumers\[0\]\.filters has other\.>, which stream NOETL_COMMANDS does not store/),
    ]);
  });
});
