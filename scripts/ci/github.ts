/** The little of GitHub's REST API that the workflows need. */

/** What GitHub answered, or that it did not. */
export class GitHubError extends Error {
  /** @param status HTTP status; undefined where no answer came, so that what was asked may have been done or not. */
  constructor(
    message: string,
    readonly status?: number,
  ) {
    super(message);
  }
}

export interface GitHubOptions {
  /** For example `https://api.github.com`; `$GITHUB_API_URL` in a workflow. */
  readonly apiUrl: string;
  /** `owner/name`. */
  readonly repository: string;
  readonly token: string;
  readonly log?: (line: string) => void;
}

type Method = "GET" | "POST" | "PATCH" | "DELETE";

/** How long all requests together may take, waiting included, in seconds. */
const DEADLINE_SECONDS = 300;
/** Longest wait for one answer, in seconds. */
const ANSWER_SECONDS = 30;
/** Wait that GitHub asks for where a rate limit is hit and no header says how long, in seconds; it doubles each time. */
const RATE_LIMIT_SECONDS = 60;
/** First wait after an answer that says nothing about the request (5xx) or none at all, in seconds; it doubles too. */
const TROUBLE_SECONDS = 1;
const TROUBLE_TRIES = 5;

export class GitHub {
  private readonly ends: number;
  private readonly log: (line: string) => void;

  constructor(private readonly options: GitHubOptions) {
    this.ends = Date.now() + 1000 * DEADLINE_SECONDS;
    this.log = options.log ?? (() => undefined);
  }

  /** A GET of one resource, path below the repository. @throws GitHubError */
  async get<T>(path: string): Promise<T> {
    return (await (await this.send("GET", this.url(path))).json()) as T;
  }

  /** A POST, PATCH or DELETE, path below the repository. @throws GitHubError */
  async write<T>(method: Exclude<Method, "GET">, path: string, body?: object): Promise<T> {
    const text = await (await this.send(method, this.url(path), body)).text();
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }

  /** Every item of a list, all pages. `items` takes them out of a page. @throws GitHubError */
  async list<T>(path: string, items: (page: unknown) => readonly T[] = (page) => page as readonly T[]): Promise<T[]> {
    const found: T[] = [];
    let url: string | undefined = this.url(`${path}${path.includes("?") ? "&" : "?"}per_page=100`);
    while (url !== undefined) {
      const answer: Response = await this.send("GET", url);
      found.push(...items(await answer.json()));
      url = this.next(answer.headers.get("link"));
    }
    return found;
  }

  private url(path: string): string {
    return `${this.options.apiUrl}/repos/${this.options.repository}${path}`;
  }

  /** The next page's address; one on another host is not followed, since the token goes along. */
  private next(link: string | null): string | undefined {
    const url = /<([^>]+)>;\s*rel="next"/.exec(link ?? "")?.[1];
    if (url !== undefined && new URL(url).origin !== new URL(this.options.apiUrl).origin) {
      throw new GitHubError(`the next page is said to be on another host: ${new URL(url).origin}`);
    }
    return url;
  }

  private async send(method: Method, url: string, body?: object): Promise<Response> {
    const what = `${method} ${new URL(url).pathname}`;
    for (let limits = 0, troubles = 0; ;) {
      const answer = await this.once(method, url, body);
      if (answer.ok) return answer;
      const text = await answer.text();
      const said = `${what}: ${answer.status} ${messageIn(text)}`;
      const wait = rateLimitWait(answer, text, limits);
      if (wait !== undefined) {
        limits++;
        await this.pause(wait, `${said} (rate limit)`);
      } else if (answer.status >= 500 && method !== "POST" && ++troubles < TROUBLE_TRIES) {
        await this.pause(TROUBLE_SECONDS * 2 ** (troubles - 1), said);
      } else if (answer.status >= 500) {
        throw new GitHubError(said);
      } else {
        throw new GitHubError(said, answer.status);
      }
    }
  }

  /** One request. A POST that got no answer is not repeated here: it may have been carried out. */
  private async once(method: Method, url: string, body?: object): Promise<Response> {
    const what = `${method} ${new URL(url).pathname}`;
    for (let troubles = 0; ;) {
      const left = this.ends - Date.now();
      if (left <= 0) throw new GitHubError(`${what}: the time for all requests is over`);
      try {
        return await fetch(url, {
          method,
          headers: {
            accept: "application/vnd.github+json",
            authorization: `Bearer ${this.options.token}`,
            "user-agent": "noetl-nats",
            "x-github-api-version": "2022-11-28",
            ...(body ? { "content-type": "application/json" } : {}),
          },
          body: body && JSON.stringify(body),
          signal: AbortSignal.timeout(Math.min(left, 1000 * ANSWER_SECONDS)),
        });
      } catch (error) {
        const cause = error as Error & { cause?: { code?: string } };
        const said = `${what}: no answer (${cause.cause?.code ?? cause.name})`;
        if (method === "POST" || ++troubles >= TROUBLE_TRIES) throw new GitHubError(said);
        await this.pause(TROUBLE_SECONDS * 2 ** (troubles - 1), said);
      }
    }
  }

  private async pause(seconds: number, reason: string): Promise<void> {
    const left = Math.max(0, (this.ends - Date.now()) / 1000);
    if (seconds > left) {
      throw new GitHubError(
        `${reason}: asked to wait ${Math.ceil(seconds)} s, and only ${Math.floor(left)} s are left`,
      );
    }
    this.log(`${reason}; waiting ${Math.ceil(seconds)} s`);
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
  }
}

function messageIn(text: string): string {
  try {
    const { message, errors } = JSON.parse(text) as { message?: string; errors?: unknown };
    return [message ?? "", errors === undefined ? "" : JSON.stringify(errors)].filter(Boolean).join(" ");
  } catch {
    return text.slice(0, 200);
  }
}

/**
 * How long GitHub wants to be left alone, in seconds; undefined where the answer is about no rate limit.
 *
 * `retry-after` counts first, then `x-ratelimit-reset` where nothing remains, else a minute that doubles with every limit
 * already met (docs.github.com: Best practices for using the REST API).
 */
function rateLimitWait(answer: Response, text: string, before: number): number | undefined {
  if (answer.status !== 429 && answer.status !== 403) return undefined;
  const retryAfter = Number(answer.headers.get("retry-after") ?? NaN);
  if (Number.isFinite(retryAfter)) return Math.max(0, retryAfter);
  const reset = Number(answer.headers.get("x-ratelimit-reset") ?? NaN);
  if (answer.headers.get("x-ratelimit-remaining") === "0" && Number.isFinite(reset)) {
    return Math.max(1, reset - Date.now() / 1000);
  }
  const limited = answer.status === 429 || /rate limit/i.test(text);
  return limited ? RATE_LIMIT_SECONDS * 2 ** before : undefined;
}

/** Login of whoever works with a workflow's `GITHUB_TOKEN`. */
const AUTHOR = "github-actions[bot]";

/** Something with a text that can be found again: a comment or an issue. */
export interface Marked {
  readonly body?: string | null;
  readonly user?: { readonly login: string } | null;
}

/** True for a text that a workflow wrote under this marker. Whoever else writes the marker is not believed. */
export const isMarked = (marker: string, found: Marked): boolean =>
  found.user?.login === AUTHOR && (found.body ?? "").startsWith(marker);

/**
 * Carries out `work` again, at most three times, where an answer was lost: `work` looks first whether it has been done.
 *
 * @throws GitHubError
 */
export async function untilAnswered<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof GitHubError) || error.status !== undefined || tries >= 3) throw error;
    }
  }
}
