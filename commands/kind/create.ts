/** `npm run kind:create`: the kind cluster, with its ports on this machine's loopback interface. */
import * as path from "node:path";
import { projectRoot } from "../../contract/project";
import { asksForHelp, WIDTH, wrap } from "../shared/arguments";
import { CommandError, type ExitName } from "../shared/exit";
import { runCommand, unlessInterrupted } from "../shared/run";
import { CLUSTER } from "./parts";
import { lookAtCluster, refusal } from "./preflight";
import { MINUTE, stepper } from "./steps";

const COMMAND = "kind:create";
const AGAIN = "npm run kind:delete";
/** The image of its node is half a gigabyte. */
const DEADLINE_SECONDS = 20 * MINUTE;

const USAGE = [
  ...wrap(
    `Makes the kind cluster ${CLUSTER} by kind/cluster.yaml. One that is there and answers stays as it is: ${AGAIN} takes it away.`,
    WIDTH,
  ),
  "",
  `usage: npm run ${COMMAND}`,
].join("\n");

/**
 * Makes the cluster where there is none.
 *
 * @throws CommandError `usage` with everything that is missing, `unknown` where kind fails.
 */
export async function create({ say, signal }: { say: (line: string) => void; signal: AbortSignal }): Promise<ExitName> {
  const found = await unlessInterrupted(signal, lookAtCluster(signal));
  if (found === undefined) return "interrupted";
  if (found.problems.length > 0) throw refusal(COMMAND, found.problems, "has changed nothing");
  if (found.isThere) {
    say(`The cluster ${CLUSTER} is there, and answers. ${AGAIN} takes it away, with all that is in it.`);
  } else {
    await stepper({ say, signal, mask: String })({
      does: `kind makes the cluster ${CLUSTER}`,
      call: {
        command: "kind",
        args: ["create", "cluster", "--config", path.join(projectRoot(), "kind", "cluster.yaml")],
      },
      deadlineSeconds: DEADLINE_SECONDS,
      failed: `What there is of the cluster goes with ${AGAIN}.`,
      then: "Then run it again.",
    });
  }
  say("Next: npm run kind:up");
  return "ok";
}

async function main(argv: readonly string[], signal: AbortSignal): Promise<ExitName> {
  const say = (line: string): unknown => process.stdout.write(`${line}\n`);
  if (asksForHelp(argv)) {
    say(USAGE);
    return "ok";
  }
  if (argv.length > 0) throw new CommandError(`there is nothing to set: ${argv.join(" ")}\n\n${USAGE}`, "usage");
  return create({ say, signal });
}

if (require.main === module) runCommand(main);
