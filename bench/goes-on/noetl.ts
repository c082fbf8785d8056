/** NoETL's API, as its clients use it. */
import { setTimeout as sleep } from "node:timers/promises";
import { PLAYBOOK, PLAYBOOK_PATH } from "../../commands/doctor/execute";
import { until } from "./servers";

/** How long one playbook, or one answer, is waited for; in milliseconds. */
const PATIENCE_MILLISECONDS = 60_000;

/** What became of playbooks that were executed one after the other. */
export interface Executions {
  completed: number;
  /** NoETL refused them, or did not get to their end. */
  failed: number;
  /** Their server's pod was replaced before it answered: who asks a Service asks again. */
  unanswered: number;
}

/** Asks NoETL's API on a port of this machine. @throws TypeError where nobody answers there. */
function ask(port: number, what: string, body?: object): Promise<Response> {
  return fetch(`http://127.0.0.1:${port}/api/${what}`, {
    method: body === undefined ? "GET" : "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json" },
    signal: AbortSignal.timeout(PATIENCE_MILLISECONDS),
  });
}

/** Executes the playbook and waits for its end; a status that is not answered is asked again. @param patience milliseconds */
async function execute(port: () => number, patience = PATIENCE_MILLISECONDS): Promise<keyof Executions> {
  const begun = await ask(port(), "execute", { path: PLAYBOOK_PATH }).catch(() => undefined);
  if (begun === undefined) return "unanswered";
  if (!begun.ok) return "failed";
  const { execution_id: id } = (await begun.json()) as { execution_id: string };
  const deadline = Date.now() + patience;
  while (Date.now() < deadline) {
    const answer = await ask(port(), `executions/${id}/status`).catch(() => undefined);
    const status = answer?.ok ? ((await answer.json()) as { completed?: boolean; failed?: boolean }) : {};
    if (status.failed) return "failed";
    if (status.completed) return "completed";
    await sleep(50);
  }
  return "failed";
}

/** Registers a playbook once NoETL answers. */
export const registerPlaybook = (port: number, content = PLAYBOOK): Promise<void> =>
  until("NoETL to take the playbook", () =>
    ask(port, "catalog/register", { content, resource_type: "Playbook" }).then(
      ({ ok }) => ok,
      () => false,
    ),
  );

/** Executes it until it gets to its end, again and again where it is refused. @throws Error after five minutes */
export async function completes(port: number): Promise<void> {
  const deadline = Date.now() + 5 * PATIENCE_MILLISECONDS;
  while (Date.now() < deadline) {
    // One whose command was lost never ends: the next is begun soon.
    if ((await execute(() => port, 5_000)) === "completed") return;
    await sleep(200);
  }
  throw new Error("no playbook got to its end within five minutes");
}

/** Executes playbooks one after the other for as long as `work` takes. @param port NoETL's at the moment */
export async function during(port: () => number, work: () => Promise<unknown>): Promise<Executions> {
  const seen: Executions = { completed: 0, failed: 0, unanswered: 0 };
  let working = true;
  const executing = (async () => {
    while (working) seen[await execute(port)]++;
  })();
  try {
    await work();
  } finally {
    working = false;
    await executing;
  }
  return seen;
}

const TWICE = `SELECT count(*) AS twice FROM (
  SELECT 1 FROM noetl.event WHERE event_type = 'command.started' GROUP BY execution_id, node_name HAVING count(*) > 1
) AS again`;

/** Commands that workers have begun more than once, by NoETL's own table. */
export async function begunTwice(port: number): Promise<number> {
  const answer = await ask(port, "postgres/execute", { query: TWICE });
  const { result } = (await answer.json()) as { result: [{ twice: number | string }] };
  return Number(result[0].twice);
}

/** Executions that are begun one after the other, at a pace, until it is ended. */
export class Executing {
  private readonly ids: string[] = [];
  private readonly asked: Promise<void>[] = [];
  private refused = 0;
  private readonly timer: NodeJS.Timeout;

  /** @param pace Milliseconds from one to the next. */
  constructor(
    private readonly port: number,
    private readonly playbook: string,
    pace: number,
  ) {
    // It alone keeps no process alive where what waits for it fails.
    this.timer = setInterval(() => this.asked.push(this.begin()), pace).unref();
  }

  get begun(): number {
    return this.ids.length;
  }

  private async begin(): Promise<void> {
    const answer = await ask(this.port, "execute", { path: this.playbook }).catch(() => undefined);
    if (answer?.ok) this.ids.push(((await answer.json()) as { execution_id: string }).execution_id);
    else this.refused++;
  }

  /** Waits until so many have been begun. */
  reaches(count: number): Promise<void> {
    return until(`${count} executions to be begun`, () => this.begun >= count);
  }

  /** Begins no more, and waits until all have ended, a minute at most. */
  async end(): Promise<{ begun: number; refused: number; unfinished: number }> {
    clearInterval(this.timer);
    await Promise.all(this.asked);
    const left = new Set(this.ids);
    await until("every execution to end", async () => {
      for (const id of left) {
        const answer = await ask(this.port, `executions/${id}/status`);
        if (((await answer.json()) as { completed?: boolean }).completed) left.delete(id);
      }
      return left.size === 0;
    }).catch(() => undefined);
    return { begun: this.ids.length, refused: this.refused, unfinished: left.size };
  }
}
