/** What a server tells of a message that it was asked to trace (nats-server 2.11). Source: its msgtrace.go. */

/** Asks it to check a message, to tell the subject what became of it, and to deliver it to nobody. */
export const traceOnly = (destination: string): Readonly<Record<string, string>> => ({
  "Nats-Trace-Dest": destination,
  "Nats-Trace-Only": "true",
});

export interface Trace {
  /** The subject that was published on. */
  readonly subject: string;
  /** What a mapping of subjects made of it; the same where there is none. */
  readonly mapped: string;
}

interface Event {
  readonly type?: string;
  readonly kind?: number;
  readonly subj?: string;
  readonly to?: string;
  readonly error?: string;
}

/** A connection of a client, as against one of another server, which a message of a cluster comes by next. */
const CLIENT = 0;

/** A trace of the server that the message was published at; undefined where the text is another one, or the server refused it. */
export function traceOf(text: string): Trace | undefined {
  const [ingress, ...events] = eventsOf(text);
  if (ingress?.type !== "in" || ingress.kind !== CLIENT || ingress.subj === undefined || ingress.error)
    return undefined;
  const mapping = events.find(({ type }) => type === "sm");
  return { subject: ingress.subj, mapped: mapping?.to ?? ingress.subj };
}

function eventsOf(text: string): readonly Event[] {
  try {
    const { events = [] } = JSON.parse(text) as { readonly events?: readonly Event[] };
    return events;
  } catch {
    return [];
  }
}
