import { setTimeout as sleep } from "node:timers/promises";

/** APIs of Google Cloud that are asked before anything is created. */
export type Api = "compute" | "container" | "dns";

const ENDPOINTS: Readonly<Record<Api, string>> = {
  compute: "https://compute.googleapis.com/compute/v1/",
  container: "https://container.googleapis.com/v1/",
  dns: "https://dns.googleapis.com/dns/v1/",
};

/** What the API said: the object, that there is none, that the caller may not know, that the API is off, or that nobody pays. */
export type Answer =
  | { readonly kind: "found"; readonly body: Readonly<Record<string, unknown>> }
  | { readonly kind: "absent" }
  | { readonly kind: "forbidden"; readonly message: string }
  | { readonly kind: "disabled" }
  | { readonly kind: "unbilled" };

/** Longest time one question may take, its repetitions included, in milliseconds. */
const DEADLINE_MS = 30_000;
const ATTEMPTS = 3;

/** Reads objects of Google Cloud with an access token; changes nothing. */
export class GoogleApi {
  constructor(
    private readonly token: string,
    private readonly env: NodeJS.ProcessEnv = process.env,
  ) {}

  /**
   * @throws Error where the API cannot be reached, or answers with anything but an object or one of the refusals above,
   *   three times or for thirty seconds.
   */
  async get(api: Api, path: string): Promise<Answer> {
    const signal = AbortSignal.timeout(DEADLINE_MS);
    const url = new URL(path, this.endpoint(api));
    let problem = "";
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      if (attempt > 1) await sleep(500 * attempt);
      try {
        const response = await fetch(url, { headers: { Authorization: `Bearer ${this.token}` }, signal });
        const answer = await this.read(response);
        if (answer) return answer;
        problem = `${response.status} ${response.statusText}`;
        if (response.status < 500 && response.status !== 429) break;
      } catch (error) {
        const { message, cause } = error as Error & { cause?: unknown };
        problem = cause instanceof Error ? `${message}: ${cause.message}` : message;
        if (signal.aborted) break;
      }
    }
    throw new Error(`asking Google Cloud for ${path} failed (${url.host}): ${problem}`);
  }

  /** An endpoint may be moved, for Private Google Access for example, by the variable that the gcp provider reads too. */
  private endpoint(api: Api): string {
    const moved = this.env[`GOOGLE_${api.toUpperCase()}_CUSTOM_ENDPOINT`];
    return moved ? moved.replace(/\/*$/, "/") : ENDPOINTS[api];
  }

  private async read(response: Response): Promise<Answer | undefined> {
    if (response.ok) return { kind: "found", body: (await response.json()) as Record<string, unknown> };
    if (response.status === 404) return { kind: "absent" };
    if (response.status !== 403 && response.status !== 401) return undefined;
    const text = await response.text();
    if (/BILLING_DISABLED|requires billing to be enabled|billing account .* disabled/i.test(text))
      return { kind: "unbilled" };
    if (/SERVICE_DISABLED|accessNotConfigured|has not been used in project/.test(text)) return { kind: "disabled" };
    return { kind: "forbidden", message: messageOf(text) || `${response.status} ${response.statusText}` };
  }
}

function messageOf(text: string): string {
  try {
    return (JSON.parse(text) as { error?: { message?: string } }).error?.message ?? "";
  } catch {
    return "";
  }
}
