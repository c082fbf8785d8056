import * as path from "node:path";
import { CommandError } from "@pulumi/pulumi/automation";
import { EXIT } from "../commands/shared/exit";
import { executeCheck, withLine } from "../commands/doctor/execute";
import { checklistText, screenOf } from "../commands/doctor/present";
import { readTarget } from "../commands/doctor/target";
import { verify } from "../commands/doctor/verify";
import { CLUSTER_TOOLS, STACK_TOOLS } from "./tools";
import { allOf, obtainTools, type PendingTools } from "./toolchain";
import { ensureNoetl, NoetlUnavailable, pinnedReleases, releaseOf, type NoetlPackages } from "./toolchain/noetl";
import { PROJECT } from "../contract/project";
import { SETTINGS } from "../config/schema";
import { attachCluster, startCluster, type Cluster } from "./cluster";
import { EMBEDDED_STACK, handOverEngine } from "./home";
import { EMBEDDED_DIR, openStack, POLICY_PACK } from "./stack";

const USAGE = "usage: npm run up:embedded [-- --refresh] [-c key=value ...]";

/** A command line that cannot be understood. */
class UsageError extends Error {}

/** `-c key=value` pairs, and whether to look first at what is really there. @throws UsageError for anything else. */
function parseArguments(args: readonly string[]): { config: Record<string, string>; refresh: boolean } {
  const config: Record<string, string> = {};
  const argv = args.filter((each) => each !== "--refresh");
  for (let index = 0; index < argv.length; index += 2) {
    const match = argv[index] === "-c" ? /^([^=]+)=(.*)$/s.exec(argv[index + 1] ?? "") : null;
    if (!match) throw new UsageError(`cannot read "${argv[index]}": ${USAGE}`);
    config[(match[1] ?? "").replace(/^noetl-nats:/, "")] = match[2] ?? "";
  }
  return { config, refresh: argv.length < args.length };
}

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
): Promise<Cluster> {
  const dir = path.join(EMBEDDED_DIR, "cluster");
  const running = await attachCluster(dir);
  if (running) return running;
  const noetl = typeof obtained === "string" ? {} : { noetl: obtained };
  const tools = await allOf(pending, CLUSTER_TOOLS);
  return startCluster({ dir, tools, ...noetl, outlivesCaller: true, log: say });
}

async function main(): Promise<void> {
  const { config, refresh } = parseArguments(process.argv.slice(2));
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
  const cluster = await obtainCluster(pending, obtained);
  const tools = await allOf(pending, ["helm", "pulumi"]);
  const { stack, provenance, close } = await openStack({
    dir: EMBEDDED_DIR,
    kubeconfigPath: cluster.kubeconfigPath,
    tools,
    config,
  });
  handOverEngine(EMBEDDED_DIR);
  try {
    say(provenance);
    const configured = await stack.getAllConfig();
    const image = configured[`${PROJECT}:noetlImage`]?.value ?? SETTINGS.noetlImage.default;
    say(noetlLine(image, cluster, obtained));
    await stack.up({
      policyPacks: [POLICY_PACK],
      refresh,
      onOutput: (text) => process.stdout.write(text),
      color: "auto",
    });
    say("");
    const target = await readTarget(EMBEDDED_STACK);
    let outcome = await verify(target);
    if (outcome.holds && target.settings.deployNoetl && releaseOf(image) === cluster.noetl) {
      outcome = withLine(outcome, await executeCheck(target));
    }
    say(checklistText(outcome, screenOf(process.stdout)));
    say("");
    say(
      `Done in ${Math.round((Date.now() - started) / 1000)} s. The cluster goes on running: KUBECONFIG=${cluster.kubeconfigPath}`,
    );
    say("Update: npm run up:embedded -- -c key=value    End: npm run down:embedded");
    if (!outcome.holds) process.exitCode = EXIT.wrong.code;
  } finally {
    await close();
  }
}

if (require.main === module) {
  main().catch((error: unknown) => {
    // The engine's own output, with the reason, has already been shown.
    const told = error instanceof CommandError ? "pulumi up failed; the reason stands above." : undefined;
    process.stderr.write(`${told ?? (error instanceof Error ? error.message : String(error))}\n`);
    process.exitCode = EXIT[error instanceof UsageError ? "usage" : "unknown"].code;
  });
}
