import { AsyncResource } from "node:async_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import * as pulumi from "@pulumi/pulumi";
import { RELEASE } from "../../contract/project";
import { HELM_TIMEOUT_SECONDS } from "../../contract/defaults";
import { type Resize, resizes } from "../../contract/resize";
import type { RollProblem } from "../../contract/roll";
import { plural, sentenceCase } from "../../contract/wording";
import { serversDigest } from "../nats-jetstream/values";
import type { Preflight } from "../../contract/preflight";
import { provider, type StreamContractArgs } from "./resource";

/** Time between two looks while Helm waits, in milliseconds. */
const WATCH_MILLISECONDS = 10_000;

/**
 * Options of a component that installs NoETL. Before its Helm release is created or upgraded NATS is asked whether NoETL will be
 * able to make its stream and consumer: where it will not, the update fails then, with the reason, and nothing of NoETL has been
 * touched. While Helm waits for the pods, what keeps them from becoming ready is shown as a warning. Previews ask nothing.
 *
 * @param contract The contract as `StreamContract` takes it.
 */
export const guardNoetl = (
  opts: pulumi.ComponentResourceOptions,
  contract: StreamContractArgs,
): pulumi.ComponentResourceOptions =>
  guard(opts, contract, { name: "NoETL", asks: (args) => provider().beforeNoetl(args), watches: true });

/**
 * The same for a component that installs the gateway: NATS is asked whether it will be able to make its buckets, to use those
 * that are there, and to listen where it has to. What of NoETL's own part of the contract is wrong is not its concern.
 */
export const guardGateway = (
  opts: pulumi.ComponentResourceOptions,
  contract: StreamContractArgs,
): pulumi.ComponentResourceOptions =>
  guard(opts, contract, { name: "the gateway", asks: (args) => provider().beforeGateway(args), watches: false });

/** What a hook hears of what begins; it has no former inputs where nothing is there yet. */
type Begun = Pick<pulumi.ResourceHookArgs, "urn" | "newInputs" | "oldInputs">;

interface Guarded {
  /** In words, in the middle of a sentence. */
  readonly name: string;
  asks(this: void, args: object): Promise<Preflight>;
  /** Whether what keeps it from becoming ready is looked for while Helm waits. */
  readonly watches: boolean;
}

function guard(
  opts: pulumi.ComponentResourceOptions,
  contract: StreamContractArgs,
  { name, asks, watches }: Guarded,
): pulumi.ComponentResourceOptions {
  if (pulumi.runtime.isDryRun() || !knowsHooks()) return opts;
  let stop = (): void => undefined;
  const begin = async ({ urn, newInputs, oldInputs }: Begun): Promise<void> => {
    const args = await known(contract);
    const found = await asks(args);
    if (found.result === "blocked") {
      const again =
        oldInputs === undefined ? "" : `\nThen update again: a restart leaves ${name} with its former settings.`;
      throw new Error(`${sentenceCase(name)} was left as it is, for it could not work.\n${found.report}${again}`);
    }
    if (found.result === "skipped") {
      await pulumi.log.warn(`NATS could not be asked before ${name} is deployed: ${found.why}`, at(urn));
    }
    if (watches) stop = watch(args, { urn, seconds: timeoutOf(newInputs) });
  };
  const end = (): void => stop();
  const hooks: pulumi.ResourceHookBinding = {
    beforeCreate: [inProgram(begin)],
    beforeUpdate: [inProgram(begin)],
    afterCreate: [end],
    afterUpdate: [end],
  };
  return withHooks(opts, () => hooks);
}

/**
 * Options of a component that installs NATS: where an update of its Helm release restarts the servers, preview and update say
 * which streams end with them, and what waits there. An update is refused before anything is touched where a Raft group has no
 * leader or a copy that is not in step; preview and update are, where a lone server would become a cluster, or a cluster a lone
 * server, and drop messages, and where the servers of a cluster would lose those in memory, because TLS among one another changes.
 *
 * @param contract The contract as `StreamContract` takes it; asked for when it is needed.
 * @param refuses False makes what would be refused a warning. Default true.
 */
