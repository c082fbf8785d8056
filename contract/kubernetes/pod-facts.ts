/** What is known of the pods behind a contract. Without the client library's types, which a program that uses the package would compile, too. */

/** One pod, as far as it matters here. */
export interface PodFacts {
  readonly name: string;
  /** The container that the rest is about; undefined where none has been made yet. */
  readonly container?: string;
  /** False where it waits, fails, or does not answer its probe. */
  readonly ready: boolean;
  /** When its container last started; undefined where none runs. */
  readonly started?: string;
  readonly restarts: number;
  /** Why its container ended last, `OOMKilled` or `Error (exit code 1)`; undefined where it never did. */
  readonly ended?: string;
}

/** The pods behind a contract, by what they are of; sorted by name. */
export interface Pods {
  readonly nats: readonly PodFacts[];
  readonly noetl: readonly PodFacts[];
  /** The API server's clock when it answered, in milliseconds since 1970. */
  readonly now: number;
}
