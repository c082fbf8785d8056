/** The guard: looks at NATS when something happened there, and at least every 15 s, and does what {@link decide} says. */
import { setTimeout as sleep } from "node:timers/promises";
import { DebugEvents, type NatsConnection } from "nats";
import { allAtOnce } from "../at-once";
import { Deadline, inSeconds } from "../deadline";
import { ConnectError } from "../errors";
import { openSession } from "../nats/connect";
import { servedCertificate } from "../nats/served";
import type { Session } from "../nats/session";
import { REPAIR_MARK, settledBy } from "../rules/rule";
import { OldestPending } from "./age";
import { CertificateWatch } from "./certificate";
import { consumersOf, madeBy, passedOver, placesOf, waits, type Places } from "./passed-over";
import { brokenKey, brokenText, decide, type Heal, type Seen } from "./decide";
import { type StateLog } from "./log";
import { create, look } from "./look";
import { metricsText, newCounts, type Counts, type LastLook } from "./metrics";
import { advisories, GUARD_INBOX } from "./permissions";
import type { GuardSettings } from "./settings";

/** Longest time between two looks, in milliseconds. */
const LOOK_MILLISECONDS = 15_000;
/** Shortest time between two looks, in milliseconds; advisories come in bursts. */
const PAUSE_MILLISECONDS = 50;
/** How long one look, and what follows from it, may take, in milliseconds. */
const TURN_MILLISECONDS = 10_000;
/** How long one attempt to connect may take, and pauses between two, in milliseconds. */
const CONNECT_MILLISECONDS = 5_000;
const FIRST_RETRY_MILLISECONDS = 100;
const LONGEST_RETRY_MILLISECONDS = 1_000;
/**
 * A connection whose server is gone without a word, with its node for example, ends by its own only after minutes: it is asked so often
 * for a sign of life, in milliseconds, and given up after so many that did not come.
 */
const PING_MILLISECONDS = 4_000;
const MOST_PINGS = 2;
/** Longest time until the next look where JetStream did not answer, in milliseconds: a cluster elects, and tells nobody. */
const SILENT_MILLISECONDS = 2_000;
/** Without a turn for so long the guard counts as stuck, in milliseconds. */
const STUCK_MILLISECONDS = 60_000;

export class Guard {
  readonly counts: Counts = newCounts();
  private readonly age = new OldestPending();
  private readonly certificate: CertificateWatch;
  private last: LastLook | undefined;
  private connected = false;
  private answers = false;
  private awaySince: number | undefined;
  /** When the stream was created that was seen last; undefined before the first was seen. */
  private streamCreated: string | undefined;
  private streamGone = false;
  /** The consumers that were seen last, and how far they had come. */
  private places: Places = {};
  private turnedAt = performance.now();
  private wake: (() => void) | undefined;
  private woken = false;

  constructor(
    private readonly settings: GuardSettings,
    private readonly log: StateLog,
  ) {
    const { inputs } = settings;
    this.certificate = new CertificateWatch(() => servedCertificate(inputs, new Deadline(CONNECT_MILLISECONDS)));
  }

  metrics(): string {
    const { connected, answers, counts, last } = this;
    const { mode, stores } = this.settings;
    const certificateSeconds = this.certificate.secondsLeft();
    return metricsText({ mode, stores, connected, answers, counts, last, certificateSeconds });
  }

  /** Why the guard does not work; undefined while it does. That NATS is away is not the guard's trouble. */
  trouble(): string | undefined {
    const since = performance.now() - this.turnedAt;
    return since > STUCK_MILLISECONDS ? `no turn for ${inSeconds(since)}` : undefined;
  }

