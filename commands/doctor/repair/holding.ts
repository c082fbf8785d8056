/**
 * The holding stream: it takes what is published while the old stream is replaced, so that no publish is refused, and it
 * tells everybody who looks at NATS whose repair is under way.
 */
import * as os from "node:os";
import type { Msg, StreamConfig, StreamInfo, Subscription } from "nats";
import { setTimeout as sleep } from "node:timers/promises";
import { Deadline } from "../../../contract/deadline";
import { holdingStream, REPAIR_MARK } from "../../../contract/rules/rule";
import type { Session } from "../../../contract/nats/session";
import { CommandError } from "../../shared/exit";
import { quoted } from "../text";
import { FROZEN_SUBJECT, type Journal } from "./journal";
import { ROOM } from "./lock";
import {
  ask,
  contentOf,
  handled,
  publish,
  readMessages,
  received,
  SUBJECTS_OVERLAP,
  untilStored,
  type Answered,
} from "./messages";
import { Stored } from "./stored";

export { holdingStream };

/** Subjects that nobody but the repair publishes on. They do not overlap each other. */
const own = (id: string, what: string): string => `${FROZEN_SUBJECT}.${id}.${what}`;
/** Of the old stream while it is saved. */
export const frozenSubject = (id: string): string => own(id, "old");
/** Of the holding stream while it takes nothing. */
export const parkedSubject = (id: string): string => own(id, "parked");
/** Of a stream that is made to see whether NATS takes its configuration. */
export const trialSubject = (id: string): string => own(id, "trial");
/** That stream. */
export const trialStream = (stream: string): string => `${stream}-repair-trial`;
/** In front of each subject that the repair writes to the new stream, which drops it. */
export const inlet = (id: string): string => own(id, "new");

/** What the holding stream says about itself, as the JSON at the end of its description. */
export interface Note {
  readonly id: string;
  readonly stack: string;
  readonly host: string;
  readonly folder: string;
  readonly begun: string;
  readonly oldCreated: string;
  /** Subjects of the old stream, and what else it gave up with them. */
  readonly subjects: readonly string[];
  readonly sources?: StreamConfig["sources"];
  readonly republish?: StreamConfig["republish"];
}

/** What a stream gives up while it is frozen: it takes nothing, and a server refuses to republish what it does not take. */
export const givenUp = ({
  subjects = [],
  sources,
  republish,
}: Partial<Pick<Note, "subjects" | "sources" | "republish">>) => ({
  subjects: [...subjects],
  ...(sources ? { sources } : {}),
  ...(republish ? { republish } : {}),
});

/** Longest description that a server takes, in bytes. */
const LONGEST_DESCRIPTION = 4096;
/** Metadata with the note's {@link givenUp}, where the description has no room for it. */
const GIVEN_UP = "noetl-nats.given-up";

/** Undefined where the stream is somebody else's. */
export function noteOf(info: Pick<StreamInfo, "config"> | undefined): Note | undefined {
  const text = info?.config.description ?? "";
  try {
    const more = JSON.parse(info?.config.metadata?.[GIVEN_UP] ?? "{}") as object;
    const note = { ...(JSON.parse(text.slice(text.indexOf("{"))) as Partial<Note> | null), ...more };
    return isNote(note) ? note : undefined;
  } catch {
    return undefined;
  }
}

const isNote = (note: Partial<Note>): note is Note =>
  [note.id, note.stack, note.host, note.folder, note.begun, note.oldCreated].every(
    (each) => typeof each === "string",
  ) && Array.isArray(note.subjects);

/** Tells every machine which repair made the stream, and whether all that the old one held is in it. */
export const marked = ({ id, whole, target }: Journal): Journal["target"] => ({
  ...target,
  metadata: { ...target.metadata, [REPAIR_MARK]: `${id} ${whole ? "whole" : "without what another machine saved"}` },
});

export const isWhole = ({ config }: Pick<StreamInfo, "config">, id: string): boolean =>
  config.metadata?.[REPAIR_MARK] === `${id} whole`;

