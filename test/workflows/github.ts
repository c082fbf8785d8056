import * as http from "node:http";
import type { AddressInfo } from "node:net";

/**
 * Stands in for GitHub's REST API, as far as the workflows use it and as docs.github.com describes it: lists in pages of 30,
 * at most 100, with `link` headers; texts of at most 65,536 characters, else 422; a token, else 401.
 */
export interface StandIn {
  readonly url: string;
  readonly comments: Comment[];
  readonly issues: Issue[];
  pulls: {
    number: number;
    state: string;
    head: { sha: string; ref: string; repo: Repo | null };
    base: { ref: string };
  }[];
  jobs: { name: string; html_url: string; run_attempt: number; conclusion: string | null }[];
  /** Requests so far, `METHOD path`. */
  readonly requests: string[];
  /** Taken for the next requests that match, one each, instead of or after the normal answer. */
  readonly faults: Fault[];
  close(this: void): Promise<void>;
}

interface Repo {
  id: number;
  owner: { login: string };
}
export interface Comment {
  id: number;
  issue: number;
  body: string;
  user: { login: string };
}
export interface Issue {
  number: number;
  title: string;
  body: string;
  state: string;
  labels: { name: string }[];
  user: { login: string };
  pull_request?: object;
}
export interface Fault {
  readonly on: RegExp;
  /** Answer given; undefined breaks the connection off. */
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly message?: string;
  /** True carries the request out all the same: the answer is what gets lost. */
  readonly afterwards?: boolean;
}

export const TOKEN = "ghs_canary-token";
export const BOT = "github-actions[bot]";
const LIMIT = 65_536;

type Body = Record<string, unknown>;
interface Answer {
  status: number;
  body?: unknown;
}

export async function serveGitHub(): Promise<StandIn> {
  let ids = 1000;
  const server = http.createServer((request, response) => {
    let text = "";
    request.setEncoding("utf8");
    request.on("data", (chunk: string) => (text += chunk));
    request.on("end", () => {
      const url = new URL(request.url ?? "/", standIn.url);
      const said = `${request.method} ${url.pathname}`;
      standIn.requests.push(said);
      const index = standIn.faults.findIndex(({ on }) => on.test(said));
      const [fault] = index < 0 ? [] : standIn.faults.splice(index, 1);
      const answer =
        fault && !fault.afterwards
          ? { status: fault.status ?? 0, body: { message: fault.message ?? "" } }
          : request.headers.authorization === `Bearer ${TOKEN}`
            ? route(request.method ?? "", url, text === "" ? {} : (JSON.parse(text) as Body))
            : { status: 401, body: { message: "Bad credentials" } };
      if (fault && fault.status === undefined) return void request.socket.destroy();
      const list = Array.isArray(answer.body) ? answer.body : undefined;
      const shown = list ? page(url, list) : { body: answer.body, headers: {} };
      response.writeHead(fault?.status ?? answer.status, {
        "content-type": "application/json",
        ...shown.headers,
        ...fault?.headers,
      });
      response.end(answer.status === 204 ? undefined : JSON.stringify(shown.body));
    });
  });

  function page(url: URL, items: readonly unknown[]) {
    const size = Math.min(100, Number(url.searchParams.get("per_page") ?? 30));
    const number = Number(url.searchParams.get("page") ?? 1);
    const next = new URL(url);
    next.searchParams.set("page", String(number + 1));
    return {
      body: items.slice((number - 1) * size, number * size),
      headers: items.length > number * size ? { link: `<${next.href}>; rel="next", <${next.href}>; rel="last"` } : {},
    };
  }

  function route(method: string, url: URL, body: Body): Answer {
    if (typeof body.body === "string" && body.body.length > LIMIT) {
      return {
        status: 422,
        body: { message: "Validation Failed", errors: [`body is too long (maximum is ${LIMIT} characters)`] },
      };
    }
    const path = url.pathname.replace("/repos/noetl/nats", "");
    const query = url.searchParams;
    const [, issue, , comment] = /^\/issues\/(?:(\d+)(\/comments)?|comments\/(\d+))$/.exec(path) ?? [];
    const user = { login: BOT };
    if (method === "GET" && path === "/pulls") {
      const [owner, ref] = (query.get("head") ?? "").split(":");
      return {
        status: 200,
        body: standIn.pulls.filter(
          ({ state, head }) =>
            state === query.get("state") && head.ref === ref && (head.repo?.owner.login ?? owner) === owner,
        ),
      };
    }
    if (method === "GET" && /^\/actions\/runs\/\d+\/jobs$/.test(path)) {
      const latest = Math.max(...standIn.jobs.map((job) => job.run_attempt));
      const jobs = standIn.jobs.filter((job) => query.get("filter") === "all" || job.run_attempt === latest);
      return { status: 200, body: { total_count: jobs.length, jobs } };
    }
    if (method === "GET" && path === "/issues") {
      const label = query.get("labels");
      return {
        status: 200,
        body: standIn.issues.filter(
          ({ state, labels }) => state === query.get("state") && labels.some(({ name }) => name === label),
        ),
      };
    }
    if (method === "POST" && path === "/issues") {
      const labels = (body.labels as string[]).map((name) => ({ name }));
      const created = { ...(body as unknown as Issue), number: ++ids, state: "open", labels, user };
      standIn.issues.push(created);
      return { status: 201, body: created };
    }
    if (issue !== undefined && path.endsWith("/comments")) {
      if (method === "GET")
        return { status: 200, body: standIn.comments.filter((each) => each.issue === Number(issue)) };
      const created = { id: ++ids, issue: Number(issue), body: String(body.body), user };
      standIn.comments.push(created);
      return { status: 201, body: created };
    }
    const found: object | undefined =
      comment === undefined
        ? standIn.issues.find(({ number }) => number === Number(issue))
        : standIn.comments.find(({ id }) => id === Number(comment));
    if (!found) return { status: 404, body: { message: "Not Found" } };
    if (method === "DELETE") {
      standIn.comments.splice(standIn.comments.indexOf(found as Comment), 1);
      return { status: 204 };
    }
    Object.assign(found, body);
    return { status: 200, body: found };
  }

  const standIn: StandIn = {
    url: "",
    comments: [],
    issues: [],
    pulls: [],
    jobs: [],
    requests: [],
    faults: [],
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return Object.assign(standIn, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
}
