/** A ping, whose answer tells that the server has handled all that was sent to it before. */
import type { NatsConnection } from "nats";
import { within } from "../deadline";

/**
 * Waits for the answer to a ping. The client's own `flush` is settled neither where the connection breaks meanwhile nor where the server
 * says nothing.
 *
 * @param what What is waited for, in words that follow "waited 3 s for".
 * @throws ConnectError `no-answer` where the time is up, NatsError where the connection is closed, or closes.
 */
export async function ping(connection: NatsConnection, milliseconds: number, what: string): Promise<void> {
  const broken = connection.closed().then((error) => {
    throw error ?? new Error("CONNECTION_CLOSED");
  });
  await within(milliseconds, what, () => Promise.race([connection.flush(), broken]));
}
