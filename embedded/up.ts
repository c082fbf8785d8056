import * as path from "node:path";
import type { Stack } from "@pulumi/pulumi/automation";
import { runCommand, unlessInterrupted } from "../commands/shared/run";
import type { ExitName } from "../commands/shared/exit";
import { readUp } from "./command-lines";
import { failureOf, INTERRUPTED, preparing, say, showingEngine } from "./conduct";
import { CLUSTER_TOOLS, STACK_TOOLS } from "./tools";
import { allOf, obtainTools, type PendingTools } from "./toolchain";
import { ensureNoetl, NoetlUnavailable, pinnedReleases, releaseOf, type NoetlPackages } from "./toolchain/noetl";
import { builtGateway, ensureGateway, GATEWAY_RELEASE, GatewayUnavailable } from "./toolchain/gateway";
import { PROJECT } from "../contract/project";
import { SETTINGS } from "../config/schema";
import { allRun, attachCluster, CONTROL_PLANE, startCluster, type Cluster } from "./cluster";
import { nodeIsCurrent } from "./cluster/node-process";
import {
  EMBEDDED_DIR,
  EMBEDDED_STACK,
  forgetState,
  handOverEngine,
  orphanedSettings,
  removeOrphanedSettings,
} from "./home";
import { finishRemovals, forgetDestroying, removeHalfCreated } from "./half-created";
import { lookForOfficials } from "./officials";
import { refuseWrong } from "./settings";
import { takeTurn } from "./turn";

/** NoETL itself, or the reason why its stand-in runs. */
async function obtainNoetl(image: string | undefined): Promise<NoetlPackages | string> {
  const wanted = image === undefined ? undefined : releaseOf(image);
  const [newest = ""] = pinnedReleases();
  try {
    // An image of another release does not keep the pods of the next one from running it.
    return await ensureNoetl(wanted !== undefined && pinnedReleases().includes(wanted) ? wanted : newest, say);
  } catch (error) {
    if (!(error instanceof NoetlUnavailable)) throw error;
    return error.message.replaceAll("\n", " ");
  }
}

/** The gateway itself where it is there, or was asked for and could be built, else the reason why its stand-in runs. */
async function obtainGateway(asked: string | undefined): Promise<{ gateway: string } | { why: string }> {
  const built = builtGateway();
  if (built !== undefined) return { gateway: built };
  if (asked !== "true") return { why: "-c deployGateway=true has the gateway itself built, once" };
  try {
    return { gateway: await ensureGateway(say) };
  } catch (error) {
    if (!(error instanceof GatewayUnavailable)) throw error;
    return { why: error.message.replaceAll("\n", " ") };
  }
}

/** What runs behind the gateway's pods: one line. */
function gatewayLine(image: string, cluster: Cluster, obtained: { gateway: string } | { why: string }): string {
  if (cluster.gateway && releaseOf(image) === GATEWAY_RELEASE) return `Gateway: the release ${GATEWAY_RELEASE} itself`;
  const why =
    "why" in obtained
      ? obtained.why
      : cluster.gateway
        ? `only ${GATEWAY_RELEASE} can be built here, and the image is ${image}`
        : "the cluster was started without the gateway itself, npm run down:embedded ends it";
  return `Gateway: stand-in of this project (embedded/noetl): ${why}`;
}

/** What runs behind the pods of server and workers: one line. */
function noetlLine(image: string, cluster: Cluster, obtained: NoetlPackages | string): string {
  const release = releaseOf(image);
  if (release !== undefined && release === cluster.noetl) return `NoETL: the release ${release} itself`;
  const why =
    typeof obtained === "string"
      ? obtained
      : cluster.noetl === undefined
        ? "the cluster was started without NoETL's packages, npm run down:embedded ends it"
        : `only ${cluster.noetl} is installed here, and the image is ${image}`;
  return `NoETL: stand-in of this project (embedded/noetl), which runs no playbooks: ${why}`;
}

interface Preparation {
  readonly config: Readonly<Record<string, string>>;
  readonly pending: PendingTools<(typeof STACK_TOOLS)[number]>;
  readonly signal: AbortSignal;
}

/** The cluster that runs, else one that is started as soon as its tools are there, whatever else is still being built. */
async function obtainCluster(
  { pending, signal }: Preparation,
  obtained: NoetlPackages | string,
  gateway: Awaited<ReturnType<typeof obtainGateway>>,
): Promise<Cluster> {
  const dir = path.join(EMBEDDED_DIR, "cluster");
  const running = await attachCluster(dir, CONTROL_PLANE);
  const whole = running !== undefined && allRun(dir);
  if (whole && nodeIsCurrent(dir)) return running;
  const options = {
    dir,
    tools: await allOf(pending, CLUSTER_TOOLS),
    noetl: typeof obtained === "string" ? undefined : obtained,
    gateway: "gateway" in gateway ? gateway.gateway : undefined,
    log: say,
    signal,
  };
  signal.throwIfAborted();
  if (!running) {
    forgetDestroying(EMBEDDED_DIR);
    if (forgetState(EMBEDDED_DIR)) {
      say(
        "The cluster has ended without npm run down:embedded, as with a restart of this machine, and what was in it is gone: a new one starts, with the same settings.",
      );
    }
    return startCluster({ ...options, outlivesCaller: true });
  }
  say(
    `${whole ? "The cluster was started by another build of this project" : "The cluster's node has ended"}: its node starts again, and with it every pod.`,
  );
  const { renewNode } = await import("./cluster/renew.js");
  await renewNode(options);
  return (await attachCluster(dir)) ?? running;
}