export function guardServers(
  opts: pulumi.ComponentResourceOptions,
  contract: () => StreamContractArgs,
  refuses = true,
): pulumi.ComponentResourceOptions {
  if (!knowsHooks()) return opts;
  const tell: pulumi.ResourceHookFunction = async ({ urn, oldInputs, newInputs }) => {
    if (digestOf(oldInputs) === digestOf(newInputs)) return;
    const args = await knownWithin(KNOWN_MILLISECONDS, contract);
    const losses = args && (await provider().lostWithServers(args));
    await pulumi.log.warn(restartWords(losses), at(urn));
  };
  // The engine keeps hooks by their names: another NATS of the program has its own.
  const hooksOf = (release: string) => [
    new pulumi.ResourceHook(`noetl-nats-roll-of-${release}`, inProgram(rollGate(contract, refuses)), {
      onDryRun: true,
    }),
    new pulumi.ResourceHook(`noetl-nats-restart-of-${release}`, inProgram(tell), {
      onDryRun: true,
      ignoreErrors: true,
    }),
  ];
  return withHooks(opts, (release) => ({ beforeUpdate: hooksOf(release) }));
}

/** Options that bind hooks to the component's Helm releases, in addition to those that they have; `hooks` gets a release's name. */
function withHooks(
  opts: pulumi.ComponentResourceOptions,
  hooks: (release: string) => pulumi.ResourceHookBinding,
): pulumi.ComponentResourceOptions {
  const bind: pulumi.ResourceTransformation = ({ type, name, props, opts: own }) =>
    type === RELEASE
      ? // The SDK merges into the very binding that it is given, which somebody may have given to more than this.
        { props, opts: pulumi.mergeOptions({ ...own, hooks: { ...own.hooks } }, { hooks: hooks(name) }) }
      : undefined;
  return { ...opts, transformations: [...(opts.transformations ?? []), bind] };
}

/** Asks before the servers restart whether that would lose anything. A preview refuses what an update later would not get right. */
export function rollGate(contract: () => StreamContractArgs, refuses: boolean): pulumi.ResourceHookFunction {
  return async ({ urn, oldInputs, newInputs }) => {
    if (digestOf(oldInputs) === digestOf(newInputs)) return;
    const [was, wanted] = [clusterOf(oldInputs), clusterOf(newInputs)];
    const resize = { before: was.servers, after: wanted.servers, parts: areApart(was, wanted) };
    const isPreview = pulumi.runtime.isDryRun();
    if (isPreview && !resizes(resize) && !resize.parts) return;
    const args = await knownWithin(isPreview ? KNOWN_MILLISECONDS : LOGIN_MILLISECONDS, contract);
    const problem = await provider().beforeRoll(args, resize);
    // Whether copies are in step now says nothing about the update that follows a preview.
    if (problem === undefined || (isPreview && problem.kind === "out of step")) return;
    const anyway = refuses
      ? "The update will ask again, and refuse."
      : "It is done all the same: natsGuardRolls is false.";
    if (!refuses || (isPreview && problem.kind === "unasked"))
      return pulumi.log.warn(`${problem.why} ${anyway}`, at(urn));
    throw new Error(`NATS was left as it is. ${problem.why} ${wayOut(problem.kind, resize)}`);
  };
}

function wayOut(kind: RollProblem["kind"], resize: Resize): string {
  const { before } = resize;
  const anyway = "`pulumi config set natsGuardRolls false` does it all the same";
  if (kind === "out of step") {
    return `Run the update again when all are in step (\`nats stream report\`). Where the update is what brings them back, ${anyway}.`;
  }
  if (resizes(resize)) {
    return (
      `To keep ${before === 1 ? "one server" : `${before} servers`}: \`pulumi config set natsReplicas ${before}\`. To keep what is held: ` +
      `docs/availability.md. To start empty: ${anyway}.`
    );
  }
  if (kind === "unasked") {
    return `Run the update again when NATS answers. Where the update is what brings it back, ${anyway}, and loses what is in memory.`;
  }
  return (
    "Of commands, run it again when the workers have taken what waits. To keep their stream on disk from now on: `pulumi config set " +
    `natsStreamStorage file\`, and \`npm run doctor -- --stack ${pulumi.getStack()} --repair\`, which takes along what it holds (docs/tls.md). ` +
    `To lose what is in memory: ${anyway}.`
  );
}

/** The servers of a Helm release of the chart nats/nats, and the certificate that they show one another. */
interface Cluster {
  readonly isCluster: boolean;
  readonly servers: number;
  readonly isTls: boolean;
  /** Name of the certificate's Secret; anything where that is not known yet. */
  readonly secret: unknown;
}

