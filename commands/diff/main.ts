import * as fs from "node:fs";
import * as path from "node:path";
import { harmless } from "../../contract/mask/harmless";
import { fromCaller } from "../shared/arguments";
import { runCommand, unlessInterrupted } from "../shared/run";
import { CommandError, type ExitName } from "../shared/exit";
import { DiffError, messageOf } from "./errors";
import { FILE_NAMES, parseOptions, USAGE, wantsHelp, type Format, type Options } from "./options";
import { present } from "./present";
import { LEVELS, type Report } from "./report";
import { runDiff, type Outcome } from "./run";

/** Writes the report in every format asked for: to the output file or folder, else to the screen. @throws CommandError `unknown` */
function write(options: Options, report: Report): void {
  const render = (format: Format): string => present(report, format, options);
  const [only] = options.formats;
  if (options.output === undefined) {
    if (only) process.stdout.write(render(only));
    return;
  }
  const texts = options.formats.map((format) => [format, render(format)] as const);
  try {
    const files = new Map(filesOf(options));
    for (const [format, text] of texts) fs.writeFileSync(files.get(format) ?? options.output, text);
  } catch (error) {
    throw new CommandError(`--output ${options.output}: cannot be written (${messageOf(error)})`, "unknown");
  }
}

/** The files that `--output` means, by format. Makes the folder that they are in. */
function filesOf({ formats, output = "" }: Options): [Format, string][] {
  const isFolder = formats.length > 1 || fs.statSync(output, { throwIfNoEntry: false })?.isDirectory() === true;
  fs.mkdirSync(isFolder ? output : path.dirname(output), { recursive: true });
  return formats.map((format) => [format, isFolder ? path.join(output, FILE_NAMES[format]) : output]);
}

/** Sees that the report can be written, before it is made. @throws CommandError `usage` */
function prepareOutput(options: Options): void {
  if (options.output === undefined) return;
  try {
    for (const [, file] of filesOf(options)) {
      const found = fs.statSync(file, { throwIfNoEntry: false });
      if (found?.isDirectory()) throw new Error(`${file} is a folder`);
      fs.accessSync(found ? file : path.dirname(file), fs.constants.W_OK);
    }
  } catch (error) {
    throw new CommandError(`--output ${options.output}: cannot be written (${messageOf(error)})`, "usage");
  }
}

/** Progress and failures: words of helm, the engine and a cluster among them. */
const tell = (words: string): void => void process.stderr.write(`${harmless(words)}\n`);

/** How the command ends with a report. */
function exitFor(options: Options, { report, kind }: Outcome): ExitName {
  if (report.status === "failed") return kind === "usage" ? "usage" : "unknown";
  const worst = options.failOn === undefined ? -1 : LEVELS.indexOf(options.failOn);
  return report.risks.some(({ level }) => LEVELS.indexOf(level) <= worst) ? "wrong" : "ok";
}

/** The options of a command line. @throws CommandError `usage` */
function optionsOf(argv: readonly string[]): Options {
  try {
    const options = parseOptions(argv, process.stdout.isTTY);
    return options.output === undefined ? options : { ...options, output: fromCaller(options.output) };
  } catch (error) {
    throw error instanceof DiffError ? new CommandError(error.message, "usage") : error;
  }
}

async function main(argv: readonly string[], signal: AbortSignal): Promise<ExitName> {
  if (wantsHelp(argv)) {
    process.stdout.write(USAGE);
    return "ok";
  }
  const options = optionsOf(argv);
  prepareOutput(options);
  const outcome = await unlessInterrupted(signal, runDiff(options, { cwd: process.cwd(), log: tell, signal }));
  if (outcome === undefined) return "interrupted";
  const { report } = outcome;
  write(options, report);
  // Whoever reads the screen, or the log of a workflow, sees the failure too when the report goes to a file.
  if (report.status === "failed" && options.output !== undefined) {
    tell(report.failures.map(({ message }) => message).join("\n"));
  }
  return exitFor(options, outcome);
}

if (require.main === module) runCommand(main);
