import { setTimeout as sleep } from "node:timers/promises";
import { COMMON, parse, usage, type Command, type Values } from "../shared/arguments";
import { checklist, exitOf, type Checklist } from "./checklist";
import { executeCheck, PLAYBOOK_PATH, withLine } from "./execute";
import { CommandError, EXIT, type ExitName } from "../shared/exit";
import { gather } from "./gather";
import { checklistText, screenOf } from "./present";
import { runCommand, tellingOfDelay, unlessInterrupted } from "../shared/run";
import { readTarget, type Target } from "./target";
import { harmless } from "./text";

const DEFAULT_INTERVAL_SECONDS = 5;

const VERIFY: Command = {
  name: "verify",
  does: "Goes through the verification checklist of a deployed stack and shows what was found.",
  options: {
    ...COMMON,
    execute: {
      type: "boolean",
      means: `also run the playbook ${PLAYBOOK_PATH}, which touches nothing, and follow its commands; not with --watch`,
    },
    watch: { type: "boolean", means: "look again and again until interrupted; with --json one object a line" },
    interval: {
      type: "string",
      value: "SECONDS",
      means: `pause between two looks of --watch, default ${DEFAULT_INTERVAL_SECONDS}`,
    },
  },
};

/** Looks once. */
export async function verify(target: Target): Promise<Checklist> {
  return checklist(await gather(target, { detail: "checklist" }));
}

/** Looks once, and then has NoETL run a playbook. */
async function verifyByExecution(target: Target): Promise<Checklist> {
  return withLine(await verify(target), await executeCheck(target));
}

const write = (text: string) => process.stdout.write(`${text}\n`);

function show(found: Checklist, values: Values): void {
  if (values.json === true) {
    const exit = EXIT[exitOf(found)].code;
    write(JSON.stringify({ ...found, exit }, undefined, values.watch === true ? undefined : 2));
  } else write(checklistText(found, screenOf(process.stdout)));
}

/** Looks until `signal` is aborted; how it ends is what the last look found. */
async function watch(stack: string, values: Values, signal: AbortSignal): Promise<ExitName> {
  const seconds = intervalOf(values);
  let ends: ExitName = "interrupted";
  let target = await unlessInterrupted(signal, readTarget(stack));
  while (target) {
    const found = await unlessInterrupted(signal, verify(target));
    if (!found) break;
    if (process.stdout.isTTY && values.json !== true) process.stdout.write("\u001b[2J\u001b[H");
    show(found, values);
    if (values.json !== true) write(`\n${new Date().toISOString().slice(0, 19)}Z, every ${seconds} s; Ctrl-C ends it.`);
    ends = exitOf(found);
    if (!(await sleep(seconds * 1000, true, { signal }).catch(() => false))) break;
    // An update may have put other credentials in place.
    if (!found.holds) target = await unlessInterrupted(signal, readAgain(stack, target));
  }
  return ends;
}

/** The stack once more, or as it was known where it cannot be read at this moment: a watch outlives that. */
async function readAgain(stack: string, known: Target): Promise<Target> {
  try {
    return await readTarget(stack);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    process.stderr.write(`${harmless(error.message)}\n`);
    return known;
  }
}

function intervalOf({ interval }: Values): number {
  if (interval === undefined) return DEFAULT_INTERVAL_SECONDS;
  const seconds = Number(interval);
  if (!(seconds >= 1 && seconds <= 3600)) {
    throw new CommandError(
      `--interval is "${interval}"; allowed: 1 to 3600 seconds; for example --interval 10\n\n${usage(VERIFY)}`,
      "usage",
    );
  }
  return seconds;
}

async function main(argv: readonly string[], signal: AbortSignal): Promise<ExitName> {
  const values = parse(VERIFY, argv);
  if (values.help === true) {
    write(usage(VERIFY));
    return "ok";
  }
  const stack = String(values.stack);
  intervalOf(values);
  if (values.watch === true && values.execute === true) {
    throw new CommandError(
      `--execute runs a playbook once and --watch looks again: give one of them\n\n${usage(VERIFY)}`,
      "usage",
    );
  }
  if (values.watch === true) return watch(stack, values, signal);
  const look = values.execute === true ? verifyByExecution : verify;
  const found = await unlessInterrupted(signal, tellingOfDelay(readTarget(stack).then(look)));
  if (!found) return "interrupted";
  show(found, values);
  return exitOf(found);
}

if (require.main === module) runCommand(main);
