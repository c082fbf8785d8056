import { AckPolicy, DeliverPolicy } from "nats";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { ExecutionFacts } from "../../../../commands/doctor/evidence";
import type { Intent } from "../../../../commands/doctor/repair";
import {
  announceLost,
  announcement,
  ANNOUNCED_SECONDS,
  lostExecutions,
  withoutAnnounced,
} from "../../../../commands/doctor/repair/announce";
import { readNats } from "../../../../commands/doctor/nats";
import { Slowness } from "../../../../commands/doctor/slowness";
import { CONSUMER, STREAM } from "../../../../contract/facts";
import { withDefaults } from "../../../../contract";
import {
  addConsumer,
  addStream,
  natsClient,
  removeStreams,
  sleep,
  startNatsServer,
  withManager,
  type NatsServer,
  type ServerTool,
} from "../../../support/nats";

const URL = "http://noetl.noetl.svc.cluster.local:8082";
let server: NatsServer;
beforeAll(async () => {
  server = await startNatsServer();
});
afterAll(() => server.stop());
afterEach(() => removeStreams(server));

/** An execution with a command each of these ids, issued a minute ago. */
const waiting = (...events: readonly string[]): ExecutionFacts => {
  const issuedAt = Date.now() - 60_000;
  return {
    id: "630211190273835008",
    path: "examples/hello",
    version: "3",
    issuedAt,
    standstill: "waits",
    commands: events.map((eventId) => ({
      eventId,
      commandId: `630211190273835008:start:${eventId}`,
      step: "start",
      issuedAt,
    })),
  };
};
const message = (event: string): string => {
  const execution = waiting(event);
  const [command] = execution.commands;
  if (!command) throw new Error("there is no command");
  return announcement({ execution, command }, URL);
};

const inputs = () => withDefaults({ connection: { servers: [server.address] }, timeoutSeconds: 5 });

async function announced(executions: readonly ExecutionFacts[], answer: boolean | (() => Promise<boolean>) = true) {
  const [said, asked]: [string[], Intent[]] = [[], []];
  const outcome = await announceLost({
    inputs: inputs(),
    noetl: { executions: () => Promise.resolve(executions), serverUrl: () => Promise.resolve(URL) },
    say: (line) => void said.push(line),
    confirm: (intent) => {
      asked.push(intent);
      return typeof answer === "boolean" ? Promise.resolve(answer) : answer();
    },
  });
  return { outcome, said, asked };
}

const inOrder = () =>
  withManager(server, async (manager) => {
    await addStream(manager);
    await addConsumer(manager);
  });

const publish = (...events: readonly string[]) =>
  withManager(server, async (_, connection) => {
    for (const event of events) await connection.jetstream().publish(STREAM.subject, message(event));
  });

/** Takes messages as a worker does, and acknowledges them or not. */
async function take(count: number, acknowledge: boolean): Promise<void> {
  const connection = await natsClient(server);
  const consumer = await connection.jetstream().consumers.get(STREAM.name, CONSUMER.name);
  for await (const each of await consumer.fetch({ max_messages: count, expires: 2000 }))
    if (acknowledge) await each.ackAck();
  await connection.close();
}

const stored = () =>
  withManager(server, async (manager) => {
    const { state } = await manager.streams.info(STREAM.name);
    const found: string[] = [];
    for (let seq = Math.max(1, state.first_seq); seq <= state.last_seq; seq++) {
      found.push((await manager.streams.getMessage(STREAM.name, { seq })).string());
    }
    return found;
  });

describe("commands before a consumer that was made again", () => {
  const again = (): Promise<void> =>
    withManager(server, async (manager) => {
      await manager.consumers.delete(STREAM.name, CONSUMER.name);
      await addConsumer(manager);
    });
  const lost = async (executions: readonly ExecutionFacts[]) => {
    const [found] = (await announced(executions, false)).asked;
    return found?.steps[0]?.replace(/ on .*/, "");
  };

  it.each<ServerTool>(["nats-server-2.9", "nats-server-2.12", "nats-server"])(
    "lead nobody to a worker, while later ones wait or are in flight, made again once or twice: %s",
    async (tool) => {
      const shared = server;
      server = await startNatsServer({ tool });
      try {
        await inOrder();
        await publish("491", "492");
        await take(1, true);
        await again();
        await publish("493");
        await again();
        // As far apart as the clocks of two servers may be.
        await sleep(1_500);
        await again();
        await publish("494", "495");
        const known = [waiting("492", "493", "494", "495")];
        expect(await lost(known)).toBe("announce 2 commands");
        await take(1, false);
        expect(await lost(known)).toBe("announce 2 commands");
        const { outcome, said } = await announced(known);
        expect(outcome).toBe(2);
        expect(said.join()).not.toMatch(/49[45]/);
        // What was announced is on its way now.
        expect(await lost(known)).toBeUndefined();
        expect((await stored()).slice(-2)).toEqual([message("492"), message("493")]);
      } finally {
        await server.stop();
        server = shared;
      }
    },
  );
});

