/** What came of trying what NoETL does, with its own login. */

/** nats-server's words where a connection has as many subscriptions as it may. */
export const TOO_MANY_SUBSCRIPTIONS = "maximum subscriptions exceeded";

/** Where a publish ended. */
export type Route =
  /** A stream answered; `code` and `words` are its error, 10060 where it would have taken the message. */
  | { readonly end: "stream"; readonly stream: string; readonly code: number; readonly words: string }
  /** The login may not publish there; the server's sentence. */
  | { readonly end: "refused"; readonly words: string }
  /** Nobody takes what is published there. */
  | { readonly end: "nobody" }
  /** Somebody takes it and says nothing, which a stream does not do. */
  | { readonly end: "silence" }
  /** Somebody answered who is not a stream. */
  | { readonly end: "somebody"; readonly words: string };

/** What became of the publishes on one subject. */
export interface PublishProbe {
  readonly subject: string;
  /** Who published, in words. */
  readonly login: string;
  /** Every different end that the publishes came to; a mapping may be weighted. */
  readonly routes: readonly Route[];
  /** True where a trace did not get there and a publish does: the stream is another account's. */
  readonly untraced?: true;
  /** Every different subject that a mapping made of it; undefined where it does not matter, or the server did not tell. */
  readonly mapped?: readonly string[];
}

/** An error of the JetStream API. */
export interface Refusal {
  readonly code: number;
  readonly words: string;
}

/** What a worker asks and its consumer does not get. */
export interface Stray {
  readonly subject: string;
  /** As of a {@link Route}. */
  readonly end: "nobody" | "silence" | "somebody";
}

/** What the workers' login may not do of what a worker does with one consumer; the server's sentences. */
export interface WorkerProbe {
  readonly consumer: string;
  /** Who tried, in words. */
  readonly login: string;
  readonly info?: string;
  readonly fetch?: string;
  readonly ack?: string;
  /** What the subjects of acknowledgements begin with, where it is not the usual. */
  readonly acknowledged?: string;
  /** Set where it may acknowledge only what it was handed (`allow_responses`), which cannot be tried. */
  readonly answersOnly?: boolean;
  readonly lookup?: string;
  /** Set where it may not listen for commands, or its connection may not have as many subscriptions as a worker's. */
  readonly listen?: string;
  /** What it tried to listen on then, as a worker listens for commands: one token below what all its answers come below. */
  readonly inbox?: string;
  /** Set where a worker would remove its consumer to make it again, and may not; undefined too where the server does not tell. */
  readonly remake?: string;
  /** What does not get to the consumer, or to NATS' API, although the login may ask it; undefined where that was not tried. */
  readonly strays?: readonly Stray[];
  /** Why the server would refuse the consumer that a worker adds; null where it would not, undefined where it was not asked. */
  readonly creation?: Refusal | null;
}

/** All that was tried with NoETL's login. */
export interface Probe {
  /** NoETL's login, in words. */
  readonly login: string;
  /** The server's words where NoETL's login is not accepted; nothing else was tried then. */
  readonly notAccepted?: string;
  /** When the stream that NoETL's login sees was created, where that is another stream than the check's login sees. */
  readonly elsewhere?: string;
  readonly publishes: readonly PublishProbe[];
  readonly workers: readonly WorkerProbe[];
  /** Why the server has no room for a command; null where it has, undefined where it does not tell. */
  readonly room?: Refusal | null;
  /** Why the server would refuse the stream that NoETL creates; as {@link WorkerProbe.creation}. */
  readonly creation?: Refusal | null;
  /** Largest message that the server takes, in bytes. */
  readonly maxPayload: number;
}
