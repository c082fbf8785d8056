import * as fs from "node:fs";
import * as path from "node:path";
import { builtBinary, cacheDir } from "../../commands/shared/binaries";
import { buildTool, cachedPath, requireGo } from "./build";
import { beginDownloads, downloadedPath } from "./downloads";
import { minutes, processorSlowness } from "./speed";
import { estimates, TOOLS, type Tool, type ToolName } from "./tools";
import { versionOf } from "./version";

export { cachedPath } from "./build";
export { lock } from "./lock";
export { TOOLS, type Tool, type ToolName } from "./tools";

/** True where `found` is `accept` or newer within the same major version; both `x.y.z`. */
export function versionFits(found: string, accept: string): boolean {
  const [fMajor = 0, fMinor = 0, fPatch = 0] = found.split(".").map(Number);
  const [aMajor = 0, aMinor = 0, aPatch = 0] = accept.split(".").map(Number);
  if (fMajor !== aMajor) return false;
  return fMinor !== aMinor ? fMinor > aMinor : fPatch >= aPatch;
}

async function onPath(tool: Tool): Promise<string | undefined> {
  if (!tool.accept) return undefined;
  for (const dir of (process.env.PATH ?? "").split(path.delimiter).filter(Boolean)) {
    const candidate = path.join(dir, tool.name);
    if (!fs.existsSync(candidate)) continue;
    const version = await versionOf(candidate, tool);
    if (version && versionFits(version, tool.accept)) return candidate;
  }
  return undefined;
}

/** Where each asked-for tool was found. */
export type ToolPaths<N extends ToolName = ToolName> = Record<N, string>;

/** Tools of which each is there as soon as it can be, and fails on its own. */
export type PendingTools<N extends ToolName = ToolName> = Record<N, Promise<string>>;

export interface ObtainOptions {
  /** Takes the progress, one line per message. Default: the standard error output. */
  readonly log?: (line: string) => void;
  /** Ends a build that runs. */
  readonly signal?: AbortSignal;
  /** Longest time that is lost to hosts which do not answer, in milliseconds. Default 3000. */
  readonly silenceMs?: number;
}

/**
 * Finds every named tool: on PATH where its version fits, else in the cache, else the project's official program is
 * downloaded, else it is built from its pinned Go module.
 *
 * @throws Error with one sentence where a tool must be built and Go is missing, or with the compiler's last lines.
 */
export async function ensureTools<N extends ToolName>(
  names: readonly N[],
  log?: (line: string) => void,
): Promise<ToolPaths<N>> {
  return allOf(obtainTools(names, log ? { log } : {}), names);
}

/** The paths of `names`, when all of them are there. */
export async function allOf<N extends ToolName>(pending: PendingTools<N>, names: readonly N[]): Promise<ToolPaths<N>> {
  const paths: Partial<ToolPaths<N>> = {};
  await Promise.all(names.map(async (name) => (paths[name] = await pending[name])));
  return paths as ToolPaths<N>;
}

/** Like {@link ensureTools}, for what can begin before the last tool is there: they are built in the order of {@link TOOLS}. */
export function obtainTools<N extends ToolName>(names: readonly N[], options: ObtainOptions = {}): PendingTools<N> {
  const log = options.log ?? ((line: string) => void process.stderr.write(`${line}\n`));
  const all = gather(names, { ...options, log });
  const pending = names.map((name) => {
    const path = all.then((paths) => paths.get(name) as Promise<string>).then((found) => offer(name, found));
    // Whoever needs the tool hears of its failure; nobody has to.
    path.catch(() => undefined);
    return [name, path] as const;
  });
  return Object.fromEntries(pending) as PendingTools<N>;
}

async function gather(
  names: readonly ToolName[],
  { log, signal, silenceMs }: ObtainOptions & { readonly log: (line: string) => void },
): Promise<Map<string, Promise<string>>> {
  const found = await Promise.all(
    names.map(async (name) => {
      const tool: Tool = TOOLS[name];
      const path = (await onPath(tool)) ?? [cachedPath(tool), downloadedPath(tool)].find((file) => fs.existsSync(file));
      return { tool, path };
    }),
  );
  const paths = new Map(found.flatMap(({ tool, path }) => (path ? [[tool.name, Promise.resolve(path)] as const] : [])));
  const order = Object.keys(TOOLS);
  const missing = found.flatMap(({ tool, path }) => (path === undefined ? [tool] : []));
  missing.sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
  const downloads = beginDownloads(missing, log, silenceMs);
  const builder = new Builder(log, signal);
  const begun = downloads.begun.then((begun) => builder.announce(missing.filter(({ name }) => !begun.has(name))));
  for (const tool of missing) {
    const path = begun.then(async () => (await downloads.paths.get(tool.name)) ?? builder.build(tool));
    path.catch(() => undefined);
    paths.set(tool.name, path);
  }
  return paths;
}

/** Builds one tool after the other, since each takes all processors; after the first that fails, none. */
class Builder {
  private last: Promise<unknown> = Promise.resolve();
  private total = 0;
  private count = 0;
  /** Of what this run has built: how long it should have taken, and how long it took. */
  private readonly built = { estimated: 0, seconds: 0 };
  private estimates = new Map<string, number>();
  private slower = 1;

  constructor(
    private readonly log: (line: string) => void,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /** Says how long it will take. */
  async announce(tools: readonly Tool[]): Promise<void> {
    if (tools.length === 0) return;
    await requireGo(tools);
    this.total = tools.length;
    this.estimates = estimates(tools);
    this.slower = processorSlowness();
    const seconds = [...this.estimates.values()].reduce((sum, each) => sum + each, 0) * this.slower;
    const names = tools.map(({ name }) => name).join(", ");
    this.log(`Building ${names} from Go modules, once: about ${minutes(seconds)} on two cores.`);
  }

  build(tool: Tool): Promise<string> {
    this.count++;
    this.total = Math.max(this.total, this.count);
    const step = `${this.count}/${this.total}`;
    const estimate = this.estimates.get(tool.name) ?? tool.buildSeconds;
    const seconds = () => estimate * slowness(this.built, this.slower);
    const onBuilt = (took: number): void => {
      this.built.estimated += estimate;
      this.built.seconds += took;
    };
    const built = this.last.then(() => buildTool(tool, { step, seconds, onBuilt, log: this.log, signal: this.signal }));
    this.last = built;
    return built;
  }
}

/** How much longer than estimated this machine takes, by what it has built so far: by its processor before that says anything. */
export const slowness = ({ estimated, seconds }: { estimated: number; seconds: number }, processor: number): number =>
  estimated < 30 ? processor : seconds / estimated;

/** Leaves what the commands look for where they look for it: they know nothing of builds. */
function offer(name: ToolName, file: string): string {
  if ((name !== "helm" && name !== "pulumi" && name !== "nats") || !file.startsWith(cacheDir())) return file;
  const link = builtBinary(name);
  // The folder of the links may be on PATH, so that one of them was found: it must not lead to itself.
  const program = fs.realpathSync(file);
  if (linkedTo(link) === program) return program;
  fs.mkdirSync(path.dirname(link), { recursive: true });
  const unfinished = `${link}.${process.pid}`;
  fs.rmSync(unfinished, { force: true });
  fs.symlinkSync(program, unfinished);
  fs.renameSync(unfinished, link);
  return program;
}

function linkedTo(link: string): string | undefined {
  try {
    return fs.readlinkSync(link);
  } catch {
    return undefined;
  }
}
