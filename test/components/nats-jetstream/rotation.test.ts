/** What a change of a password does to those who publish and fetch: the file of users as each step leaves it, real servers. */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { connect, type NatsConnection } from "nats";
import { afterEach, describe, expect, it } from "vitest";
import { admitted, type Login, usersText } from "../../../contract/nats/users";
import { CONSUMER, STREAM } from "../../../contract/facts";
import { freePorts } from "../../../embedded/cluster/ports";
import {
  addConsumer,
  addStream,
  type NatsServer,
  onceElected,
  sleep,
  startNatsServer,
  until,
} from "../../support/nats";

const OLD: Login = { user: "noetl", password: "first" };
const NEW: Login = { user: "noetl-2", password: "7k" };
/** Commands a second. */
const RATE = 200;
/** How long each part of the change lasts under load, in milliseconds. */
const PART = 1_000;

let folder: string;
const servers: NatsServer[] = [];
const configs: string[] = [];
const connections: NatsConnection[] = [];

afterEach(async () => {
  for (const each of connections.splice(0)) await each.close();
  for (const each of servers.splice(0)) await each.stop();
  configs.splice(0);
  fs.rmSync(folder, { recursive: true, force: true });
});

/** Servers that include a file of users each, as every pod has its own; more than one are a cluster. */
async function start(count: number): Promise<void> {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "rotation-"));
  const ports = await freePorts(count);
  const routes = ports.map((port) => `"nats://127.0.0.1:${port}"`).join(", ");
  for (const [index, port] of ports.entries()) {
    const cluster = count === 1 ? "" : `cluster: {name: C, listen: "127.0.0.1:${port}", routes: [${routes}]}`;
    configs.push(`
      server_name: n${index}
      jetstream: {store_dir: "DIR/jetstream", max_memory_store: 64MB, max_file_store: 64MB}
      ${cluster}
      authorization { include ../${path.basename(folder)}/${index}.conf; }`);
    write(index, [OLD]);
  }
  servers.push(...(await Promise.all(configs.map((config) => startNatsServer({ config })))));
}

const write = (index: number, logins: readonly Login[]): void =>
  fs.writeFileSync(path.join(folder, `${index}.conf`), usersText(logins));

/** A file reaches one pod after the other. */
async function apply(logins: readonly Login[]): Promise<void> {
  for (const [index, server] of servers.entries()) {
    write(index, logins);
    await server.reload(configs[index] ?? "");
    await sleep(PART / servers.length);
  }
}

/** What went wrong with a connection; empty where nothing did. */
const troubles: string[] = [];

async function client({ user, password: pass }: Login): Promise<NatsConnection> {
  const connection = await connect({ servers: servers.map(({ address }) => address), user, pass });
  connections.push(connection);
  void (async () => {
    for await (const { type } of connection.status()) {
      if (["disconnect", "error", "staleConnection"].includes(type)) troubles.push(`${user}: ${type}`);
    }
  })();
  return connection;
}

/** Publishes commands, each of which must be stored, until it is ended; what a busy machine delays is made up for. */
function publisher(connection: NatsConnection, next: () => number) {
  const jetstream = connection.jetstream({ timeout: 10_000 });
  const stored: Promise<unknown>[] = [];
  const started = performance.now();
  const timer = setInterval(() => {
    const due = ((performance.now() - started) * RATE) / 1000;
    while (stored.length < due) {
      const number = next();
      const publish = jetstream.publish(STREAM.subject, JSON.stringify({ number }));
      stored.push(publish.catch((error: Error) => troubles.push(`command ${number}: ${error.message}`)));
    }
  }, 1000 / RATE);
  return {
    end: async (): Promise<void> => {
      clearInterval(timer);
      await Promise.all(stored);
    },
  };
}

/** Fetches as a worker does, and acknowledges, until it is ended. */
async function worker(connection: NatsConnection, got: Map<number, number>) {
  const consumer = await onceElected("the consumer", () =>
    connection.jetstream().consumers.get(STREAM.name, CONSUMER.name),
  );
  let ended = false;
  const done = (async () => {
    while (!ended) {
      for await (const message of await consumer.fetch({ max_messages: 10, expires: 1_000 })) {
        const { number } = message.json<{ number: number }>();
        got.set(number, (got.get(number) ?? 0) + 1);
        if (!(await message.ackAck())) troubles.push(`command ${number} was not acknowledged`);
      }
    }
  })();
  return {
    end: async (): Promise<void> => {
      ended = true;
      await done;
    },
  };
}

describe.each([1, 3])("a change of the password at 200 commands a second, servers: %i", (count) => {
  it(
    "loses no command, delivers none twice, and refuses nobody who is asked to move",
    { timeout: 180_000 },
    async () => {
      await start(count);
      troubles.splice(0);
      const before = await client(OLD);
      const manager = await onceElected("JetStream", () => before.jetstreamManager());
      await onceElected("the stream", () => addStream(manager, { num_replicas: count }));
      await onceElected("the consumer", () => addConsumer(manager));
      const { created } = await onceElected("the stream", () => manager.streams.info(STREAM.name));

      let last = 0;
      const next = (): number => ++last;
      const got = new Map<number, number>();
      let publishes = publisher(before, next);
      let works = await worker(before, got);
      await sleep(PART);

      const both = admitted([OLD], [NEW]);
      await apply(both);
      // NoETL's pods move, one after the other.
      const after = await client(NEW);
      const more = await worker(after, got);
      await sleep(PART);
      await works.end();
      await publishes.end();
      publishes = publisher(after, next);
      works = more;
      await sleep(PART);
      await before.drain();
      await apply([NEW]);
      await publishes.end();

      // One that came as a fetch ended comes again when its time to acknowledge is over.
      await until("every command to be done", () => got.size === last || undefined, 2 * CONSUMER.ackWaitSeconds * 1000);
      await works.end();
      expect(troubles).toEqual([]);
      expect(last).toBeGreaterThan((RATE * PART * 3) / 1000);
      expect([...got].filter(([, times]) => times !== 1)).toEqual([]);
      const { state, created: now } = await onceElected("the stream", async () =>
        (await after.jetstreamManager()).streams.info(STREAM.name),
      );
      expect({ messages: state.messages, created: now }).toEqual({ messages: last, created });
      for (const { address } of servers) {
        const { user, password: pass } = OLD;
        await expect(connect({ servers: address, user, pass })).rejects.toThrow(/Authorization Violation/i);
      }
    },
  );
});
