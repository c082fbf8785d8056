import { COMMON, parse, usage, type Command } from "./arguments";
import { diagnose } from "./diagnosis";
import { EXIT, type ExitName } from "./exit";
import { gather } from "./gather";
import { diagnosisText, screenOf } from "./present";
import { runCommand } from "./run";
import { readTarget } from "./target";

const DOCTOR: Command = {
  name: "doctor",
  does: "Explains what is wrong with a deployed stack: cause, evidence and remedy.",
  options: {
    ...COMMON,
    origin: {
      type: "string",
      value: "ORIGIN",
      means: "the page whose requests fail, as https://app.example.com; default: the first that the stack allows",
    },
  },
};

const write = (text: string) => process.stdout.write(`${text}\n`);

async function main(argv: readonly string[], signal: AbortSignal): Promise<ExitName> {
  const values = parse(DOCTOR, argv);
  if (values.help === true) {
    write(usage(DOCTOR));
    return "ok";
  }
  const target = await readTarget(String(values.stack));
  const origin = typeof values.origin === "string" ? values.origin : undefined;
  const evidence = await gather(target, { detail: "full", ...(origin === undefined ? {} : { origin }) });
  if (signal.aborted) return "interrupted";
  const diagnosis = diagnose(evidence);
  const exit = diagnosis.healthy ? "ok" : "wrong";
  if (values.json === true) write(JSON.stringify({ ...diagnosis, evidence, exit: EXIT[exit].code }, undefined, 2));
  else write(diagnosisText(diagnosis, screenOf(process.stdout)));
  return exit;
}

if (require.main === module) runCommand(main);
