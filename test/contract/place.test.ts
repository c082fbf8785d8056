/** A stream that has lost the files of its messages, and the consumer that has not. */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { StorageType } from "nats";
import { afterEach, describe, expect, it } from "vitest";
import { checkContract } from "../../contract";
import { CONSUMER, STREAM } from "../../contract/facts";
import {
  addConsumer,
  addStream,
  inputsFor,
  natsCommand,
  restartNoetl,
  startNatsServer,
  withManager,
  type NatsServer,
  type ServerTool,
} from "../support/nats";

let server: NatsServer | undefined;
let store = "";
afterEach(async () => {
  await server?.stop();
  server = undefined;
  fs.rmSync(store, { recursive: true, force: true });
});

const config = (): string => `jetstream: {store_dir: "${store}", max_memory_store: 64MB, max_file_store: 64MB}`;

/** Files below a folder of that name. */
const filesIn = (folder: string): string[] =>
  fs
    .readdirSync(store, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && path.basename(entry.parentPath) === folder)
    .map((entry) => path.join(entry.parentPath, entry.name));

/** A server whose workers have done twenty commands, and which then has lost them. */
async function lost(tool: ServerTool): Promise<NatsServer> {
  store = fs.mkdtempSync(path.join(os.tmpdir(), "contract-place-"));
  server = await startNatsServer({ config: config(), tool });
  await withManager(server, async (manager, connection) => {
    await addStream(manager, { storage: StorageType.File });
    await addConsumer(manager);
    const jetstream = connection.jetstream();
    for (let count = 0; count < 20; count++) await jetstream.publish(STREAM.subject);
    const consumer = await jetstream.consumers.get(STREAM.name, CONSUMER.name);
    for (let count = 0; count < 20; count++) await (await consumer.next({ expires: 5_000 }))?.ackAck();
  });
  // Interrupted, a server writes what it has before it ends.
  await server.end("SIGINT");
  for (const file of filesIn("msgs")) fs.rmSync(file);
  await server.restart(config());
  return server;
}

/** Publishes a command, and gives what a worker gets. */
const published = (to: NatsServer, text: string): Promise<string | undefined> =>
  withManager(to, async (_manager, connection) => {
    const jetstream = connection.jetstream();
    await jetstream.publish(STREAM.subject, text);
    return (await (await jetstream.consumers.get(STREAM.name, CONSUMER.name)).next({ expires: 1_000 }))?.string();
  });

const FILES = { expect: { storage: "file" } } as const;

describe.each<ServerTool>(["nats-server-2.9", "nats-server-2.10", "nats-server-2.11", "nats-server-2.12"])(
  "%s",
  (tool) => {
    it("passes over what is published then, which the contract sees, and whose commands put it right", async () => {
      const to = await lost(tool);
      expect(await published(to, "nobody gets it")).toBeUndefined();
      const { holds, report } = await checkContract(inputsFor(to, FILES));
      expect(holds).toBe(false);
      expect(report).toContain("violation consumer-place: found at message 20, expected no further than message 1\n");
      const removal = report.split("\n").find((line) => line.includes(" consumer rm "));
      await natsCommand(removal?.trim() ?? "");
      await restartNoetl(to, StorageType.File);
      expect((await checkContract(inputsFor(to, FILES))).report).toBe("");
      expect(await published(to, "a command")).toBe("a command");
    });
  },
);

it("puts the place right by itself (nats-server 2.15)", async () => {
  const to = await lost("nats-server");
  expect(await published(to, "a command")).toBe("a command");
  expect((await checkContract(inputsFor(to, FILES))).report).toBe("");
});

it("counts nothing where a consumer delivers while the stream is looked at", async () => {
  server = await startNatsServer();
  const to = server;
  await withManager(to, async (manager, connection) => {
    await addStream(manager);
    await addConsumer(manager, { max_ack_pending: 64 });
    const jetstream = connection.jetstream();
    let goesOn = true;
    const working = (async () => {
      const consumer = await jetstream.consumers.get(STREAM.name, CONSUMER.name);
      while (goesOn) {
        await jetstream.publish(STREAM.subject);
        (await consumer.next({ expires: 1_000 }))?.ack();
      }
    })();
    for (let count = 0; count < 30; count++) expect((await checkContract(inputsFor(to), false)).report).toBe("");
    goesOn = false;
    await working;
  });
});