/** The holding stream of a repair, without an end: what it takes stays until it is in the new stream. */
function holdingConfig(journal: Journal, folder: string, storage: string): Partial<StreamConfig> & { name: string } {
  const { id, stack, stream, begun, oldCreated, oldStream, target } = journal;
  const kept = givenUp(oldStream);
  const note: Omit<Note, "subjects"> = { id, stack, host: os.hostname(), folder, begun, oldCreated };
  const words = (said: object): string =>
    `takes the subjects of ${stream} while npm run doctor -- --repair replaces it. Do not remove it: run the repair ` +
    `again. ${JSON.stringify(said)}`;
  const whole = words({ ...note, ...kept });
  const fits = Buffer.byteLength(whole) <= LONGEST_DESCRIPTION;
  const { allow_msg_ttl: ttl } = oldStream as { allow_msg_ttl?: boolean };
  return {
    name: holdingStream(stream),
    description: fits ? whole : words(note),
    metadata: fits ? undefined : { [GIVEN_UP]: JSON.stringify(kept) },
    subjects: [parkedSubject(id)],
    retention: "limits" as StreamConfig["retention"],
    storage: storage as StreamConfig["storage"],
    num_replicas: target.num_replicas ?? 1,
    duplicate_window: oldStream.duplicate_window,
    ...(ttl ? ({ allow_msg_ttl: true } as object) : {}),
    // A worker that starts now looks its stream up by subject and would subscribe here: the repair has the only place.
    max_consumers: 1,
  };
}

/** Creates the holding stream, parked, with its only consumer taken.  @throws CommandError before anything is changed */
export async function createHolding(session: Session, journal: Journal, folder: string): Promise<void> {
  let last: Answered = {};
  for (const storage of ["file", "memory"]) {
    const config = holdingConfig(journal, folder, storage);
    last = await ask(session, `STREAM.CREATE.${config.name}`, config);
    if (last.error) continue;
    const consumer = { durable_name: "repair", ack_policy: "none", deliver_policy: "all", mem_storage: true };
    const body = { stream_name: config.name, config: consumer };
    await ask(session, `CONSUMER.DURABLE.CREATE.${config.name}.repair`, body);
    return;
  }
  const { description, err_code: code } = last.error ?? {};
  throw new CommandError(
    `the repair needs a stream ${holdingStream(journal.stream)} that takes what is published meanwhile, and NATS refuses ` +
      `it: ${description} (${code}). ${ROOM} The stream stands as it stood`,
    "wrong",
  );
}

/** One side of a handover: a stream, and its whole configuration afterwards. */
export interface Side {
  readonly stream: string;
  readonly config: object;
  /** Its configuration before, to put it back. */
  readonly before?: object;
}

export interface Handover {
  readonly give?: Side;
  readonly take: Side;
  /** Subjects that change hands. */
  readonly subjects: readonly string[];
  /** Whether the login may listen on them. */
  readonly listens: boolean;
  /** Whether the giving stream refuses what is published: what it has not stored was refused then, and did not fall between. */
  readonly refuses?: boolean;
}

/** What came of a handover: messages that fell between and were stored by us, and those of them that may be there twice. */
export interface Gap {
  readonly caught: number;
  readonly doubtful: number;
}

/** How long a server may take to let the other stream have the subject, in milliseconds. */
const PATIENCE_MILLISECONDS = 5_000;

/**
 * Moves subjects from one stream to another. NATS has no request for both: they go out in one packet, which the server
 * handles within microseconds. What is published in between reaches a subscription of ours, is stored by us, and only then
 * acknowledged: its publisher sees no difference.
 *
 * @throws CommandError, with the subjects where they were.
 */
export async function handOver(session: Session, handover: Handover): Promise<Gap> {
  const { give, take, subjects } = handover;
  const listens = handover.listens && handover.refuses !== true;
  // First what is stored, then what is heard: whatever is heard is then among what was stored since, or was not stored.
  const before = await lastSequences(session, handover);
  const between = listens ? await Listener.open(session, subjects) : undefined;
  try {
    await exchange(session, give, take);
    return between ? await settle(session, take, { before, between }) : { caught: 0, doubtful: 0 };
  } finally {
    between?.close();
  }
}

const update = (session: Session, { stream }: Side, config: object): Promise<Answered> =>
  ask(session, `STREAM.UPDATE.${stream}`, config);

async function exchange(session: Session, give: Side | undefined, take: Side): Promise<void> {
  const giving = give ? update(session, give, give.config) : Promise.resolve({} as Answered);
  const [given, first] = await Promise.all([giving, update(session, take, take.config)]);
  if (given.error)
    throw await refusal(session, { what: `stream ${give?.stream} does not give its subjects up`, ...given });
  // A server that works on both at once may refuse the second, which is then asked again. Never twice at a time: two
  // updates of one stream at once leave it with two subscriptions, and it stores every message twice.
  const deadline = Date.now() + PATIENCE_MILLISECONDS;
  for (let answer = first; answer.error !== undefined; answer = await update(session, take, take.config)) {
    if (answer.error.err_code === SUBJECTS_OVERLAP && Date.now() < deadline) continue;
    if (give?.before) await update(session, give, give.before);
    throw await refusal(session, { what: `stream ${take.stream} cannot take the subjects`, take, ...answer });
  }
}

