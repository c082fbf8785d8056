/**
 * What an engine was at when it was killed. What it was creating may be there or not, and the state does not hold it: the next update would
 * create it once more and be refused for good, `already exists`, since the engine clears such operations only where it can ask somebody.
 * A release that helm was upgrading stays marked so, and helm refuses to upgrade it again. What it was deleting is gone, or half of it, and
 * the state holds it as if it were whole.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { outputOf } from "../commands/shared/leftovers";
import { accessTo, chooseContext, readKubeconfig } from "../contract/kubernetes/kubeconfig";
import { PROJECT, projectRoot, RELEASE } from "../contract/project";
import { deleteOwn } from "./cut-off-objects";
import { embeddedEngine, embeddedPaths } from "./home";
import { ClusterApi } from "./plugin/api";
import { at, DEFAULT_TIMEOUT_SECONDS, type Helm, history, withHelm } from "./plugin/helm";
import { type JsonObject, objectAt, textAt } from "./plugin/wire";

interface Operation {
  readonly type: string;
  readonly resource: { readonly urn: string; readonly type: string; readonly inputs?: JsonObject };
}

interface Options {
  readonly dir: string;
  /** Path of the kubeconfig. */
  readonly kubeconfig: string;
  readonly helm: string;
  readonly signal: AbortSignal;
  say(this: void, line: string): void;
}

const STATE_MS = 120_000;
const TIMEOUT = ["--timeout", `${DEFAULT_TIMEOUT_SECONDS}s`];

interface Latest {
  readonly pending_operations?: Operation[];
  readonly resources?: Operation["resource"][];
}

function latestOf(dir: string, stack: string): Latest {
  const file = path.join(embeddedPaths(dir).state, ".pulumi", "stacks", PROJECT, `${stack}.json`);
  if (!fs.existsSync(file)) return {};
  const { checkpoint } = JSON.parse(fs.readFileSync(file, "utf8")) as { checkpoint?: { latest?: Latest } };
  return checkpoint?.latest ?? {};
}

/** What an engine was at when it was killed, as the state in `dir` has it. */
export const cutOff = (dir: string, stack: string): Operation[] => latestOf(dir, stack).pending_operations ?? [];

/** Where `down:embedded` says that it has begun to destroy: what stands in the state from then on may be gone. */
const begun = (dir: string): string => path.join(dir, "destroying");
export const beginDestroying = (dir: string): void => fs.writeFileSync(begun(dir), "");
/** After an update that has looked at everything. */
export const forgetDestroying = (dir: string): void => fs.rmSync(begun(dir), { force: true });

/**
 * Ends the removal of releases that helm was removing when it was killed or interrupted: it leaves them marked so, half of their objects
 * gone, and to the engine they are as they were.
 *
 * @returns whether an update has to look at everything that the state holds
 */
export async function finishRemovals(stack: string, options: Options): Promise<boolean> {
  const { dir, say } = options;
  const { resources = [], pending_operations: pending = [] } = latestOf(dir, stack);
  const releases = resources.filter(({ type }) => type === RELEASE);
  const marked = releases.length === 0 ? new Set<string>() : await beingRemoved(options);
  const left = releases.map(({ inputs = {} }) => inputs).filter((inputs) => marked.has(placeOf(inputs)));
  for (const inputs of left) {
    say(`The removal of the release ${textAt(inputs, "name")} was cut off: it is removed, and installed again.`);
    await ofRelease(inputs, options, (helm, release) => removed(helm, release));
  }
  const isCutOff = fs.existsSync(begun(dir)) || pending.some(({ type }) => type === "deleting");
  if (isCutOff && left.length === 0)
    say("A removal was cut off: the update looks at what is left, and makes the rest again.");
  return isCutOff || left.length > 0;
}

const placeOf = (inputs: JsonObject): string => `${textAt(inputs, "namespace")}/${textAt(inputs, "name")}`;

/** Releases that are marked as being removed. Whose helm still runs has been ended before. */
async function beingRemoved(options: Options): Promise<Set<string>> {
  const secrets = await clusterApi(options).list("/api/v1/secrets", "owner=helm,status=uninstalling", options.signal);
  return new Set(
    secrets.map((each) => {
      const metadata = objectAt(each, "metadata");
      return `${textAt(metadata, "namespace")}/${textAt(objectAt(metadata, "labels"), "name")}`;
    }),
  );
}

