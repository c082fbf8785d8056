/** Executions of one command each, with the parts of NoETL's API (v2.8.9) that tell of them. Kept in memory. */
import type * as http from "node:http";
import { json } from "./listen";

/** Ids have 64 bits, as NoETL's database makes them. */
interface Execution {
  readonly id: bigint;
  readonly eventId: bigint;
  readonly commandId: string;
  readonly issuedAt: string;
  claimed: boolean;
}

const STEP = "start";

export class Executions {
  private readonly all: Execution[] = [];
  private last = 0n;

  /** A new execution and the announcement of its command, as the server publishes it. */
  begin(serverUrl: string): string {
    const id = this.nextId();
    const eventId = this.nextId();
    const commandId = `${id}:${STEP}:${this.nextId()}`;
    // The database keeps UTC without a zone.
    const issuedAt = new Date().toISOString().replace("Z", "");
    this.all.push({ id, eventId, commandId, issuedAt, claimed: false });
    return (
      `{"execution_id": ${id}, "event_id": ${eventId}, "command_id": "${commandId}", "step": "${STEP}", ` +
      `"server_url": ${JSON.stringify(serverUrl)}}`
    );
  }

  /** Answers a request about executions; false where it is about something else. */
  answer(method: string, path: string, response: http.ServerResponse): boolean {
    if (method === "GET" && path === "/api/executions") {
      json(response, 200, this.all.map(entryOf));
      return true;
    }
    const [, about, id, claim] = /^\/api\/(executions|commands)\/(\d+)(\/claim)?$/.exec(path) ?? [];
    if (id === undefined) return false;
    const found = this.all.find((each) => String(about === "commands" ? each.eventId : each.id) === id);
    if (!found) json(response, 404, { detail: "Not Found" });
    else if (method === "POST" && claim !== undefined) {
      json(response, found.claimed ? 409 : 200, { status: found.claimed ? "already_claimed" : "ok" });
      found.claimed = true;
    } else if (about === "commands") json(response, 200, { meta: { command_id: found.commandId } });
    else response.writeHead(200, { "content-type": "application/json" }).end(eventsOf(found));
    return true;
  }

  private nextId(): bigint {
    const next = BigInt(Date.now()) << 22n;
    this.last = next > this.last ? next : this.last + 1n;
    return this.last;
  }
}

const entryOf = ({ id, issuedAt, claimed }: Execution) => ({
  execution_id: String(id),
  path: "embedded/publish",
  status: claimed ? "RUNNING" : "PENDING",
  start_time: issuedAt,
  end_time: issuedAt,
});

/** The events of an execution, the newest first; their ids are numbers, as NoETL writes them. */
function eventsOf({ id, eventId, claimed }: Execution): string {
  const events = [
    ...(claimed ? [`{"event_id": ${eventId + 1n}, "event_type": "command.claimed", "node_name": "${STEP}"}`] : []),
    `{"event_id": ${eventId}, "event_type": "command.issued", "node_name": "${STEP}"}`,
  ];
  return `{"execution_id": "${id}", "events": [${events.join(", ")}]}`;
}
