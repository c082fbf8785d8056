import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pipeline } from "node:stream/promises";
import { cacheDir } from "../../commands/shared/binaries";
import { type Outcome, type Progress, sizeOf, transfer } from "./curl";
import { checksumIn, pinnedChecksum, thisPlatform, type Release } from "./releases";
import { step } from "./step";
import { lock } from "./lock";
import { versionOf } from "./version";
import type { Tool } from "./tools";

/** Longest time that is lost to hosts which do not answer, all together, and to one that falls silent in the middle. */
export const SILENCE_MS = 3000;
/** From then on it is known how fast the network is. */
const JUDGE_AFTER_MS = 5000;
const TICK_MS = 60_000;
/** A download that was cut off is continued this often. */
const RESUMES = 3;

/** Hosts that did not answer, which are not asked again by this process. */
const unanswered = new Set<string>();

/** Where a tool's official program stands in the cache. */
export const downloadedPath = (tool: Tool): string =>
  path.join(cacheDir(), "toolchain", `${tool.name}-${tool.version}-official`, tool.name);

/** Downloads of a run, each undefined in the end where the tool must be built. */
export interface Downloads {
  /** Resolves as soon as each download has begun or is known to be impossible: with the names of those that have begun. */
  readonly begun: Promise<ReadonlySet<string>>;
  readonly paths: ReadonlyMap<string, Promise<string | undefined>>;
}

/** Why an official program is not to be had; undefined where the host did not answer, which is said for all hosts at once. */
class NotHad extends Error {}

/**
 * Begins to download the official programs of `tools`, all at once, where the projects publish them with checksums.
 *
 * `NOETL_NATS_DOWNLOADS=off` has everything built; a URL is a mirror, which has `dl.k8s.io/release/...` and the like under it.
 *
 * A file is used whose SHA-256 is the one that this repository pins, or else the one that the project publishes. What was cut
 * off is continued, now or by the next run. At most three seconds are lost to hosts that do not answer, and a download that
 * would take longer than building is given up.
 */
export function beginDownloads(
  tools: readonly Tool[],
  log: (line: string) => void,
  silenceMs: number = SILENCE_MS,
): Downloads {
  const mirror = mirrorFromEnvironment();
  const platform = thisPlatform();
  const wanted = tools.flatMap((tool) => {
    const release = platform && tool.published?.(tool.version, platform);
    return release && mirror !== "off" ? [{ tool, release: mirrored(release, mirror) }] : [];
  });
  const run = new Run(log, silenceMs);
  const downloads = wanted.map((each) => run.begin(each));
  return {
    begun: run.report(downloads),
    paths: new Map(downloads.map(({ tool, path }) => [tool.name, path])),
  };
}

/** @throws Error in one sentence for a value that is neither `off` nor a URL. */
function mirrorFromEnvironment(): string | undefined {
  const value = process.env.NOETL_NATS_DOWNLOADS;
  if (!value) return undefined;
  if (value === "off" || /^https?:\/\/[^/]/.test(value)) return value.replace(/\/+$/, "");
  throw new Error(
    `NOETL_NATS_DOWNLOADS is "${value}": it may be off, or the URL of a mirror, such as https://mirror.example/releases`,
  );
}

function mirrored(release: Release, mirror: string | undefined): Release {
  if (mirror === undefined) return release;
  const at = (url: string): string => `${mirror}/${url.replace(/^https:\/\//, "")}`;
  return { ...release, url: at(release.url), checksums: at(release.checksums) };
}

interface Wanted {
  readonly tool: Tool;
  readonly release: Release;
}

interface Download extends Wanted {
  readonly progress: Progress;
  /** Resolves with true when bytes of the file come, with false when it cannot be had. */
  readonly begins: Promise<boolean>;
  readonly path: Promise<string | undefined>;
}

/** The downloads of one run, which share the network and the time that may be lost. */
class Run {
  private readonly started = Date.now();
  private readonly active = new Set<Download & { readonly stop: AbortController }>();
  private readonly silentHosts = new Set<string>();
  private announce: () => void = () => undefined;
  /** Resolves when it has been said what is downloaded. */
  private readonly announced = new Promise<void>((resolve) => (this.announce = resolve));

  constructor(
    private readonly log: (line: string) => void,
    private readonly silenceMs: number,
  ) {}

