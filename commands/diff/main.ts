import * as fs from "node:fs";
import * as path from "node:path";
import { harmless } from "../../contract/mask/harmless";
import { EXIT } from "../shared/exit";
import { DiffError, messageOf } from "./errors";
import { FILE_NAMES, parseOptions, USAGE, wantsHelp, type Format, type Options } from "./options";
import { present } from "./present";
import { LEVELS, type Report } from "./report";
import { runDiff } from "./run";

/** Writes the report in every format asked for: to the output file or folder, else to the screen. */
export function write(options: Options, report: Report): void {
  const render = (format: Format): string => present(report, format, options);
  const [only] = options.formats;
  if (options.output === undefined) {
    if (only) process.stdout.write(render(only));
    return;
  }
  const isFolder =
    options.formats.length > 1 || (fs.existsSync(options.output) && fs.statSync(options.output).isDirectory());
  fs.mkdirSync(isFolder ? options.output : path.dirname(options.output), { recursive: true });
  for (const format of options.formats) {
    fs.writeFileSync(isFolder ? path.join(options.output, FILE_NAMES[format]) : options.output, render(format));
  }
}

/** Progress and failures: words of helm, the engine and a cluster among them. */
const tell = (words: string): void => void process.stderr.write(`${harmless(words)}\n`);

/** Exit code of a complete report. */
function codeFor(options: Options, report: Report): number {
  if (report.status === "failed") return EXIT.unknown.code;
  const worst = options.failOn === undefined ? -1 : LEVELS.indexOf(options.failOn);
  return report.risks.some(({ level }) => LEVELS.indexOf(level) <= worst) ? EXIT.wrong.code : EXIT.ok.code;
}

async function main(argv: readonly string[]): Promise<number> {
  if (wantsHelp(argv)) {
    process.stdout.write(USAGE);
    return EXIT.ok.code;
  }
  const options = parseOptions(argv, process.stdout.isTTY);
  const { report, kind } = await runDiff(options, process.cwd(), tell);
  write(options, report);
  // Whoever reads the screen, or the log of a workflow, sees the failure too when the report goes to a file.
  if (report.status === "failed" && options.output !== undefined) {
    tell(report.failures.map(({ message }) => message).join("\n"));
  }
  return kind === "usage" ? EXIT.usage.code : codeFor(options, report);
}

if (require.main === module) {
  main(process.argv.slice(2)).then(
    (code) => (process.exitCode = code),
    (error: unknown) => {
      tell(messageOf(error));
      const isUsage = error instanceof DiffError && error.kind === "usage";
      process.exitCode = EXIT[isUsage ? "usage" : "unknown"].code;
    },
  );
}
