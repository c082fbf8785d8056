/** `npm run kind:noetl -- FOLDER` and `npm run kind:gateway -- FOLDER`: a checkout, built and deployed to the kind cluster. */
import { asksForHelp, exitCodes, fromCaller, readWords, WIDTH, wrap } from "../shared/arguments";
import { CommandError, type ExitName } from "../shared/exit";
import { runCommand } from "../shared/run";
import { PARTS, STACK, type Part, type PartName } from "./parts";
import { redeploy } from "./redeploy";

const usageOf = ({ command, title, dockerfile, setting }: Part): string =>
  [
    ...wrap(
      `Builds a checkout of ${title} by its ${dockerfile}, loads the image into the kind cluster, sets ${setting} of stack ` +
        `${STACK}, updates it, and goes through the checklist. Again after a change: the pods then run the changed image.`,
      WIDTH,
    ),
    "",
    `usage: npm run ${command} -- FOLDER`,
    "",
    ...exitCodes("kind"),
  ].join("\n");

/** The folder of a command line; undefined where the explanation is asked for. @throws CommandError `usage` */
function folderOf(part: Part, argv: readonly string[]): string | undefined {
  if (asksForHelp(argv)) return undefined;
  const { positionals, problems } = readWords(argv, {});
  const [folder] = positionals;
  if (problems.length === 0 && positionals.length === 1 && folder) return folder;
  const said = [
    ...problems,
    ...(positionals.length > 1
      ? [`one folder is allowed, and there are ${positionals.length}: ${positionals.join(", ")}`]
      : positionals.length === 0 || !folder
        ? [`the folder of the checkout is missing; for example: npm run ${part.command} -- ${part.example}`]
        : []),
  ].join("\n");
  throw new CommandError(`${said}\n\n${usageOf(part)}`, "usage");
}

async function main(argv: readonly string[], signal: AbortSignal): Promise<ExitName> {
  const [name, ...rest] = argv;
  const part = PARTS[name as PartName];
  const say = (line: string): unknown => process.stdout.write(`${line}\n`);
  const shown = folderOf(part, rest);
  if (shown === undefined) {
    say(usageOf(part));
    return "ok";
  }
  return redeploy(part, { folder: fromCaller(shown), shown }, { say, signal });
}

if (require.main === module) runCommand(main);