/** What an update needs: NoETL, the gateway, a cluster, and the tools. */
async function prepare(preparation: Preparation) {
  const { config, pending, signal } = preparation;
  const obtained = await obtainNoetl(config.noetlImage);
  signal.throwIfAborted();
  const gateway = await obtainGateway(config.deployGateway);
  signal.throwIfAborted();
  const cluster = await obtainCluster(preparation, obtained, gateway);
  const tools = await allOf(pending, ["helm", "pulumi"]);
  signal.throwIfAborted();
  return { obtained, gateway, cluster, tools };
}

/**
 * What the automation interface asks the engine for after an update, in three runs one after the other. Nobody reads it here:
 * what the checklist needs is read for it.
 */
const UNASKED: Pick<Stack, "outputs" | "info"> = {
  outputs: () => Promise.resolve({}),
  info: () => Promise.resolve(undefined),
};

/**
 * What is needed after the update, and takes half a second to load: the checklist. The commands that it belongs to load it too.
 */
async function loadChecklist() {
  const [target, verify, execute, present] = await Promise.all([
    import("../commands/doctor/target.js"),
    import("../commands/doctor/verify.js"),
    import("../commands/doctor/execute.js"),
    import("../commands/doctor/present.js"),
  ]);
  return { ...target, ...verify, ...execute, ...present };
}

/** Shows the checklist, with a playbook where NoETL itself runs; whether everything holds. */
async function showChecklist(runsPlaybooks: boolean): Promise<boolean> {
  const { checklistText, executeCheck, readTarget, screenOf, verify, withLine } = await loadChecklist();
  const target = await readTarget(EMBEDDED_STACK);
  let outcome = await verify(target);
  if (outcome.holds && target.settings.deployNoetl && runsPlaybooks) {
    outcome = withLine(outcome, await executeCheck(target));
  }
  say(checklistText(outcome, screenOf(process.stdout)));
  return outcome.holds;
}

async function main(argv: readonly string[], signal: AbortSignal): Promise<ExitName> {
  const { config, refresh, help } = readUp(argv);
  if (help !== undefined) {
    say(help);
    return "ok";
  }
  const giveBack = await takeTurn(EMBEDDED_DIR, "up:embedded");
  const building = new AbortController();
  try {
    if (removeOrphanedSettings(EMBEDDED_DIR, EMBEDDED_STACK)) say(orphanedSettings(EMBEDDED_STACK));
    await refuseWrong(config, EMBEDDED_DIR, EMBEDDED_STACK);
    const pending = obtainTools(STACK_TOOLS, { log: say, signal: building.signal });
    return await up({ config, pending, signal }, refresh);
  } catch (error) {
    if (!signal.aborted) throw failureOf(error);
    process.stderr.write(`\n${INTERRUPTED}\n`);
    return "interrupted";
  } finally {
    // Where it failed, nothing goes on being built.
    building.abort();
    giveBack();
  }
}

async function up(preparation: Preparation, refresh: boolean): Promise<ExitName> {
  const { config, signal } = preparation;
  const started = Date.now();
  const { obtained, gateway, cluster, tools } = await preparing(signal, () => prepare(preparation));
  // They are asked while the engine's interface is loaded, which is large.
  const officials = lookForOfficials(tools);
  const { openStack, POLICY_PACK } = await import("./stack.js");
  const opened = await openStack({
    dir: EMBEDDED_DIR,
    kubeconfigPath: cluster.kubeconfigPath,
    gateway: cluster.gateway,
    tools,
    config,
    officials,
    notice: say,
  });
  const { stack, config: configured } = opened;
  handOverEngine(EMBEDDED_DIR);
  try {
    say(opened.provenance);
    const image = configured[`${PROJECT}:noetlImage`]?.value ?? SETTINGS.noetlImage.default;
    say(noetlLine(image, cluster, obtained));
    if (configured[`${PROJECT}:deployGateway`]?.value === "true") {
      say(gatewayLine(configured[`${PROJECT}:gatewayImage`]?.value ?? "", cluster, gateway));
    }
    signal.throwIfAborted();
    const { kubeconfigPath: kubeconfig } = cluster;
    const killed = { dir: EMBEDDED_DIR, kubeconfig, helm: tools.helm, signal, say };
    const isCutOff = await finishRemovals(stack.name, killed);
    await removeHalfCreated(stack.name, killed);
    let warm: Promise<unknown> | undefined;
    const show = showingEngine();
    await Object.assign(stack, UNASKED).up({
      policyPacks: [POLICY_PACK],
      refresh: refresh || isCutOff,
      signal,
      onOutput: (text) => {
        show(text);
        // The engine runs, and loads the policy pack first.
        warm ??= Promise.all([opened.warmUp(), loadChecklist()]).catch(() => undefined);
      },
      color: "auto",
    });
    signal.throwIfAborted();
    forgetDestroying(EMBEDDED_DIR);
    say("");
    const holds = await unlessInterrupted(signal, showChecklist(releaseOf(image) === cluster.noetl));
    signal.throwIfAborted();
    say("");
    say(
      `Done in ${Math.round((Date.now() - started) / 1000)} s. The cluster goes on running: KUBECONFIG=${cluster.kubeconfigPath}`,
    );
    say("Update: npm run up:embedded -- -c key=value    End: npm run down:embedded");
    return holds ? "ok" : "wrong";
  } finally {
    await opened.close();
  }
}

if (require.main === module) runCommand(main);
