import { createInbox, type Msg, type NatsConnection, nanos } from "nats";

/** nats-py asks the server to give up this much before it does itself, in nanoseconds. */
const EARLIER_NANOS = 100_000;
/** Status codes of the server's answers to a request for messages. */
const HEARTBEAT = 100;
const TEMPORARY = [404, 408, 409];
const UNAVAILABLE = 503;

/** No message in time. */
export class FetchTimeout extends Error {}

/** Asks for one message at a time, with the very request that nats-py makes, and puts errors in its words. */
export class Fetcher {
  private readonly inbox = createInbox();
  private readonly messages: Msg[] = [];
  private wake: () => void = () => undefined;

  constructor(
    private readonly connection: NatsConnection,
    private readonly stream: string,
    private readonly consumer: string,
  ) {
    connection.subscribe(this.inbox, {
      callback: (_, message) => {
        this.messages.push(message);
        this.wake();
      },
    });
  }

  /**
   * @param options in seconds
   * @throws FetchTimeout, or Error with what the server answers.
   */
  async next({ timeout, heartbeat }: { timeout: number; heartbeat: number }): Promise<Msg> {
    const request = {
      batch: 1,
      expires: nanos(timeout * 1000) - EARLIER_NANOS,
      idle_heartbeat: nanos(heartbeat * 1000),
    };
    if (this.connection.isClosed()) throw new Error("nats: connection closed");
    this.connection.publish(`$JS.API.CONSUMER.MSG.NEXT.${this.stream}.${this.consumer}`, JSON.stringify(request), {
      reply: this.inbox,
    });
    const deadline = Date.now() + timeout * 1000;
    for (;;) {
      const message = await this.take(deadline);
      if (message === undefined) throw new FetchTimeout();
      // What carries no data and a status is the server's own answer.
      const status = message.data.length === 0 ? (message.headers?.code ?? 0) : 0;
      if (status === 0) return message;
      if (status === HEARTBEAT) continue;
      if (TEMPORARY.includes(status)) throw new FetchTimeout();
      throw new Error(
        status === UNAVAILABLE
          ? "nats: ServiceUnavailableError: code=None err_code=None description='None'"
          : `nats: APIError: code=${status} err_code=None description='${message.headers?.description}'`,
      );
    }
  }

  private async take(deadline: number): Promise<Msg | undefined> {
    if (this.messages.length === 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.max(0, deadline - Date.now()));
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return this.messages.shift();
  }
}