  begin({ tool, release }: Wanted): Download {
    const progress = noProgress();
    const stop = new AbortController();
    let begin: (begins: boolean) => void = () => undefined;
    const begins = new Promise<boolean>((resolve) => (begin = resolve));
    const looking = setInterval(() => progress.received > 0 && begin(true), 50);
    const path = this.obtain({ tool, release }, { progress, signal: stop.signal, begin: () => begin(true) })
      .catch((error: unknown) => {
        if (!(error instanceof NotHad)) throw error;
        if (error.message !== "") this.log(`${tool.name} ${tool.version}: ${error.message}; it is built instead`);
        return undefined;
      })
      .finally(() => {
        clearInterval(looking);
        this.active.delete(download);
        begin(false);
      });
    const download = { tool, release, progress, begins, path, stop };
    this.active.add(download);
    return download;
  }

  /** Says what is downloaded, and watches over it. */
  async report(downloads: readonly Download[]): Promise<ReadonlySet<string>> {
    if (downloads.length === 0) return new Set();
    const begun = await this.sayWhatBegins(downloads);
    this.announce();
    this.watch();
    return begun;
  }

  /** In one line what is downloaded, and in one which hosts did not answer. */
  private async sayWhatBegins(downloads: readonly Download[]): Promise<ReadonlySet<string>> {
    // Another process may be at it for minutes, and then the waiting costs nothing.
    const waiting = sleep(this.silenceMs + 500, true, { ref: false });
    const begun = await Promise.all(
      downloads.map(async ({ tool, begins }) => ((await Promise.race([begins, waiting])) ? [tool.name] : [])),
    );
    const names = begun.flat();
    if (names.length > 0) this.log(`Downloading ${names.join(", ")}; each is compared with its published checksum.`);
    if (this.silentHosts.size > 0) {
      const seconds = ((Date.now() - this.started) / 1000).toFixed(1);
      const hosts = [...this.silentHosts].sort().join(", ");
      this.log(`Official downloads cannot be reached (${hosts}), which took ${seconds} s to find out.`);
    }
    return new Set(names);
  }

  private watch(): void {
    let said = Date.now();
    const watching = setInterval(() => {
      if (this.active.size === 0) return clearInterval(watching);
      const coming = [...this.active].filter(({ progress }) => progress.left !== undefined);
      if (Date.now() - this.started > JUDGE_AFTER_MS && slowerThanBuilding(coming, Date.now())) {
        for (const { stop } of coming) stop.abort();
      }
      if (Date.now() - said < TICK_MS) return;
      said = Date.now();
      const megabytes = coming.reduce((sum, { progress }) => sum + progress.received, 0) / 1e6;
      this.log(`Still downloading: ${megabytes.toFixed(0)} MB so far`);
    }, 500);
    watching.unref();
  }

  private async obtain(wanted: Wanted, control: Control): Promise<string> {
    const { tool, release } = wanted;
    const target = downloadedPath(tool);
    const folder = path.dirname(target);
    fs.mkdirSync(path.dirname(folder), { recursive: true });
    const giveBack = await lock(`${folder}.lock`, tool, this.log);
    try {
      if (fs.existsSync(target)) return target;
      const name = path.posix.basename(release.url);
      const file = `${folder}.${name}.part`;
      const began = Date.now();
      // Who waited for another process has lost no time to a host.
      const since = began - this.started > this.silenceMs ? began : this.started;
      const expected = pinnedChecksum(name) ?? (await this.publishedChecksum(release, { file: `${file}.sums`, since }));
      await this.complete(release.url, { ...control, file, since, expected });
      if ((await sha256(file)) !== expected) {
        fs.rmSync(file, { force: true });
        throw new NotHad(`what ${hostOf(release.url)} sent has the wrong checksum and is refused`);
      }
      await install({ tool, release, file, target });
      fs.rmSync(file, { force: true });
      const seconds = Math.round((Date.now() - began) / 1000);
      // It may have come at once: first it is said that it comes.
      control.begin();
      await this.announced;
      this.log(`${tool.name} ${tool.version}: downloaded in ${seconds} s, with the right checksum`);
      return target;
    } finally {
      giveBack();
    }
  }

  private async publishedChecksum(release: Release, to: { file: string; since: number }): Promise<string> {
    try {
      fs.rmSync(to.file, { force: true });
      const control = { ...to, progress: noProgress(), signal: new AbortController().signal };
      const outcome = await this.ask(release.checksums, control);
      if (outcome.kind !== "complete") throw this.notHad(release.checksums, outcome);
      const sum = checksumIn(fs.readFileSync(to.file, "utf8"), path.posix.basename(release.url));
      if (sum === undefined) throw new NotHad(`${hostOf(release.checksums)} sent no checksum of it`);
      return sum;
    } finally {
      fs.rmSync(to.file, { force: true });
    }
  }

