import * as path from "node:path";
import type { CommandError, Stack } from "@pulumi/pulumi/automation";
import { CommandError as Failure, EXIT } from "../commands/shared/exit";
import { readUp } from "./command-lines";
import { CLUSTER_TOOLS, STACK_TOOLS } from "./tools";
import { allOf, obtainTools, type PendingTools } from "./toolchain";
import { ensureNoetl, NoetlUnavailable, pinnedReleases, releaseOf, type NoetlPackages } from "./toolchain/noetl";
import { builtGateway, ensureGateway, GATEWAY_RELEASE, GatewayUnavailable } from "./toolchain/gateway";
import { PROJECT } from "../contract/project";
import { SETTINGS } from "../config/schema";
import { attachCluster, startCluster, type Cluster } from "./cluster";
import { nodeIsCurrent } from "./cluster/node-process";
import { EMBEDDED_DIR, EMBEDDED_STACK, handOverEngine } from "./home";
import { lookForOfficials } from "./officials";

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

const say = (line: string) => process.stdout.write(`${line}\n`);

/** The cluster that runs, else one that is started as soon as its tools are there, whatever else is still being built. */
async function obtainCluster(
  pending: PendingTools<(typeof STACK_TOOLS)[number]>,
  obtained: NoetlPackages | string,
  gateway: Awaited<ReturnType<typeof obtainGateway>>,
): Promise<Cluster> {
  const dir = path.join(EMBEDDED_DIR, "cluster");
  const running = await attachCluster(dir);
  if (running && nodeIsCurrent(dir)) return running;
  const programs = {
    tools: await allOf(pending, CLUSTER_TOOLS),
    noetl: typeof obtained === "string" ? undefined : obtained,
    gateway: "gateway" in gateway ? gateway.gateway : undefined,
  };
  if (!running) return startCluster({ dir, ...programs, outlivesCaller: true, log: say });
  say("The cluster was started by another build of this project: its node starts again, and with it every pod.");
  const { renewNode } = await import("./cluster/renew.js");
  await renewNode({ dir, ...programs, log: say });
  return (await attachCluster(dir)) ?? running;
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

async function main(): Promise<void> {
  const { config, refresh, help } = readUp(process.argv.slice(2));
  if (help !== undefined) return void say(help);
  const building = new AbortController();
  try {
    await up(config, refresh, obtainTools(STACK_TOOLS, { log: say, signal: building.signal }));
  } finally {
    // Where it failed, nothing goes on being built.
    building.abort();
  }
}

async function up(
  config: Record<string, string>,
  refresh: boolean,
  pending: PendingTools<(typeof STACK_TOOLS)[number]>,
): Promise<void> {
  const started = Date.now();
  const obtained = await obtainNoetl(config.noetlImage);
  const gateway = await obtainGateway(config.deployGateway);
  const cluster = await obtainCluster(pending, obtained, gateway);
  const tools = await allOf(pending, ["helm", "pulumi"]);
  // They are asked while the engine's interface is loaded, which is large.
  const officials = lookForOfficials(tools);
  const { openStack, POLICY_PACK } = await import("./stack.js");
  const {
    stack,
    config: configured,
    provenance,
    warmUp,
    close,
  } = await openStack({
    dir: EMBEDDED_DIR,
    kubeconfigPath: cluster.kubeconfigPath,
    gateway: cluster.gateway,
    tools,
    config,
    officials,
    notice: say,
  });
  handOverEngine(EMBEDDED_DIR);
  try {
    say(provenance);
    const image = configured[`${PROJECT}:noetlImage`]?.value ?? SETTINGS.noetlImage.default;
    say(noetlLine(image, cluster, obtained));
    if (configured[`${PROJECT}:deployGateway`]?.value === "true") {
      say(gatewayLine(configured[`${PROJECT}:gatewayImage`]?.value ?? "", cluster, gateway));
    }
    let warm: Promise<unknown> | undefined;
    await Object.assign(stack, UNASKED).up({
      policyPacks: [POLICY_PACK],
      refresh,
      onOutput: (text) => {
        process.stdout.write(text);
        // The engine runs, and loads the policy pack first.
        warm ??= Promise.all([warmUp(), loadChecklist()]).catch(() => undefined);
      },
      color: "auto",
    });
    say("");
    const holds = await showChecklist(releaseOf(image) === cluster.noetl);
    say("");
    say(
      `Done in ${Math.round((Date.now() - started) / 1000)} s. The cluster goes on running: KUBECONFIG=${cluster.kubeconfigPath}`,
    );
    say("Update: npm run up:embedded -- -c key=value    End: npm run down:embedded");
    if (!holds) process.exitCode = EXIT.wrong.code;
  } finally {
    await close();
  }
}

/** Whether the engine's command failed, which has then shown the reason. */
const isCommandError = (error: unknown): error is CommandError => error instanceof Error && "commandResult" in error;

if (require.main === module) {
  main().catch((error: unknown) => {
    // The engine's own output, with the reason, has already been shown.
    const reason = isCommandError(error) ? "pulumi up failed; the reason stands above." : undefined;
    process.stderr.write(`${reason ?? (error instanceof Error ? error.message : String(error))}\n`);
    process.exitCode = EXIT[error instanceof Failure ? error.exit : "unknown"].code;
  });
}
