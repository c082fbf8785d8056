import { spawn } from "node:child_process";
import * as fs from "node:fs";
import { endsWithUs, whileWeGoOn } from "../../commands/shared/leftovers";

/** How far a transfer has come, while it runs. */
export interface Progress {
  /** When it began, in milliseconds since the epoch. */
  began: number;
  /** Bytes that came since then. */
  received: number;
  /** Bytes that were to come then; unknown until the server says so. */
  left: number | undefined;
}

/** How a transfer ended. */
export type Outcome =
  | { readonly kind: "complete" }
  /** The host is not there, or says nothing. */
  | { readonly kind: "unreachable" }
  /** The server's answer was an error. */
  | { readonly kind: "refused"; readonly status: string }
  /** The connection ended, or fell silent, in the middle. */
  | { readonly kind: "cut off"; readonly silent: boolean }
  /** The file so far cannot be continued. */
  | { readonly kind: "not resumable" }
  /** Given up by `signal`. */
  | { readonly kind: "given up" }
  /** There is no curl on PATH. */
  | { readonly kind: "no curl" };

export interface Transfer {
  readonly url: string;
  /** Where to; what stands there already is continued. */
  readonly file: string;
  readonly progress: Progress;
  /** When the silence began that may last {@link Transfer.silenceMs}: milliseconds since the epoch. */
  readonly since: number;
  readonly silenceMs: number;
  readonly signal: AbortSignal;
}

const LOOK_MS = 100;

/**
 * Runs curl, which honours the proxies of the environment as everybody knows them from it (`https_proxy`, `no_proxy`).
 * A file whose bytes stop coming for `silenceMs` is given up.
 */
export function transfer({ url, file, progress, since, silenceMs, signal }: Transfer): Promise<Outcome> {
  const start = sizeOf(file);
  Object.assign(progress, { began: Date.now(), received: 0, left: undefined });
  const only = url.startsWith("https:") ? "=https" : "=http,https";
  const flags = [
    "--fail",
    "--silent",
    "--show-error",
    "--location",
    "--proto",
    only,
    "--continue-at",
    "-",
    "--suppress-connect-headers",
  ];
  return new Promise((resolve) => {
    let [headers, errors, last, silent] = ["", "", since, false];
    const args = [...flags, "--dump-header", "-", "--output", file, url];
    const child = endsWithUs(spawn("curl", args, { stdio: ["ignore", "pipe", "pipe"], detached: true }));
    const stop = (): void => void child.kill("SIGKILL");
    const look = (): void => {
      const received = Math.max(0, sizeOf(file) - start);
      if (received > progress.received) last = Date.now();
      progress.received = received;
      silent = Date.now() - last >= silenceMs;
      if (silent) stop();
    };
    const looking = setInterval(look, LOOK_MS);
    signal.addEventListener("abort", stop);
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      headers = (headers + chunk).slice(-16_384);
      progress.left = contentLength(headers);
    });
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => (errors = (errors + chunk).slice(-2000)));
    const end = (code: number | null): void => {
      clearInterval(looking);
      signal.removeEventListener("abort", stop);
      progress.received = Math.max(0, sizeOf(file) - start);
      resolve(
        outcomeOf({ code, errors, silent, answered: headers !== "", aborted: signal.aborted || whileWeGoOn.aborted }),
      );
    };
    child.on("error", () => {
      clearInterval(looking);
      resolve({ kind: "no curl" });
    });
    child.on("close", end);
  });
}

interface Ending {
  readonly code: number | null;
  readonly errors: string;
  readonly silent: boolean;
  readonly answered: boolean;
  readonly aborted: boolean;
}

/** What curl's exit code means (`man curl`, EXIT CODES). */
function outcomeOf({ code, errors, silent, answered, aborted }: Ending): Outcome {
  if (code === 0) return { kind: "complete" };
  if (aborted) return { kind: "given up" };
  const status = /returned error: (\d+)/.exec(errors)?.[1];
  // 33 and 36: the server does not continue files; 416: it has no more than what is there.
  if (code === 33 || code === 36 || status === "416") return { kind: "not resumable" };
  if (status !== undefined) return { kind: "refused", status };
  return answered ? { kind: "cut off", silent } : { kind: "unreachable" };
}

/** Bytes that the last answer in `headers` announces. */
function contentLength(headers: string): number | undefined {
  const last = headers.split(/^HTTP\//m).at(-1) ?? "";
  if (!/^\S+ 20[06]/.test(last)) return undefined;
  const length = /^content-length: *(\d+)/im.exec(last)?.[1];
  return length === undefined ? undefined : Number(length);
}

export function sizeOf(file: string): number {
  return fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}
