/** Commands as NoETL publishes and takes them, at a pace, and all that goes wrong with them while somebody changes something. */
import { connect, type NatsConnection } from "nats";
import type { Login } from "../../contract/nats/users";
import { onceElected } from "./nats";

/** Commands a second of one publisher. */
export const RATE = 200;

/** What goes on until it is ended. */
export interface Going {
  end(this: void): Promise<void>;
}

interface Names {
  readonly stream: string;
  readonly subject: string;
  readonly consumer: string;
}

export class Commands {
  /** What went wrong; empty where nothing did. */
  readonly troubles: string[] = [];
  /** How often each command was delivered, by its number. */
  readonly got = new Map<number, number>();
  /** Number of the last command that was published; they begin with 1. */
  last = 0;
  private readonly connections: NatsConnection[] = [];

  constructor(private readonly names: Names) {}

  /** A connection whose end, unless it is ended here, is a trouble. */
  async connect(servers: readonly string[], { user, password: pass }: Login): Promise<NatsConnection> {
    const connection = await connect({ servers: [...servers], user, pass });
    this.connections.push(connection);
    void (async () => {
      for await (const { type } of connection.status()) {
        if (["disconnect", "error", "staleConnection"].includes(type)) this.troubles.push(`${user}: ${type}`);
      }
    })();
    return connection;
  }

  /** Publishes commands, each of which must be stored; what a busy machine delays is made up for. */
  publish(connection: NatsConnection): Going {
    const jetstream = connection.jetstream({ timeout: 10_000 });
    const stored: Promise<unknown>[] = [];
    const started = performance.now();
    const timer = setInterval(() => {
      if (connection.isClosed()) clearInterval(timer);
      const due = ((performance.now() - started) * RATE) / 1000;
      while (stored.length < due) {
        const number = ++this.last;
        const publish = jetstream.publish(this.names.subject, JSON.stringify({ number }));
        stored.push(publish.catch((error: Error) => this.troubles.push(`command ${number}: ${error.message}`)));
      }
    }, 1000 / RATE);
    return {
      end: async () => {
        clearInterval(timer);
        await Promise.all(stored);
      },
    };
  }

  /** Fetches as a worker does, and acknowledges. */
  async work(connection: NatsConnection): Promise<Going> {
    const { stream, consumer: name } = this.names;
    const consumer = await onceElected("the consumer", () => connection.jetstream().consumers.get(stream, name));
    let ended = false;
    const done = (async () => {
      while (!ended) {
        for await (const message of await consumer.fetch({ max_messages: 10, expires: 1_000 })) {
          const { number } = message.json<{ number: number }>();
          this.got.set(number, (this.got.get(number) ?? 0) + 1);
          if (!(await message.ackAck())) this.troubles.push(`command ${number} was not acknowledged`);
        }
      }
    })().catch((error: Error) => void this.troubles.push(`a worker: ${error.message}`));
    return {
      end: async () => {
        ended = true;
        await done;
      },
    };
  }

  /** Ends all connections. */
  async close(): Promise<void> {
    for (const each of this.connections.splice(0)) await each.close();
  }
}