/** NATS' words; where another stream has the subjects, which one, and how the repair gets them back. */
async function refusal(
  session: Session,
  { what, take, error }: Answered & { readonly what: string; readonly take?: Side },
): Promise<CommandError> {
  const said = `${what}: ${session.server} says ${error?.description} (${error?.err_code})`;
  const { subjects = [] } = (take?.config ?? {}) as Partial<StreamConfig>;
  if (take === undefined || error?.err_code !== SUBJECTS_OVERLAP) return new CommandError(said, "wrong");
  const deadline = new Deadline(PATIENCE_MILLISECONDS);
  const names = await Promise.all(subjects.map((subject) => session.streamsWith(subject, deadline).catch(() => [])));
  const others = [...new Set(names.flat())].filter((name) => name !== take.stream);
  if (others.length === 0) return new CommandError(said, "wrong");
  const advice =
    `${others.join(", ")} has been given them meanwhile: take what is in it and remove it (nats stream rm ${quoted(others[0] ?? "")}), ` +
    "or take the subjects from it (nats stream edit ... --subjects)";
  return new CommandError(`${said}. ${advice}`, "wrong");
}

/** A side of a handover, and the last sequence of its stream before it. */
interface Before extends Side {
  readonly last: number;
}

async function lastSequences(session: Session, { give, take }: Handover): Promise<Before[]> {
  const found: Before[] = [];
  for (const side of [give, take]) {
    if (!side) continue;
    const info = await session.streamInfo(side.stream, new Deadline(PATIENCE_MILLISECONDS));
    found.push({ ...side, last: info?.state.last_seq ?? 0 });
  }
  return found;
}

/** Finds what neither stream has stored of that which was heard, stores it, and acknowledges it. */
async function settle(
  session: Session,
  take: Side,
  { before, between }: { before: readonly Before[]; between: Listener },
): Promise<Gap> {
  const heard = await between.end();
  if (heard.length === 0) return { caught: 0, doubtful: 0 };
  const stored: Stored[] = [];
  let taken = 0;
  let seen = 0;
  for (const { stream, last, config } of before) {
    await untilStored(session, stream);
    const info = await session.streamInfo(stream, new Deadline(PATIENCE_MILLISECONDS));
    const now = info?.state.last_seq ?? last;
    taken += now - last;
    const since = new Stored(config);
    for await (const message of readMessages(session, stream, { from: last + 1, to: now })) {
      seen++;
      since.add(message);
    }
    stored.push(since);
  }
  const open = heard.filter((message) => {
    const content = received(message);
    return !stored.some((each) => each.take(content));
  });
  const replies = repliesTo(heard);
  let caught = 0;
  for (const message of open) {
    const answer = await publish(session, message.subject, received(message));
    if (answer.stream !== undefined && answer.stream !== take.stream) continue;
    if (answer.stream !== undefined && answer.error === undefined && !answer.duplicate) caught++;
    for (const reply of replies.get(contentOf(received(message))) ?? [])
      session.connection.publish(reply, JSON.stringify(answer));
  }
  // What is not with the server yet goes with this process.
  await handled(session);
  // What was stored and taken by a worker before we looked cannot be distinguished from what was not stored.
  return { caught, doubtful: Math.min(taken - seen, caught) };
}

/** Who waits for an answer, by content: which of two publishes of the same has been answered cannot be told, and both may be. */
function repliesTo(heard: readonly Msg[]): Map<string, string[]> {
  const replies = new Map<string, string[]>();
  for (const message of heard) {
    const content = contentOf(received(message));
    if (message.reply) replies.set(content, [...(replies.get(content) ?? []), message.reply]);
  }
  return replies;
}

/**
 * How long a server may be between two of those that it hands one message to, us and a stream, and its interest between two
 * servers of a cluster, in milliseconds: on a machine with more to do than it has processors, as long as those wait for one.
 */
const TRAVEL_MILLISECONDS = 100;

/** Hears what is published on some subjects. */
class Listener {
  private readonly heard: Msg[] = [];
  private readonly subscriptions: Subscription[];

  private constructor(
    private readonly session: Session,
    subjects: readonly string[],
  ) {
    this.subscriptions = subjects.map((subject) =>
      session.connection.subscribe(subject, {
        callback: (error, message) => {
          if (!error) this.heard.push(message);
        },
      }),
    );
  }

  static async open(session: Session, subjects: readonly string[]): Promise<Listener> {
    const listener = new Listener(session, subjects);
    await handled(session);
    await sleep(TRAVEL_MILLISECONDS);
    return listener;
  }

  /** What was heard until now. Nothing is heard any more afterwards. */
  async end(): Promise<Msg[]> {
    await handled(this.session);
    await sleep(TRAVEL_MILLISECONDS);
    await handled(this.session);
    this.close();
    await handled(this.session);
    return this.heard;
  }

  close(): void {
    for (const subscription of this.subscriptions) subscription.unsubscribe();
  }
}
