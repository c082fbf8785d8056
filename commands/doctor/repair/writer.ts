/** Writes messages to a stream in their order, exactly once, whatever their headers ask the server for. */
import { setTimeout as sleep } from "node:timers/promises";
import { ConnectError } from "../../../contract/errors";
import type { Session } from "../../../contract/nats/session";
import { CommandError } from "../../shared/exit";
import { ask, headerOf, publish, type Answered, type Message, type PubAnswer } from "./messages";

/** Window of a stream that the repair fills: the shortest that the server takes, in milliseconds. */
export const SHORT_WINDOW_MILLISECONDS = 100;
/** After so long a stream with that window has forgotten an identifier: its timer runs once a window. */
const FORGOTTEN_MILLISECONDS = 250;
/** How often a message that is taken for a repeat is tried again. */
const TRIES = 40;

/** What a server or an account says that has no room, or no leader, at the moment: no fault of the message. */
const PASSING = [10002, 10008, 10023, 10028, 10047, 10077, 10118];
const MESSAGE_ID = "Nats-Msg-Id";

export const messageId = ({ headers }: Pick<Message, "headers">): string => headerOf(headers, MESSAGE_ID);

type Content = Pick<Message, "subject" | "headers" | "data">;

/** Refused for good, with the server's words; or stored. */
export type Result = { readonly refused?: string; readonly sequence?: number; readonly isRepeat?: boolean };

/** Where messages are written to. */
interface To {
  readonly stream: string;
  /** In front of each subject, with its dot: the inlet of a stream that takes nothing else. */
  readonly prefix?: string;
  /** Whether a message that the stream takes for a repeat is one; where it is not, it is written all the same. */
  readonly isRepeat?: (message: Content) => boolean;
}

export class Writer {
  /** When each identifier was last written. */
  private readonly ids = new Map<string, number>();

  private readonly stream: string;
  private readonly prefix: string;
  private readonly isRepeat: (message: Content) => boolean;

  constructor(
    private readonly session: Session,
    { stream, prefix = "", isRepeat = () => false }: To,
  ) {
    this.stream = stream;
    this.prefix = prefix;
    this.isRepeat = isRepeat;
  }

  /** Whether a message may go out together with those before it: not where the server could take it for their repeat. */
  joins(batch: readonly Pick<Message, "headers">[], message: Pick<Message, "headers">): boolean {
    const id = messageId(message);
    return id === "" || !batch.some((other) => messageId(other) === id);
  }

  /**
   * Writes a batch and waits for the stream's answers.
   *
   * @throws CommandError where the server has no room; ConnectError where it does not answer.
   */
  async write(batch: readonly Content[]): Promise<Result[]> {
    await this.untilForgotten(batch);
    const answers = await Promise.all(batch.map((message) => this.send(message)));
    const results: Result[] = [];
    for (const [index, message] of batch.entries()) {
      const answer = answers[index] as PubAnswer;
      if (answer.duplicate && this.isRepeat(message)) results.push({ isRepeat: true });
      else results.push(this.evaluateRules(answer.duplicate ? await this.insist(message) : answer));
    }
    return results;
  }

  private send(message: Content): Promise<PubAnswer> {
    const id = messageId(message);
    if (id !== "") this.ids.set(id, Date.now());
    return publish(this.session, `${this.prefix}${message.subject}`, message);
  }

  private async untilForgotten(batch: readonly Pick<Message, "headers">[]): Promise<void> {
    if (this.prefix === "") return;
    const times = batch.map((message) => this.ids.get(messageId(message)) ?? 0);
    const left = Math.max(0, ...times) + FORGOTTEN_MILLISECONDS - Date.now();
    if (left > 0) await sleep(left);
    if (this.ids.size > 10_000) this.ids.clear();
  }

  /** Writes a message that the stream took for a repeat, which it was not in the old one. */
  private async insist(message: Content): Promise<PubAnswer> {
    const { config } = await ask<{ config: { duplicate_window?: number } }>(
      this.session,
      `STREAM.INFO.${this.stream}`,
      {},
    );
    const short = SHORT_WINDOW_MILLISECONDS * 1e6;
    const widened = (config.duplicate_window ?? 0) > short;
    if (widened) await ask(this.session, `STREAM.UPDATE.${this.stream}`, { ...config, duplicate_window: short });
    try {
      for (let tries = 0; tries < TRIES; tries++) {
        const answer = await this.send(message);
        if (!answer.duplicate) return answer;
        await sleep(SHORT_WINDOW_MILLISECONDS);
      }
    } finally {
      if (widened) await ask(this.session, `STREAM.UPDATE.${this.stream}`, config);
    }
    return { error: { description: "it is taken for a repeat, whatever the window" } };
  }

  private evaluateRules({ stream, seq, error }: PubAnswer): Result {
    const words = ({ description, err_code: code }: NonNullable<Answered["error"]>): string =>
      `${description ?? "no description"}${code ? ` (${code})` : ""}`;
    if (error) {
      if (error.code === 503 || PASSING.includes(error.err_code ?? 0)) {
        throw new CommandError(
          `stream ${this.stream} takes no more: ${this.session.server} says ${words(error)}. What is left stays in the ` +
            "backup and in the holding stream: make room and run the same command again",
          "wrong",
        );
      }
      return { refused: words(error) };
    }
    if (stream === undefined) {
      throw new ConnectError("jetstream-unavailable", `nobody stores what belongs to stream ${this.stream}`);
    }
    if (stream !== this.stream) {
      throw new CommandError(`a message that belongs to stream ${this.stream} was stored in ${stream}`, "wrong");
    }
    return { sequence: seq };
  }
}