  /** Works until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener("abort", () => this.wakeUp());
    for (let tries = 0; !signal.aborted; tries++) {
      this.turnedAt = performance.now();
      const session = await this.connect();
      // Beside the connection: one that has ended keeps the guard from connecting, and is still shown.
      if (session) this.certificate.forget();
      void this.certificate.look();
      if (session) {
        tries = 0;
        await this.attend(session, signal);
        await session.close().catch(() => undefined);
        this.connected = false;
        this.answers = false;
        this.last = undefined;
        // The server that comes back may have another.
        this.certificate.forget();
      }
      if (!signal.aborted)
        await pause(Math.min(LONGEST_RETRY_MILLISECONDS, FIRST_RETRY_MILLISECONDS * 2 ** tries), signal);
    }
  }

  private async connect(): Promise<Session | undefined> {
    try {
      const identity = {
        name: `noetl-nats contract guard ${this.settings.id}`,
        inboxPrefix: GUARD_INBOX,
        pingInterval: PING_MILLISECONDS,
        maxPingOut: MOST_PINGS,
      };
      const session = await openSession(this.settings.inputs, new Deadline(CONNECT_MILLISECONDS), identity);
      this.connected = true;
      const after =
        this.awaySince === undefined ? "" : ` again, after ${inSeconds(performance.now() - this.awaySince)}`;
      this.awaySince = undefined;
      const words = `connected to NATS at ${session.server} (nats-server ${session.serverVersion})${after}`;
      this.log.state("nats", { level: "info", message: words, key: "connected" });
      return session;
    } catch (error) {
      this.away(error);
      return undefined;
    }
  }

  /** Says once that NATS is away, whatever each attempt fails with while it restarts; what a setting causes is said by its kind. */
  private away(error: unknown): void {
    this.awaySince ??= performance.now();
    const isSetting = error instanceof ConnectError && error.patience === "none";
    const key = isSetting ? error.problem : "away";
    this.log.state("nats", {
      level: isSetting ? "error" : "warn",
      message: `NATS is away, waiting for it: ${(error as Error).message}`,
      key,
    });
  }

  /** Turn after turn on one connection, until it ends. */
  private async attend(session: Session, signal: AbortSignal): Promise<void> {
    let closed = false;
    const silent = heartbeatOf(session.connection);
    void session.connection.closed().then(
      () => {
        closed = true;
        this.wakeUp();
      },
      () => undefined,
    );
    for (const subject of advisories(this.settings.inputs)) {
      // A refusal costs speed alone: the guard looks by itself, too.
      session.connection.subscribe(subject, { callback: (error) => (error ? undefined : this.wakeUp()) });
    }
    while (!closed && !signal.aborted) {
      this.turnedAt = performance.now();
      this.woken = false;
      void this.certificate.look();
      await this.turn(session);
      if (closed) break;
      await this.next();
    }
    const how = silent() ? "gives no sign of life" : "closed the connection";
    if (closed && !signal.aborted) this.away(new Error(`${session.server} ${how}`));
  }

  private wakeUp(): void {
    this.woken = true;
    this.wake?.();
  }

