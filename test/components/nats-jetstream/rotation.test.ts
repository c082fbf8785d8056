/** What a change of a password does to those who publish and fetch: the file of users as each step leaves it, real servers. */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { connect } from "nats";
import { afterEach, describe, expect, it } from "vitest";
import { admitted, type Login, usersText } from "../../../contract/nats/users";
import { CONSUMER, STREAM } from "../../../contract/facts";
import { freePorts } from "../../../embedded/cluster/ports";
import { Commands, RATE } from "../../support/commands";
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
/** How long each part of the change lasts under load, in milliseconds. */
const PART = 1_000;

let folder: string;
const servers: NatsServer[] = [];
const configs: string[] = [];
let commands: Commands;

afterEach(async () => {
  await commands.close();
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

describe.each([1, 3])("a change of the password at 200 commands a second, servers: %i", (count) => {
  it(
    "loses no command, delivers none twice, and refuses nobody who is asked to move",
    { timeout: 180_000 },
    async () => {
      commands = new Commands({ stream: STREAM.name, subject: STREAM.subject, consumer: CONSUMER.name });
      await start(count);
      const addresses = servers.map(({ address }) => address);
      const before = await commands.connect(addresses, OLD);
      const manager = await onceElected("JetStream", () => before.jetstreamManager());
      await onceElected("the stream", () => addStream(manager, { num_replicas: count }));
      await onceElected("the consumer", () => addConsumer(manager));
      const { created } = await onceElected("the stream", () => manager.streams.info(STREAM.name));

      let publishes = commands.publish(before);
      let works = await commands.work(before);
      await sleep(PART);

      const both = admitted([OLD], [NEW]);
      await apply(both);
      // NoETL's pods move, one after the other.
      const after = await commands.connect(addresses, NEW);
      const more = await commands.work(after);
      await sleep(PART);
      await works.end();
      await publishes.end();
      publishes = commands.publish(after);
      works = more;
      await sleep(PART);
      await before.drain();
      await apply([NEW]);
      await publishes.end();

      // One that came as a fetch ended comes again when its time to acknowledge is over.
      const { got, last, troubles } = commands;
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
