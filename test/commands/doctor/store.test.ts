import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { NatsError, StorageType } from "nats";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { meaningOf } from "../../../commands/doctor/diagnosis/logs";
import { unwritten } from "../../../commands/doctor/diagnosis/store";
import { STREAM } from "../../../contract/facts";
import { startNatsServer, until, withManager } from "../../support/nats";
import { container, healthy, lines, namespace, pod } from "./evidence";

let folder: string;
beforeEach(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), "store-"))));
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

/** The error as nats-py writes it, which NoETL logs. */
const asNoetlSays = ({ api_error: error }: NatsError): string =>
  `Failed to publish command: nats: ServiceUnavailableError: code=${error?.code} err_code=${error?.err_code} description='${error?.description}'`;

// What a server writes that can no longer open a file is what it writes of a full disk, but for the system's own words.
describe.each(["nats-server", "nats-server-2.12", "nats-server-2.11", "nats-server-2.10", "nats-server-2.9"] as const)(
  "%s",
  (tool) => {
    it("that cannot write says so in words that are known, for the stream that is concerned alone", async () => {
      const log = path.join(folder, "nats.log");
      const config = `jetstream: {store_dir: "${folder}", max_memory_store: 8MB, max_file_store: 64MB}\nlog_file: "${log}"`;
      const server = await startNatsServer({ tool, config });
      try {
        const refused = await withManager(server, async (manager, connection) => {
          await manager.streams.add({ name: STREAM.name, subjects: [STREAM.subject], storage: StorageType.File });
          await manager.streams.add({ name: "OTHER", subjects: ["other"], storage: StorageType.File });
          fs.rmSync(path.join(folder, "jetstream", "$G", "streams", STREAM.name, "msgs"), { recursive: true });
          const js = connection.jetstream();
          const large = new Uint8Array(900_000);
          for (let count = 0; count < 40; count++) {
            try {
              await js.publish(STREAM.subject, large, { timeout: 2000 });
            } catch (error) {
              await js.publish("other", "x");
              return error as NatsError;
            }
          }
          throw new Error("everything was stored");
        });
        const text = await until("the log", () => {
          const written = fs.readFileSync(log, "utf8");
          return /failed to store/.test(written) ? written : undefined;
        });
        const containers = [container({ log: lines(text.split("\n"), 60) })];
        const evidence = healthy();
        const found = unwritten({
          ...evidence,
          namespaces: {
            ...evidence.namespaces,
            nats: { ok: true, value: namespace("nats", { pods: [pod("nats-0", "nats", { containers })] }) },
          },
        });
        expect(found).toMatchObject([{ stream: STREAM.name, why: expect.stringContaining("no such file") as string }]);
        // Since 2.15 nobody is answered.
        if (refused.api_error) expect(meaningOf(asNoetlSays(refused))).toBe("store-unwritable");
        else expect(refused.code).toBe("TIMEOUT");
      } finally {
        await server.stop();
      }
    });
  },
);
