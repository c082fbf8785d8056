/** Things that are created: several at once, because what is published between two of them would be lost, and beside others that create them. */
import { setTimeout as sleep } from "node:timers/promises";
import { ConnectError } from "./errors";

/** nats-server's code where a consumer's stream is not there. */
const NO_STREAM = "(10059)";
/** NATS' words for "somebody was faster": the name is taken by another configuration (stream 10058, consumer 10148 and 10013). */
const ALREADY_THERE = /\((?:10058|10148|10013)\)/;

/** Whether somebody else has made what was to be created, otherwise than it was to be. */
export const isThereAlready = (error: unknown): boolean =>
  error instanceof ConnectError && ALREADY_THERE.test(error.message);

/** How often a consumer is asked for whose stream is not there yet, and the pause between, in milliseconds. */
const TRIES = 5;
const TRY_MILLISECONDS = 100;

/**
 * After so long without an answer a consumer is asked for once more, in milliseconds: where the way to the server is long, the refusal of one
 * that came before its stream takes as long as that.
 */
const LONG_WAY_MILLISECONDS = 2;

const isEarly = (error: unknown): boolean => error instanceof ConnectError && error.message.includes(NO_STREAM);

/**
 * Asks for all of them in one packet: what is published between the creation of a stream and that of its consumer reaches no worker. A
 * server on its own takes one request after the other, and from nats-server 2.11 on several at once: a consumer that came before its
 * stream, which somebody else may be making, is asked for again. Not for a cluster, which needs its time for each.
 *
 * @param far True where the way to the server may be long: whatever follows the first is asked for once more where no answer comes soon.
 * @returns the answers, to be taken in the same order.
 */
export function allAtOnce<C, R>(
  changes: readonly C[],
  ask: (change: C) => Promise<R>,
  far = false,
): (() => Promise<R>)[] {
  return changes.map((change, index) => {
    const first = far && index > 0 ? askedTwice(() => ask(change)) : ask(change);
    first.catch(() => undefined); // whoever takes the answer tells
    return async () => {
      for (let tries = 1; ; tries++) {
        try {
          return await (tries === 1 ? first : ask(change));
        } catch (error) {
          if (!isEarly(error) || tries === TRIES) throw error;
          if (tries > 1) await sleep(TRY_MILLISECONDS);
        }
      }
    };
  });
}

/** Asks, and once more where no answer has come soon; gives the first one that is not about having come too early. */
async function askedTwice<R>(ask: () => Promise<R>): Promise<R> {
  const first = ask();
  const ended = first.then(
    () => true,
    () => true,
  );
  if (await Promise.race([ended, sleep(LONG_WAY_MILLISECONDS, false)])) return first;
  const second = ask();
  second.catch(() => undefined); // counts where the first came too early
  return first.catch((error: unknown) => (isEarly(error) ? second : Promise.reject(error as Error)));
}