  /** Brings the file to its end, from where an earlier attempt left it. */
  private async complete(
    url: string,
    control: Control & { file: string; since: number; expected: string },
  ): Promise<void> {
    const { file, expected, progress } = control;
    let [resumes, whole, came] = [RESUMES, 1, false];
    for (;;) {
      if (sizeOf(file) > 0 && (await sha256(file)) === expected) return;
      const outcome = await this.ask(url, { ...control, since: came ? Date.now() : control.since });
      came ||= progress.received > 0;
      if (outcome.kind === "complete") return;
      if (outcome.kind === "unreachable" && came) throw this.notHad(url, { kind: "cut off", silent: false });
      if (outcome.kind === "not resumable" && whole-- > 0) fs.rmSync(file, { force: true });
      else if (outcome.kind !== "cut off" || outcome.silent || resumes-- === 0) throw this.notHad(url, outcome);
    }
  }

  private async ask(url: string, to: Omit<Control, "begin"> & { file: string; since: number }): Promise<Outcome> {
    const host = hostOf(url);
    if (unanswered.has(host)) return { kind: "unreachable" };
    const outcome = await transfer({ url, ...to, silenceMs: this.silenceMs });
    if (outcome.kind === "unreachable" || (outcome.kind === "cut off" && outcome.silent)) unanswered.add(host);
    return outcome;
  }

  private notHad(url: string, outcome: Outcome): NotHad {
    const host = hostOf(url);
    switch (outcome.kind) {
      case "refused":
        return new NotHad(`${host} answered ${outcome.status}`);
      case "cut off":
        return new NotHad(
          outcome.silent ? `${host} fell silent in the middle` : `the download from ${host} was cut off`,
        );
      case "given up":
        return new NotHad(`the download from ${host} would take longer than building`);
      case "not resumable":
        return new NotHad(`${host} does not send the rest of the file`);
      case "no curl":
        return new NotHad();
      default:
        this.silentHosts.add(host);
        return new NotHad();
    }
  }
}

/** A download, from outside: how far it is, and how it is given up. */
interface Control {
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** To be called when the file is there. */
  readonly begin: () => void;
}

const noProgress = (): Progress => ({ began: Date.now(), received: 0, left: undefined });

/** True where what is left of `coming` takes longer, at the speed so far, than building the same tools. */
export function slowerThanBuilding(
  coming: readonly { progress: Progress; tool: Pick<Tool, "buildSeconds"> }[],
  now: number,
): boolean {
  let [bytesLeft, bytesPerSecond, buildSeconds] = [0, 0, 0];
  for (const { progress, tool } of coming) {
    bytesLeft += Math.max(0, (progress.left ?? 0) - progress.received);
    bytesPerSecond += progress.received / Math.max(1, (now - progress.began) / 1000);
    buildSeconds += tool.buildSeconds;
  }
  return bytesLeft > bytesPerSecond * buildSeconds;
}

const hostOf = (url: string): string => new URL(url).host;

async function sha256(file: string): Promise<string> {
  const hash = crypto.createHash("sha256");
  await pipeline(fs.createReadStream(file), hash);
  return hash.digest("hex");
}

/** Puts the program where it is looked for, once it has shown that it runs here and is the version that it should be. */
async function install({ tool, release, file, target }: Wanted & { file: string; target: string }): Promise<void> {
  const folder = path.dirname(target);
  const unfinished = `${folder}.${process.pid}.unpacking`;
  const program = path.join(unfinished, tool.name);
  fs.rmSync(unfinished, { recursive: true, force: true });
  fs.mkdirSync(unfinished);
  try {
    if (release.member === undefined) fs.copyFileSync(file, program);
    else {
      await step(`unpacking ${tool.name}`, ["tar", "-xf", file, "-C", unfinished, release.member]);
      fs.renameSync(path.join(unfinished, release.member), program);
    }
    fs.chmodSync(program, 0o755);
    if (`v${await versionOf(program, tool)}` !== tool.version) throw new Error("it does not run here");
    fs.rmSync(folder, { recursive: true, force: true });
    fs.renameSync(unfinished, folder);
  } catch (error) {
    const why = error instanceof Error ? error.message.replaceAll("\n", " ") : String(error);
    throw new NotHad(`the official program cannot be used: ${why}`);
  } finally {
    fs.rmSync(unfinished, { recursive: true, force: true });
  }
}
