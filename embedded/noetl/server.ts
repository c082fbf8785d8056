import { type JetStreamClient, NatsError, StringCodec } from "nats";
import { STREAM } from "../../contract/facts";
import { waitForDatabase } from "./database";
import { need, optional } from "./pod-environment";
import { Executions } from "./executions";
import { json, listen } from "./listen";
import { log, messageOf, say } from "./log";
import { connectPatiently, describe } from "./nats";
import { ensureStream } from "./stream";

/** NoETL's server: waits for its database, and turns to NATS with its first command. */
export async function server(): Promise<void> {
  await waitForDatabase();
  let publisher: Promise<JetStreamClient> | undefined;
  let accepted = 0;
  const executions = new Executions();
  listen(async (request, response) => {
    const asked = `${request.method} ${request.url}`;
    if (asked === "GET /api/health") return json(response, 200, { status: "ok" });
    // A playbook is accepted and never run; what is not JSON is refused as FastAPI refuses it.
    if (asked === "POST /api/execute") {
      if (request.headers["content-type"] === "application/json") {
        return json(response, 200, { execution_id: String(++accepted) });
      }
      return json(response, 422, { detail: [{ type: "model_attributes_type", loc: ["body"] }] });
    }
    const [path = ""] = (request.url ?? "").split("?");
    if (executions.answer(request.method ?? "", path, response)) return;
    if (asked !== "POST /publish") return json(response, 404, { detail: "Not Found" });
    try {
      publisher ??= openPublisher();
      json(response, 200, { seq: await publish(await publisher, executions) });
    } catch (error) {
      const text =
        error instanceof NatsError && error.code === "503" ? "nats: no response from stream" : describe(error);
      log("ERROR", `Failed to publish command: ${text}`);
      json(response, 500, { detail: text });
    }
  });
  say("INFO:     Application startup complete.");
}

async function openPublisher(): Promise<JetStreamClient> {
  try {
    const connection = await connectPatiently("noetl-server");
    const made = await ensureStream(await connection.jetstreamManager());
    const url = need("NATS_URL");
    if (made === "created") {
      log("INFO", `Created stream ${need("NATS_STREAM", STREAM.name)} | connected to NATS at ${url}`);
    }
    log("INFO", `NATS publisher initialized: ${url}`);
    return connection.jetstream();
  } catch (error) {
    log("ERROR", `Failed to connect to NATS: ${messageOf(error)}`);
    throw error;
  }
}

/** Begins an execution and announces its command as the specification shows it. */
async function publish(jetstream: JetStreamClient, executions: Executions): Promise<number> {
  const announcement = executions.begin(optional("NOETL_SERVER_URL") ?? "");
  const subject = need("NATS_SUBJECT", STREAM.subject);
  return (await jetstream.publish(subject, StringCodec().encode(announcement))).seq;
}