const clusterApi = ({ kubeconfig }: Options): ClusterApi =>
  new ClusterApi(() => accessTo(chooseContext(readKubeconfig({ kubeconfig }), undefined)));

const removed = (helm: Helm, release: JsonObject): Promise<string> =>
  helm.run(["uninstall", ...at(release), "--ignore-not-found", "--wait", ...TIMEOUT]);

/**
 * Removes from the cluster what a killed engine was creating, and the operations from the state; brings releases back that helm was upgrading.
 * What somebody else has made, or put something into, stays, and is named.
 */
export async function removeHalfCreated(stack: string, options: Options): Promise<void> {
  const { dir, say, signal } = options;
  const all = cutOff(dir, stack);
  for (const { type, resource } of all) {
    if (type === "updating" && resource.type === RELEASE) await bringBack(resource.inputs ?? {}, options);
  }
  const operations = all.filter(({ type }) => type === "creating");
  if (operations.length === 0) return;
  const names = operations.map(({ resource }) => nameOf(resource));
  say(
    `An update was killed while it created ${names.join(", ")}: what there is of them is removed, and created again.`,
  );
  const api = clusterApi(options);
  for (const { resource } of operations) {
    const { inputs = {}, type } = resource;
    const isObject = inputs.kind !== undefined && inputs.apiVersion !== undefined;
    const why =
      type === RELEASE ? await uninstall(inputs, options) : isObject ? await deleteOwn(api, inputs, signal) : undefined;
    if (why !== undefined)
      say(`${nameOf(resource)} stays: ${why}. Where the update is refused by it, remove it by hand.`);
  }
  signal.throwIfAborted();
  await forgetOperations(stack, dir);
}

const nameOf = ({ urn }: Operation["resource"]): string => urn.split("::").at(-1) ?? urn;

/** The engine's own import leaves out what was not finished. What is secret in the state stays encrypted, on the way too. */
async function forgetOperations(stack: string, dir: string): Promise<void> {
  const { command, env } = embeddedEngine(dir);
  const file = path.join(dir, `state-${process.pid}.json`);
  const options = { cwd: projectRoot(), env, timeout: STATE_MS, maxBuffer: 1_000_000 };
  fs.writeFileSync(file, "", { mode: 0o600 });
  try {
    for (const verb of ["export", "import"]) {
      await outputOf(command, ["stack", verb, "--stack", stack, "--file", file, "--non-interactive"], options);
    }
  } finally {
    fs.rmSync(file, { force: true });
  }
}

/** Runs `use` with helm in an environment of its own: what the user's says of clusters and credentials is not about this one. */
async function ofRelease<T>(
  inputs: JsonObject,
  { helm, kubeconfig, signal }: Options,
  use: (helm: Helm, release: JsonObject) => Promise<T>,
): Promise<T | undefined> {
  const release = { name: textAt(inputs, "name"), namespace: textAt(inputs, "namespace") };
  if (!release.name || !release.namespace) return undefined;
  const where = { helm, cwd: projectRoot(), kubeconfig: () => fs.readFileSync(kubeconfig, "utf8") };
  return withHelm(where, { inputs: release as JsonObject, signal }, (run) => use(run, release as JsonObject));
}

/** Removes a release that was being installed. @returns why it stays; undefined where there is none any more */
const uninstall = (inputs: JsonObject, options: Options): Promise<string | undefined> =>
  ofRelease(inputs, options, async (helm, release) => {
    const revisions = await history(helm, release);
    // One that is being installed has no revision but the first.
    if (revisions.length > 1) return "somebody else has upgraded it";
    await removed(helm, release);
    return undefined;
  });

/** Has helm take a release again that it was upgrading: by the way back to the revision before. */
const bringBack = (inputs: JsonObject, options: Options): Promise<void> =>
  ofRelease(inputs, options, async (helm, release) => {
    const revisions = await history(helm, release);
    if (!/^pending-(upgrade|rollback)$/.test(revisions.at(-1)?.status ?? "")) return;
    const before =
      revisions.filter(({ status }) => status === "deployed").at(-1) ??
      revisions.filter(({ status }) => !status.startsWith("pending-")).at(-1);
    if (before === undefined) return;
    options.say(
      `An update was killed while helm upgraded the release ${textAt(release, "name")}: it goes back to revision ${before.revision}, and is upgraded again.`,
    );
    // Its hooks run with the upgrade that follows.
    await helm.run(["rollback", ...at(release, [String(before.revision)]), "--no-hooks", ...TIMEOUT]);
  });