describe("announcing again", () => {
  it("sends the server's message once, and a second run finds nothing", async () => {
    await inOrder();
    const { outcome, said, asked } = await announced([waiting("491", "492")]);
    expect(outcome).toBe(2);
    expect(asked[0]?.steps).toEqual([
      "announce 2 commands on noetl.commands, each once, with the message that NoETL's server sends",
    ]);
    expect(said[0]).toMatch(
      /^announced execution 630211190273835008 \(examples\/hello\): the command of step start, issued at /,
    );
    // Python's `json.dumps`, whose ids are numbers.
    expect((await stored())[0]).toBe(
      '{"execution_id": 630211190273835008, "event_id": 491, "command_id": "630211190273835008:start:491", "step": "start", ' +
        `"server_url": "${URL}"}`,
    );
    expect(await stored()).toHaveLength(2);
    const again = await announced([waiting("491", "492")]);
    expect(again).toMatchObject({ outcome: 0, asked: [] });
    expect(await stored()).toHaveLength(2);
  });

  it("leaves alone what waits in the stream and what a worker has in flight, and announces what is not among it", async () => {
    await inOrder();
    await publish("1", "2", "3");
    await take(1, true);
    await take(1, false);
    // The first is acknowledged: where no worker has claimed it nevertheless, nothing leads to it any more.
    const { outcome } = await announced([waiting("1", "2", "3", "4")]);
    expect(outcome).toBe(2);
    expect((await stored()).map((text) => /"event_id": (\d+)/.exec(text)?.[1])).toEqual(["1", "2", "3", "1", "4"]);
  });

  it("announces what the stream holds from before the consumer, which delivers only what is new", async () => {
    await withManager(server, (manager) => addStream(manager));
    await publish("7");
    await withManager(server, (manager) => addConsumer(manager));
    expect((await announced([waiting("7")])).outcome).toBe(1);
  });

  it("announces nothing that was taken, or announced, while it asked", async () => {
    await inOrder();
    const executions = [waiting("1", "2")];
    const { outcome } = await announced(executions, async () => {
      await publish("1");
      return true;
    });
    expect(outcome).toBe(1);
    expect(await stored()).toHaveLength(2);
  });

  it("sends nothing when it is declined, for an execution whose parent has ended, or for a command that is young", async () => {
    await inOrder();
    expect((await announced([waiting("1")], false)).outcome).toBe("declined");
    expect((await announced([{ ...waiting("1"), standstill: "parent-ended" }])).outcome).toBe(0);
    const young = Date.now() - (ANNOUNCED_SECONDS - 10) * 1000;
    const commands = waiting("1").commands.map((each) => ({ ...each, issuedAt: young }));
    expect((await announced([{ ...waiting("1"), issuedAt: young, commands }])).outcome).toBe(0);
    expect(await stored()).toEqual([]);
  });

  it("is done by one at a time, and two together send one message", async () => {
    await inOrder();
    const both = await Promise.allSettled([announced([waiting("1")]), announced([waiting("1")])]);
    expect(both.some(({ status }) => status === "fulfilled")).toBe(true);
    expect(await stored()).toHaveLength(1);
  });

  it("does not say that it has announced what NATS drops as a repeat, and when it can be", async () => {
    await withManager(server, async (manager) => {
      await addStream(manager, { duplicate_window: 3e9 });
      await addConsumer(manager);
    });
    expect((await announced([waiting("1")])).outcome).toBe(1);
    // A worker that takes the message, and cannot claim the command in NoETL.
    await take(1, true);
    const { outcome, said } = await announced([waiting("1", "2")]);
    expect({ outcome, stored: (await stored()).length }).toEqual({ outcome: 1, stored: 2 });
    expect(said.join("\n")).toContain(
      "not announced again, since it was within the last 3 s, for which NATS drops a repeat: execution 630211190273835008",
    );
    await sleep(3_200);
    expect((await announced([waiting("1")])).outcome).toBe(1);
    expect(await stored()).toHaveLength(3);
  });

  it("says so where no consumer would hand it out", async () => {
    await withManager(server, (manager) => addStream(manager));
    await expect(announced([waiting("1")])).rejects.toThrow(
      "Nothing was announced: NOETL_COMMANDS has no consumer noetl_worker_pool",
    );
  });

  it("says so where another stream has the subject", async () => {
    await withManager(server, async (manager) => {
      await addStream(manager, { subjects: ["other"] });
      await manager.consumers.add(STREAM.name, {
        durable_name: CONSUMER.name,
        ack_policy: AckPolicy.Explicit,
        deliver_policy: DeliverPolicy.New,
      });
    });
    await expect(announced([waiting("1")])).rejects.toThrow(/NATS refused the announcement of command 1: /);
  });
});

describe("what the diagnosis tells of", () => {
  const told = async (executions: readonly ExecutionFacts[]) => {
    const nats = await readNats(inputs(), new Slowness());
    const found = await lostExecutions({ ok: true, value: executions }, { ok: true, value: nats }, inputs());
    return found.ok ? found.value.map(({ commands }) => commands.map(({ eventId }) => eventId)) : found.message;
  };

  it("is what no message leads to", async () => {
    await inOrder();
    expect(await told([waiting("1", "2")])).toEqual([["1", "2"]]);
    await publish("1");
    expect(await told([waiting("1", "2"), waiting("1")])).toEqual([["2"]]);
    await take(1, false);
    expect(await told([waiting("1", "2")])).toEqual([["2"]]);
  });

  it("is all of them where there is no stream, and one without a command as soon as it is old enough", async () => {
    expect(await told([waiting("1")])).toEqual([["1"]]);
    const now = Date.now();
    const without = (secondsAgo: number) =>
      ({ ...waiting(), standstill: "no-command", issuedAt: now - secondsAgo * 1000 }) as const;
    expect(withoutAnnounced([without(20), without(40)], new Set(), now)).toHaveLength(1);
  });
});
