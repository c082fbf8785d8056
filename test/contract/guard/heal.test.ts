import { describe, expect, it, vi } from "vitest";
import { Deadline } from "../../../contract/deadline";
import { ConnectError, type ConnectProblem } from "../../../contract/errors";
import type { Heal } from "../../../contract/guard/decide";
import { Guard } from "../../../contract/guard/guard";
import { StateLog } from "../../../contract/guard/log";
import type { GuardSettings } from "../../../contract/guard/settings";
import type { Session } from "../../../contract/nats/session";

/** What comes of a creation that NATS answers so: the counts and the log of the guard, and the error that its turn ends with. */
async function healed(problem?: ConnectProblem) {
  const lines: string[] = [];
  const settings = { id: "guard-a" } as GuardSettings;
  const guard = new Guard(
    settings,
    new StateLog((line) => lines.push((JSON.parse(line) as { message: string }).message)),
  );
  const session = {
    change: () => (problem ? Promise.reject(new ConnectError(problem, "as it is")) : Promise.resolve()),
  } as unknown as Session;
  const heal: Heal = { does: "create stream S", subject: "", body: {}, creates: { kind: "stream", name: "S" } };
  const work = guard as unknown as { heal(heals: Heal[], session: Session, deadline: Deadline): Promise<void> };
  const error = await work.heal([heal], session, new Deadline(1_000)).then(
    () => undefined,
    (thrown: ConnectError) => thrown.problem,
  );
  return { lines, error, refused: guard.counts.refused, made: guard.counts.heals.stream };
}

describe("a creation of the guard", () => {
  it("counts where it is done", async () => {
    expect(await healed()).toEqual({
      lines: ["created stream S, which was missing"],
      error: undefined,
      refused: 0,
      made: 1,
    });
  });

  it.each<ConnectProblem>(["refused-request", "missing-permission"])(
    "is refused where NATS says no: %s",
    async (problem) => {
      expect(await healed(problem)).toEqual({
        lines: ["cannot create stream S: as it is"],
        error: undefined,
        refused: 1,
        made: 0,
      });
    },
  );

  it.each<ConnectProblem>(["no-answer", "jetstream-unavailable", "closed"])(
    "is not refused where nothing is known of it: %s",
    async (problem) => {
      expect(await healed(problem)).toEqual({ lines: [], error: problem, refused: 0, made: 0 });
    },
  );
});

describe("the age of the oldest command", () => {
  it("is of none that a consumer which was made again begins after, before nats-server 2.15 too", () => {
    const guard = new Guard({ id: "guard-a" } as GuardSettings, new StateLog(() => undefined));
    const work = guard as unknown as { oldest(seen: object): number };
    /** What a look finds, at a minute, of a stream whose last message came at another; no acknowledgement has come yet. */
    const look = (
      sequence: number,
      [minute, stored]: readonly [number, number],
      delivered: object,
      open: number,
    ): number => {
      const at = (minutes: number) => new Date(minutes * 60_000).toISOString();
      const stream = { created: at(0), ts: at(minute), state: { last_seq: sequence, last_ts: at(stored) } };
      const consumer = { name: "c", num_pending: 0, num_ack_pending: open, ack_floor: { stream_seq: 0 }, delivered };
      return work.oldest({ observed: { stream, consumer } });
    };
    expect(look(4, [50, 1], { consumer_seq: 0, stream_seq: 4 }, 0)).toBe(0);
    expect(look(5, [51, 51], { consumer_seq: 1, stream_seq: 5 }, 1)).toBeLessThan(60);
  });
});

it("the age of the oldest command is none of a consumer that has nothing to do, whatever it acknowledged last", () => {
  const guard = new Guard({ id: "guard-a" } as GuardSettings, new StateLog(() => undefined));
  const work = guard as unknown as { oldest(seen: object): number };
  const at = (minutes: number) => new Date(minutes * 60_000).toISOString();
  const look = (sequence: number, minute: number): number => {
    const stream = { created: at(0), ts: at(minute), state: { last_seq: sequence, last_ts: at(minute) } };
    const idle = { name: "python", num_pending: 0, num_ack_pending: 0, ack_floor: { stream_seq: 1 } };
    const busy = { name: "shared", num_pending: 0, num_ack_pending: 1, ack_floor: { stream_seq: sequence - 1 } };
    const consumers = [idle, busy].map((each) => ({ ...each, delivered: { consumer_seq: 1, stream_seq: sequence } }));
    return work.oldest({
      observed: { stream, consumers: Object.fromEntries(consumers.map((each) => [each.name, each])) },
    });
  };
  vi.spyOn(performance, "now").mockReturnValueOnce(0).mockReturnValueOnce(900_000);
  try {
    expect(look(2, 1)).toBe(0);
    expect(look(3, 16)).toBeLessThan(60);
  } finally {
    vi.restoreAllMocks();
  }
});

describe("creations of the guard", () => {
  /** What is asked for, and when, of a server that creates the consumer only where the stream is there. */
  async function asked(clustered: boolean, streamLate = false, refuses = "") {
    const requests: string[] = [];
    const there = new Set<string>();
    const lines: string[] = [];
    const guard = new Guard(
      { id: "guard-a" } as GuardSettings,
      new StateLog((line) => lines.push((JSON.parse(line) as { message: string }).message)),
    );
    const session = {
      clustered,
      change: async ({ subject }: { subject: string }) => {
        requests.push(subject);
        if (subject === refuses) throw new ConnectError("refused-request", "no room (10047)");
        if (subject === "stream" && !streamLate) there.add(subject);
        if (subject === "consumer" && !there.has("stream"))
          throw new ConnectError("refused-request", "nats refused to create it: stream not found (10059)");
        await new Promise((resolve) => setTimeout(resolve, 10));
        there.add(subject);
        requests.push(`${subject} is there`);
      },
    } as unknown as Session;
    const kinds = [...(refuses === "bucket" ? (["bucket"] as const) : []), "stream", "consumer"] as const;
    const heals = kinds.map((kind): Heal => ({
      does: "",
      subject: kind,
      body: { config: {} },
      creates: { kind, name: kind },
    }));
    const work = guard as unknown as { heal(heals: Heal[], session: Session, deadline: Deadline): Promise<void> };
    await work.heal(heals, session, new Deadline(1_000));
    return { requests, lines, refused: guard.counts.refused };
  }
  const made = ["created stream stream, which was missing", "created consumer consumer, which was missing"];

  it("are asked for at once of a server on its own, which shortens the time between them", async () => {
    expect(await asked(false)).toEqual({
      requests: ["stream", "consumer", "stream is there", "consumer is there"],
      lines: made,
      refused: 0,
    });
  });

  it("are asked for again where what they need was not there yet", async () => {
    expect(await asked(false, true)).toEqual({
      requests: ["stream", "consumer", "stream is there", "consumer", "consumer is there"],
      lines: made,
      refused: 0,
    });
  });

  it("are each told, where an earlier one is refused too", async () => {
    const { requests, lines, refused } = await asked(false, false, "bucket");
    expect(requests).toEqual(["bucket", "stream", "consumer", "stream is there", "consumer is there"]);
    expect(lines).toEqual(["cannot create bucket bucket: no room (10047)", ...made]);
    expect(refused).toBe(1);
  });

  it("are asked for one after the other of a cluster, which needs its time for each", async () => {
    expect(await asked(true, true)).toEqual({
      requests: ["stream", "stream is there", "consumer", "consumer is there"],
      lines: made,
      refused: 0,
    });
  });
});