  /** Waits for an advisory, the end of the connection, or the time of the next look. */
  private async next(): Promise<void> {
    await sleep(PAUSE_MILLISECONDS);
    if (this.woken) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.wake = resolve;
      timer = setTimeout(resolve, this.answers ? LOOK_MILLISECONDS : SILENT_MILLISECONDS);
    });
    clearTimeout(timer);
    this.wake = undefined;
  }

  private async turn(session: Session): Promise<void> {
    const deadline = new Deadline(TURN_MILLISECONDS);
    try {
      this.take(await look(session, this.settings.inputs, deadline), session);
      const { heals } = this.last?.decision ?? { heals: [] };
      if (heals.length === 0) return;
      await this.heal(heals, session, deadline);
      this.take(await look(session, this.settings.inputs, deadline), session, madeBy(heals));
    } catch (error) {
      if (!(error instanceof ConnectError)) throw error;
      this.answers = false;
      this.last = undefined;
      // The end of the connection is said by whoever waits for it.
      if (error.problem !== "closed")
        this.log.state("contract", {
          level: "warn",
          message: `NATS cannot be asked: ${error.message}`,
          key: error.problem,
        });
    }
  }

  /**
   * Takes a look's result in: what it means is said where it is news.
   *
   * @param made Consumers that the guard has made since the last one.
   */
  private take(seen: Seen, session: Session, made: readonly string[] = []): void {
    const { inputs, mode } = this.settings;
    this.counts.looks++;
    this.answers = true;
    const decision = decide(inputs, seen, mode);
    this.last = { seen, decision, oldestPendingSeconds: this.oldest(seen) };
    this.countStream(seen);
    const { repairing, broken, heals, holds } = decision;
    for (const words of repairing ? [] : passedOver(seen, this.places, made)) this.log.event("warn", words);
    // A repair makes consumers again for whom nothing is passed over.
    this.places = repairing ? {} : placesOf(seen, this.places);
    if (repairing) {
      const text = `a repair of stream ${inputs.stream} is at work, or was interrupted: the guard leaves everything alone`;
      this.log.state("repair", { level: "warn", message: text, key: "repairing" });
    } else if (this.log.is("repair", "repairing")) {
      this.log.state("repair", {
        level: "info",
        message: `the repair of stream ${inputs.stream} has ended`,
        key: "none",
      });
    }
    this.tellUnanswered(seen);
    // What is about to be created is said when it has been.
    if (heals.length > 0 && !this.log.is("heal", "refused")) return;
    const told = { server: session.server, isWhole: seen.unanswered.length === 0 };
    this.log.state("contract", {
      level: holds ? "info" : "error",
      message: brokenText(broken, told),
      key: brokenKey(broken, told),
    });
  }

  private tellUnanswered({ unanswered }: Seen): void {
    if (unanswered.length > 0) {
      const message = `nobody answers for a part, the guard goes on without it: ${unanswered.join("; ")}`;
      this.log.state("unanswered", { level: "warn", message, key: unanswered.join() });
    } else if (this.log.forget("unanswered")) {
      this.log.event("info", "all that the guard asks for is answered again");
    }
  }

  private oldest(seen: Seen): number {
    const { stream } = seen.observed;
    if (!stream) return 0;
    // The floor of one that has nothing to do stays where it was.
    const open = consumersOf(seen).filter((info) => waits(info) > 0);
    const server = Date.parse(String((stream as { ts?: string }).ts));
    const stored = Date.parse(String(stream.state.last_ts));
    return this.age.look(
      {
        created: String(stream.created),
        sequence: stream.state.last_seq,
        age: (Number.isNaN(server) ? Date.now() : server) - stored,
      },
      {
        floor: Math.min(stream.state.last_seq, ...open.map(settledBy)),
        waiting: open.reduce((sum, info) => sum + waits(info), 0),
      },
      performance.now(),
    );
  }

  /** Counts streams that were lost since the last look, and those that are there again. */
  private countStream({ observed: { stream }, holding }: Seen): void {
    const created = stream && String(stream.created);
    const isReplaced = created !== this.streamCreated && stream?.config.metadata?.[REPAIR_MARK] !== undefined;
    if (holding || (isReplaced && !this.streamGone)) {
      // Whoever repairs replaces it on purpose, and may have done it between two looks.
      this.streamCreated = created ?? this.streamCreated;
      return;
    }
    if (created === undefined) {
      if (this.streamCreated !== undefined && !this.streamGone) this.counts.streamLost++;
      this.streamGone = true;
      return;
    }
    const isOther = this.streamCreated !== undefined && this.streamCreated !== created;
    if (isOther && !this.streamGone) this.counts.streamLost++;
    if (isOther) this.counts.streamRemade++;
    this.streamGone = false;
    this.streamCreated = created;
  }

  /** Creates, in order, what is missing; what was not asked for when NATS refuses one is left to the next look. */
  private async heal(heals: readonly Heal[], session: Session, deadline: Deadline): Promise<void> {
    const ask = (heal: Heal): Promise<boolean> => create(session, heal, { id: this.settings.id, deadline });
    const asked = session.clustered ? [] : allAtOnce(heals, ask);
    let isRefused = false;
    let unanswered: Error | undefined;
    for (const [index, heal] of heals.entries()) {
      try {
        this.tellCreated(heal, await (asked[index]?.() ?? ask(heal)));
        if (!isRefused) this.log.forget("heal");
      } catch (error) {
        // Where no answer came, or a cluster has no leader yet, nothing was refused: the next look finds whether it was made.
        if (error instanceof ConnectError && error.patience === "none") {
          this.tellRefused(heal, error);
          isRefused = true;
        } else unanswered ??= error as Error;
        if (asked.length === 0) break;
      }
    }
    if (unanswered !== undefined) throw unanswered;
  }

  private tellCreated({ creates: { kind, name } }: Heal, isOurs: boolean): void {
    if (isOurs) this.counts.heals[kind]++;
    const words = isOurs
      ? `created ${kind} ${name}, which was missing`
      : `${kind} ${name} is there again, made by somebody else`;
    this.log.event(isOurs ? "warn" : "info", words);
  }

  private tellRefused({ creates: { kind, name } }: Heal, { message }: ConnectError): void {
    this.counts.refused++;
    this.log.state("heal", { level: "error", message: `cannot create ${kind} ${name}: ${message}`, key: "refused" });
  }
}

/** Whether the connection was given up because its server answered no ping. */
function heartbeatOf(connection: NatsConnection): () => boolean {
  let isSilent = false;
  const listen = async (): Promise<void> => {
    for await (const { type } of connection.status()) if (type === DebugEvents.StaleConnection) isSilent = true;
  };
  listen().catch(() => undefined); // ends with the connection
  return () => isSilent;
}

const pause = (milliseconds: number, signal: AbortSignal): Promise<void> =>
  sleep(milliseconds, undefined, { signal }).catch(() => undefined);
