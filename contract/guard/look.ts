/** What the guard asks NATS, and how it creates something. */
import { isThereAlready } from "../at-once";
import { observe } from "../check";
import type { Deadline } from "../deadline";
import type { ContractInputs } from "../inputs";
import type { Session } from "../nats/session";
import { holdingStream, lockStream } from "../rules/rule";
import type { Heal, Seen } from "./decide";

/** One round of questions; nothing is tried out, so that no refused attempt stands in the server's log. @throws ConnectError */
export async function look(session: Session, inputs: ContractInputs, deadline: Deadline): Promise<Seen> {
  const [{ observed, unanswered }, holding, lock] = await Promise.all([
    observe({ session, inputs, deadline }, { looksOnly: true }),
    session.streamInfo(holdingStream(inputs.stream), deadline),
    session.streamInfo(lockStream(inputs.stream), deadline),
  ]);
  return { observed, unanswered, holding, lock };
}

/** Metadata of what a guard made. NoETL and its gateway use what is there, whatever its metadata. */
const MADE_BY = "noetl-nats.made-by";

/**
 * Creates one thing, and never changes one.
 *
 * A server takes the same configuration twice and says both times that it created. The metadata names the guard, so that of
 * two which create the same at once one is refused and knows that it was not the one (nats-server 2.10 and newer).
 *
 * @param id Tells this guard from another.
 * @returns whether this guard created it; false where somebody else had.
 * @throws ConnectError with NATS' words where it refuses.
 */
export async function create(
  session: Session,
  { does, subject, body, creates }: Heal,
  { id, deadline }: { readonly id: string; readonly deadline: Deadline },
): Promise<boolean> {
  const metadata = { [MADE_BY]: id };
  try {
    const request = creates.kind === "consumer" ? createOnly(body, metadata) : { ...body, metadata };
    await session.change({ subject, body: request, what: `to ${does}` }, deadline);
    return true;
  } catch (error) {
    if (isThereAlready(error)) return false;
    throw error;
  }
}

/** A request that a server from 2.10 on refuses where the consumer exists with another configuration. */
function createOnly(body: object, metadata: object): object {
  const { config, ...rest } = body as { config: object };
  return { ...rest, action: "create", config: { ...config, metadata } };
}
