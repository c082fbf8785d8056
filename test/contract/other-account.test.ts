/** NoETL's login in one account, its stream in another, which exports what NoETL asks for. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkContract, type ContractArguments } from "../../contract";
import { ADMIN } from "./probe-cases";
import {
  inputsFor,
  JETSTREAM,
  natsClient,
  startNatsServer,
  startNoetl,
  withManager,
  type NatsServer,
} from "../support/nats";
import { STREAM } from "../../contract/facts";

const SERVICES = ["$JS.API.>", "$JS.ACK.>", "noetl.commands"] as const;
type Service = (typeof SERVICES)[number];

/** A server whose account NOETL, with user `noetl`, imports from STREAMS, with user `admin`, all that is not left out. */
const config = ({ without, more = "" }: { without?: Service; more?: string } = {}): string => {
  const services = SERVICES.filter((service) => service !== without);
  const exported = SERVICES.map((subject) => `{service: "${subject}", response_type: stream}`);
  const imported = services.map((subject) => `{service: {account: STREAMS, subject: "${subject}"}}`);
  return `${JETSTREAM}
    accounts {
      STREAMS {jetstream: enabled, users: [{user: admin, password: admin}], exports: [${exported.join(", ")}], ${more}}
      NOETL {users: [{user: noetl, password: noetl}], imports: [${imported.join(", ")}], exports: [{stream: "noetl.commands"}]}
    }`;
};

const NOETL = { user: "noetl", password: "noetl" };
const LOGINS: readonly Omit<ContractArguments, "connection">[] = [
  NOETL,
  { user: "admin", password: "admin", noetlLogin: NOETL },
];

let server: NatsServer;
beforeAll(async () => {
  server = await startNatsServer({ config: config() });
});
afterAll(() => server.stop());

const check = (args: Omit<ContractArguments, "connection">) =>
  checkContract(inputsFor(server, { timeoutSeconds: 20, ...args }), false);

const stored = (): Promise<number> =>
  withManager(server, async (manager) => (await manager.streams.info(STREAM.name)).state.last_seq, ADMIN);

/** What becomes of a command that NoETL publishes and a worker takes. */
async function command(): Promise<unknown> {
  const noetl = await natsClient(server, { user: "noetl", pass: "noetl" });
  try {
    const jetstream = noetl.jetstream({ timeout: 1_000 });
    await jetstream.publish(STREAM.subject, "command");
    const consumer = await jetstream.consumers.get(STREAM.name, "noetl_worker_pool");
    return await (await consumer.next({ expires: 5_000 }))?.ackAck({ timeout: 1_000 });
  } catch (error) {
    return (error as Error).message;
  } finally {
    await noetl.close();
  }
}

describe("a stream of another account", () => {
  it("holds where NoETL's account imports all that NoETL asks for, and nothing is stored by the check", async () => {
    await startNoetl(server, {}, ADMIN);
    expect(await command()).toBe(true);
    const before = await stored();
    for (const args of LOGINS) {
      const { report, holds, skippedRules } = await check(args);
      expect({ report, holds }).toEqual({ report: "", holds: true });
      expect(skippedRules).toContainEqual({
        id: "publish-room",
        why: "the stream is another account's, to which no trace gets",
      });
    }
    expect(await stored()).toBe(before);
  });

  it.each<[Service, string, RegExp]>([
    ["noetl.commands", "publish-stream", /is taken by nobody, .* or the stream is another account's/],
    ["$JS.ACK.>", "worker-reach", /gets to nobody/],
  ])("is broken where it does not import %s, which the remedy says", async (without, rule, found) => {
    await server.reload(config({ without }));
    expect(await command()).not.toBe(true);
    for (const args of LOGINS) {
      const { report, checks } = await check(args);
      expect(checks.filter(({ ok }) => !ok).map(({ id }) => id)).toEqual([rule]);
      expect(checks.find(({ ok }) => !ok)?.found).toMatch(found);
      expect(report).toMatch(/^The stream contract of NoETL does not hold: 1 violation/);
      expect(report).toMatch(
        /where the stream is another account's, .*import .* under the same names?; and reload NATS/,
      );
    }
    await server.reload(config());
    expect(await command()).toBe(true);
    expect((await check(NOETL)).report).toBe("");
  });

  it("is broken where it gets the commands and NoETL no acknowledgement", async () => {
    const more = `imports: [{stream: {account: NOETL, subject: "noetl.commands"}}]`;
    await server.reload(config({ without: "noetl.commands", more }));
    const before = await stored();
    expect(await command()).toMatch(/TIMEOUT|503/);
    const { checks } = await check(NOETL);
    expect(checks.filter(({ ok }) => !ok)).toMatchObject([
      { id: "publish-stream", found: expect.stringMatching(/no stream that answers: .* returns nothing/) as string },
    ]);
    // NoETL's own publish was, and none of the check's.
    expect(await stored()).toBe(before + 1);
  });
});