function clusterOf({ values }: Record<string, unknown> = {}): Cluster {
  type Tls = { enabled?: boolean; secretName?: unknown };
  const { config } = (values ?? {}) as { config?: { cluster?: { enabled?: boolean; replicas?: number; tls?: Tls } } };
  const { enabled: isCluster = false, replicas, tls } = config?.cluster ?? {};
  return { isCluster, servers: isCluster ? (replicas ?? 3) : 1, isTls: tls?.enabled ?? false, secret: tls?.secretName };
}

/** A name that is not known yet is an object of the engine's SDK. */
const isKnown = (value: unknown): value is string => typeof value === "string";

/** Whether servers of two releases do not find one another. Another Secret counts as other authorities. */
const areApart = (was: Cluster, wanted: Cluster): boolean =>
  was.isCluster &&
  wanted.isCluster &&
  (was.isTls !== wanted.isTls || (isKnown(was.secret) && isKnown(wanted.secret) && was.secret !== wanted.secret));

/** How long an update is given to know NATS' login, which the release itself never makes; in milliseconds. */
const LOGIN_MILLISECONDS = 10_000;

/** How long a preview is given to know the contract, part of which may not be known before an update; in milliseconds. */
const KNOWN_MILLISECONDS = 500;

/** Another text where the servers restart. */
function digestOf({ chart, version, values }: Record<string, unknown> = {}): string {
  return serversDigest(
    String(chart),
    typeof version === "string" ? version : undefined,
    values as Readonly<Record<string, unknown>> | undefined,
  );
}

function restartWords(losses: readonly { readonly name: string; readonly messages: number }[] | undefined): string {
  const rule =
    "This restarts NATS: a stream that one server keeps in memory ends with it, and executions whose commands wait there have " +
    "to be started again. ";
  if (losses === undefined) return `${rule}Which streams these are could not be asked now.`;
  if (losses.length === 0) return `${rule}No stream is kept so now.`;
  const each = losses.map(({ name, messages }) => `${name} (${plural(messages, "message")} in it)`);
  return `${rule}These are now: ${each.join(", ")}.`;
}

/** The engine calls a hook out of the blue; bound to where it is declared it belongs to the program, and its messages arrive. */
const inProgram = (hook: pulumi.ResourceHookFunction): pulumi.ResourceHookFunction => AsyncResource.bind(hook);

/** Whether what registers resources takes hooks: an engine does from 3.182 on, the SDK's mocks for tests do not. */
function knowsHooks(): boolean {
  const monitor = pulumi.runtime.getMonitor() as { registerResourceHook?: unknown } | undefined;
  return typeof monitor?.registerResourceHook === "function";
}

/**
 * The contract as servers are asked by that are about to change; undefined where that takes longer to be known. The certificate's
 * authorities may be made by the same update, and a preview never knows them: `asServersAre` asks without them.
 */
function knownWithin(milliseconds: number, contract: () => StreamContractArgs): Promise<object | undefined> {
  const { connection, ...rest } = contract();
  const { tls, ...way } = connection ?? {};
  const asked = { ...rest, connection: "servers" in way ? { ...way, tls } : way };
  return Promise.race([known(asked), sleep(milliseconds, undefined, { ref: false })]);
}

/** The arguments, once everything in them is known. */
const known = (args: StreamContractArgs): Promise<object> =>
  new Promise((resolve) => void pulumi.output(args).apply((value) => resolve(value as object)));

/** A resource as far as the log needs it. */
const at = (urn: string): pulumi.Resource => ({ urn: pulumi.output(urn) }) as unknown as pulumi.Resource;

/** How long Helm waits for a release, in seconds. */
const timeoutOf = ({ timeout }: Record<string, unknown> = {}): number =>
  typeof timeout === "number" ? timeout : HELM_TIMEOUT_SECONDS.kubernetes;

/** Looks now and then at what keeps NoETL from becoming ready, and says each trouble once. Returns what ends it. */
function watch(args: object, { urn, seconds }: { readonly urn: string; readonly seconds: number }): () => void {
  const shown = new Set<string>();
  const look = async (): Promise<void> => {
    for (const { id, message } of await provider().whileNoetlStarts(args)) {
      if (shown.has(id)) continue;
      shown.add(id);
      await pulumi.log.warn(`while Helm waits for NoETL: ${message}`, at(urn));
    }
  };
  // What goes wrong in a look concerns nobody: Helm's wait has an end of its own.
  const timer = setInterval(() => void look().catch(() => undefined), WATCH_MILLISECONDS).unref();
  // No hook is called where the release fails.
  const limit = setTimeout(() => clearInterval(timer), seconds * 1000).unref();
  return () => {
    clearInterval(timer);
    clearTimeout(limit);
  };
}
