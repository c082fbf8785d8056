/** The guard's log: one JSON object a line, and no line for what has been said and still is so. */
import { harmless } from "../mask/harmless";

export type Level = "info" | "warn" | "error";

/** What a line is about; a topic has one state at a time. */
export type Topic = "nats" | "contract" | "unanswered" | "repair" | "heal";

/** The state of a topic. */
export interface State {
  readonly level: Level;
  readonly message: string;
  /** What tells states apart, where the message does not. */
  readonly key?: string;
}

export class StateLog {
  private readonly said = new Map<Topic, string>();

  /**
   * @param write Takes one line without its end.
   * @param secrets Texts that no line may hold; a server's or library's words might quote one.
   */
  constructor(
    private readonly write: (line: string) => void,
    private readonly secrets: readonly string[] = [],
    private readonly now: () => Date = () => new Date(),
  ) {}

  /** Something that happened once. */
  event(level: Level, message: string): void {
    const shown = this.secrets
      .filter((secret) => secret !== "")
      .reduce((text, secret) => text.replaceAll(secret, "***"), harmless(message));
    this.write(JSON.stringify({ time: this.now().toISOString(), level, message: shown }));
  }

  /** The state of a topic: said where it is another than before. */
  state(topic: Topic, { level, message, key = message }: State): void {
    if (this.said.get(topic) === key) return;
    this.said.set(topic, key);
    this.event(level, message);
  }

  /** Whether the topic's state has been said to be this. */
  is(topic: Topic, key: string): boolean {
    return this.said.get(topic) === key;
  }

  /** Forgets a topic's state without a word, so that the next one is said; whether it had one. */
  forget(topic: Topic): boolean {
    return this.said.delete(topic);
  }
}
