/** Executions of one command each, with the parts of NoETL's API (v2.8.9) that tell of them. Kept in memory. */
import type * as http from "node:http";
import { json } from "./listen";

/** Ids have 64 bits, as NoETL's database makes them. */
interface Execution {
  readonly id: bigint;
  readonly eventId: bigint;
  readonly commandId: string;
  readonly issuedAt: number;
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
    this.all.push({ id, eventId, commandId, issuedAt: Date.now(), claimed: false });
    return (
      `{"execution_id": ${id}, "event_id": ${eventId}, "command_id": "${commandId}", "step": "${STEP}", ` +
      `"server_url": ${JSON.stringify(serverUrl)}}`
    );
  }

  /** Answers a request about executions; false where it is about something else. */
  answer(method: string, path: string, response: http.ServerResponse): boolean {
    if (method !== "POST") return false;
    if (path === "/api/postgres/execute") {
      json(response, 200, { status: "ok", result: this.all.filter(({ claimed }) => !claimed).map(rowOf) });
      return true;
    }
    const [, id] = /^\/api\/commands\/(\d+)\/claim$/.exec(path) ?? [];
    if (id === undefined) return false;
    const found = this.all.find(({ eventId }) => String(eventId) === id);
    if (!found) json(response, 404, { detail: "Not Found" });
    else {
      json(response, found.claimed ? 409 : 200, { status: found.claimed ? "already_claimed" : "ok" });
      found.claimed = true;
    }
    return true;
  }

  private nextId(): bigint {
    const next = BigInt(Date.now()) << 22n;
    this.last = next > this.last ? next : this.last + 1n;
    return this.last;
  }
}

/** What NoETL's table says of an execution whose command nobody has taken: the one question that it is asked here. */
const rowOf = ({ id, eventId, commandId, issuedAt }: Execution) => ({
  execution: String(id),
  standstill: "waits",
  event: String(eventId),
  command: commandId,
  step: STEP,
  age: (Date.now() - issuedAt) / 1000,
  path: "embedded/publish",
  version: "1",
});
