/** Commands as NoETL announces and takes them: a server that publishes, workers that share the durable consumer. */
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type ConsumerMessages, type JetStreamClient, type NatsConnection } from "nats";
import { CONSUMER, STREAM } from "../../contract/facts";
import { until } from "./servers";

/** What was seen of a load. */
export interface Outcome {
  /** Publishes that JetStream acknowledged. */
  readonly acknowledged: number;
  /** Publishes that failed: what NoETL answers with an error. */
  readonly refused: number;
  /** Acknowledged commands that no worker got. */
  readonly lost: number;
  /** Commands that were delivered more than once. */
  readonly again: number;
  /** Most deliveries of one command. */
  readonly deliveries: number;
  /** Longest time between two acknowledged publishes, in seconds. */
  readonly gapSeconds: number;
}

/** How long NoETL's client waits for the acknowledgement of a publish, in milliseconds. */
const PUBLISH_MILLISECONDS = 5_000;
const TICK_MILLISECONDS = 10;

export class Load {
  private readonly acknowledged = new Set<string>();
  private readonly taken = new Map<string, number>();
  private deliveries = 0;
  private refused = 0;
  private gapSeconds = 0;
  private last = performance.now();
  private publishing = true;
  private working = true;
  private readonly open = new Set<Promise<void>>();
  private readonly loops: Promise<void>[] = [];
  private readonly fetches = new Set<ConsumerMessages>();

  private constructor(private readonly connections: readonly NatsConnection[]) {}

  /**
   * Starts publishing and working.
   *
   * @param perSecond Commands a second.
   */
  static async start(addresses: readonly string[], perSecond: number, workers = 2): Promise<Load> {
    // As nats-py: two seconds between two tries of one server, and for ever as far as these scenes go.
    const options = { reconnectTimeWait: 2_000, maxReconnectAttempts: -1, pingInterval: 20_000 };
    const connections = await Promise.all(
      Array.from({ length: workers + 1 }, (_, index) =>
        connect({ servers: [...addresses.slice(index), ...addresses.slice(0, index)], noRandomize: true, ...options }),
      ),
    );
    const load = new Load(connections);
    const [server, ...rest] = connections as [NatsConnection, ...NatsConnection[]];
    load.loops.push(load.publish(server.jetstream(), perSecond), ...rest.map((each) => load.work(each.jetstream())));
    return load;
  }

  private async publish(stream: JetStreamClient, perSecond: number): Promise<void> {
    const started = performance.now();
    this.last = started;
    for (let sent = 0; this.publishing; await sleep(TICK_MILLISECONDS)) {
      const due = ((performance.now() - started) / 1000) * perSecond;
      for (; sent < due; sent++) {
        const one = this.send(stream, `command-${sent}`);
        this.open.add(one);
        void one.finally(() => this.open.delete(one));
      }
    }
  }

  private async send(stream: JetStreamClient, id: string): Promise<void> {
    try {
      await stream.publish(STREAM.subject, id, { timeout: PUBLISH_MILLISECONDS });
      const now = performance.now();
      this.gapSeconds = Math.max(this.gapSeconds, (now - this.last) / 1000);
      this.last = now;
      this.acknowledged.add(id);
    } catch {
      this.refused++;
    }
  }

  private async work(stream: JetStreamClient): Promise<void> {
    while (this.working) {
      try {
        const consumer = await stream.consumers.get(STREAM.name, CONSUMER.name);
        const messages = await consumer.fetch({ max_messages: 16, expires: 5_000, idle_heartbeat: 1_000 });
        this.fetches.add(messages);
        for await (const message of messages) {
          const id = message.string();
          this.taken.set(id, (this.taken.get(id) ?? 0) + 1);
          this.deliveries = Math.max(this.deliveries, message.info.deliveryCount);
          message.ack();
        }
        this.fetches.delete(messages);
      } catch {
        await sleep(100);
      }
    }
  }

  /** Waits until so many more publishes are acknowledged. */
  async flows(commands: number): Promise<void> {
    const goal = this.acknowledged.size + commands;
    await until(`${commands} commands to be acknowledged`, () => this.acknowledged.size >= goal);
  }

  /** Ends the publishing, waits until the workers have had everything, and says what was seen. */
  async end(): Promise<Outcome> {
    this.publishing = false;
    await this.loops[0];
    await Promise.all(this.open);
    const left = () => [...this.acknowledged].filter((id) => !this.taken.has(id)).length;
    // What was delivered to a connection that broke comes again after the time to acknowledge.
    await until("the workers to take everything", () => left() === 0).catch(() => undefined);
    this.working = false;
    for (const fetch of this.fetches) fetch.stop();
    await Promise.all(this.loops);
    await Promise.all(this.connections.map((connection) => connection.close()));
    return {
      acknowledged: this.acknowledged.size,
      refused: this.refused,
      lost: left(),
      again: [...this.taken.values()].filter((times) => times > 1).length,
      deliveries: this.deliveries,
      gapSeconds: this.gapSeconds,
    };
  }
}
