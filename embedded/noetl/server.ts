import { type JetStreamClient, nanos, NatsError, StorageType, StringCodec } from "nats";
import { STREAM } from "../../contract/noetl";
import { waitForDatabase } from "./database";
import { need, optional, say } from "./environment";
import { Executions } from "./executions";
import { json, listen } from "./listen";
import { connectAs, describe } from "./nats";

/** Start-up of NoETL's server: waits for its database, uses the stream as it is, or adds it. */
export async function server(): Promise<void> {
  await waitForDatabase();
  const connection = await connectAs("noetl-server");
  const manager = await connection.jetstreamManager();
  const [stream, subject] = [need("NATS_STREAM", STREAM.name), need("NATS_SUBJECT", STREAM.subject)];
  try {
    await manager.streams.info(stream);
    say(`Using existing ${stream} stream`);
  } catch {
    await manager.streams.add({
      name: stream,
      subjects: [subject],
      max_age: nanos(STREAM.maxAgeSeconds * 1000),
      storage: StorageType.Memory,
    });
    say(`Created stream ${stream}`);
  }
  const jetstream = connection.jetstream();
  let accepted = 0;
  const executions = new Executions();
  listen(async (request, response) => {
    const asked = `${request.method} ${request.url}`;
    if (asked === "GET /api/health") return json(response, 200, { status: "ok" });
    // A playbook is accepted and never run.
    if (asked === "POST /api/execute") return json(response, 200, { execution_id: String(++accepted) });
    const [path = ""] = (request.url ?? "").split("?");
    if (executions.answer(request.method ?? "", path, response)) return;
    if (asked !== "POST /publish") return json(response, 404, { detail: "Not Found" });
    try {
      json(response, 200, { seq: await publish(jetstream, subject, executions) });
    } catch (error) {
      const text =
        error instanceof NatsError && error.code === "503" ? "nats: no response from stream" : describe(error);
      say(`Failed to publish command: ${text}`);
      response.writeHead(500).end(text);
    }
  });
}

/** Begins an execution and announces its command as the specification shows it. */
async function publish(jetstream: JetStreamClient, subject: string, executions: Executions): Promise<number> {
  const announcement = executions.begin(optional("NOETL_SERVER_URL") ?? "");
  return (await jetstream.publish(subject, StringCodec().encode(announcement))).seq;
}
