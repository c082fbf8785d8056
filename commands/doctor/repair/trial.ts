/** A stream that is made for a moment, to learn what NATS would refuse before the old one goes. */
import type { StreamConfig } from "nats";
import { consumerTerms } from "../../../contract/inputs";
import { CommandError } from "../../shared/exit";
import { quoted } from "../text";
import { createConsumer } from "./consumers";
import type { At } from "./context";
import { trialStream, trialSubject } from "./holding";
import { FROZEN_SUBJECT } from "./journal";
import { ROOM } from "./lock";
import { ask, type Answered } from "./messages";

/** The new stream while the repair alone writes to it. */
export type Closed = Partial<StreamConfig> & { readonly name: string };

/** What NATS would refuse of the new stream, and of what hands its commands out, is known before the old one goes. */
export async function tryTarget(at: At, closed: Closed): Promise<void> {
  const { session, journal, context } = at;
  const name = trialStream(journal.stream);
  await clearTrial(at);
  const body = { ...closed, name, subjects: [trialSubject(journal.id)], subject_transform: undefined };
  const { error } = await ask<Answered>(session, `STREAM.CREATE.${name}`, body);
  const left = `Stream ${journal.stream} is not removed`;
  if (error) {
    throw new CommandError(
      `NATS refuses the stream that is to take the place of ${journal.stream}, tried as ${name}: ${error.description} ` +
        `(${error.err_code}). ${ROOM} ${left}`,
      "wrong",
    );
  }
  const refusals = await refusedConsumers(at, name).finally(() => ask<Answered>(session, `STREAM.DELETE.${name}`, {}));
  if (refusals.length > 0) {
    throw new CommandError(
      `NATS refuses what is to hand commands to the workers: ${refusals.join("; ")}. Raise that limit of the account, or lower the ` +
        `setting. ${left}`,
      "wrong",
    );
  }
  context.step();
}

/** The longest window for duplicates that the server gives a stream: what it takes where none is asked for. */
export async function longestWindow(at: At, closed: Closed): Promise<number> {
  const { session, journal } = at;
  const name = trialStream(journal.stream);
  await clearTrial(at);
  const { duplicate_window: _window, subject_transform: _transform, ...rest } = closed;
  const body = { ...rest, name, subjects: [trialSubject(journal.id)] };
  const { config } = await ask<{ config?: Partial<StreamConfig> }>(session, `STREAM.CREATE.${name}`, body);
  await ask<Answered>(session, `STREAM.DELETE.${name}`, {});
  return config?.duplicate_window ?? 0;
}

/** Removes what an interrupted trial left, and nothing else of that name. */
async function clearTrial({ session, journal, context }: At): Promise<void> {
  const name = trialStream(journal.stream);
  const found = await session.streamInfo(name, context.deadline());
  if (!found) return;
  if (!found.config.subjects?.every((subject) => subject.startsWith(`${FROZEN_SUBJECT}.`))) {
    throw new CommandError(
      `stream ${name} is there and does not belong to a repair, which makes one of that name for a moment. Look what is in it, and ` +
        `remove it (nats stream rm ${quoted(name)}) before the repair is run again. Stream ${journal.stream} is not removed`,
      "wrong",
    );
  }
  await ask<Answered>(session, `STREAM.DELETE.${name}`, {});
}

/** Why the contract's own consumers could not be made: what is written back would be there for nobody. */
async function refusedConsumers({ session, journal, context }: At, stream: string): Promise<string[]> {
  const own = consumerTerms(context.inputs).map(({ name }) => name);
  const refusals: string[] = [];
  for (const place of journal.places.filter(({ name }) => own.includes(name))) {
    const { error } = await createConsumer(session, stream, place);
    if (error) refusals.push(`consumer ${place.name}, ${error.description} (${error.err_code})`);
  }
  return refusals;
}
