import { ConnectError } from "../../contract/errors";
import type { ContractInputs } from "../../contract/inputs";
import { plural } from "../../contract/wording";
import { COMMON, parse, usage, type Command, type Values } from "../shared/arguments";
import { diagnose, inWordsOf, type Diagnosis } from "./diagnosis";
import { helmCommand, wordsOfStack } from "../shared/engine";
import { CommandError, EXIT, type ExitName } from "../shared/exit";
import { masker } from "../../contract/mask";
import { gather } from "./gather";
import { Cluster } from "./kubernetes";
import { deployedPassword } from "./environment";
import { diagnosisText, intentText, screenOf, type Screen } from "./present";
import { refuseOtherLines } from "./executions";
import { repair, type Intent, type Outcome } from "./repair";
import { announceLost, deployedNoetl } from "./repair/announce";
import { repairFolder } from "./repair/journal";
import { ask, runCommand, tellingOfDelay, unlessInterrupted } from "../shared/run";
import { contractInputs, readTarget, type Target } from "./target";
import { harmless } from "./text";

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
    repair: {
      type: "boolean",
      means:
        "fix stream and consumer, and announce commands that were lost: shows what it would do and asks; interrupted, it " +
        "goes on when it is run again",
    },
    yes: { type: "boolean", means: "with --repair: do not ask" },
  },
};

/** Deadline of the questions of a repair, in seconds. */
const REPAIR_SECONDS = 15;

const write = (text: string) => process.stdout.write(`${text}\n`);

/** Reads the evidence and names the causes. */
export async function examine(target: Target, origin?: string): Promise<Diagnosis> {
  const found = diagnose(await gather(target, { detail: "full", origin }));
  const words = wordsOfStack(target.stack);
  if (words === undefined) return found;
  const helm = helmCommand();
  return {
    ...found,
    findings: found.findings.map((each) => ({
      ...each,
      remedy: inWordsOf(words, each.remedy, { stack: target.stack, helm }),
    })),
  };
}

function show(diagnosis: Diagnosis, values: Values, exit: ExitName = diagnosis.healthy ? "ok" : "wrong"): ExitName {
  if (values.json === true) write(JSON.stringify({ ...diagnosis, exit: EXIT[exit].code }, undefined, 2));
  else write(diagnosisText(diagnosis, screenOf(process.stdout)));
  return exit;
}

/** With --json the result alone goes to the standard output. */
const progress = (values: Values) => (values.json === true ? process.stderr : process.stdout);

/** Hides what is secret of the stack. */
export const hiding = ({ secrets, nats }: Target, password = ""): Mask => masker([...secrets, password], [nats.user]);

/** Writes what a repair says, through a mask. */
export const telling =
  (mask: Mask, out: { write(text: string): unknown }): Tell =>
  (text) =>
    void out.write(`${mask(text)}\n`);

/** The question of a repair. Its texts are masked before they are painted: the mask takes colours away with everything else that a terminal obeys. */
export function question(intent: Intent, mask: Mask, screen: Screen): string {
  const [broken, steps] = [intent.broken.map(mask), intent.steps.map(mask)];
  const [losses, leaves] = [intent.losses.map(mask), intent.leaves.map(mask)];
  return intentText({ ...intent, broken, steps, losses, leaves }, screen);
}

type Mask = (text: string) => string;
type Tell = (text: string) => void;

interface Asking {
  readonly values: Values;
  readonly tell: Tell;
  readonly mask: Mask;
  /** Said where the answer is no. */
  readonly declined?: string;
}

async function confirm(
  intent: Intent,
  { values, tell, mask, declined = "Nothing was changed." }: Asking,
): Promise<boolean> {
  const out = progress(values);
  out.write(`${question(intent, mask, screenOf(out))}\n\n`);
  if (values.yes === true) return true;
  if (!process.stdin.isTTY) {
    tell(`There is nobody to ask: add --yes to go on. ${declined}`);
    return false;
  }
  const agreed = /^y(es)?$/i.test((await ask("Go on? [y/N] ", process.stdin, out)).trim());
  if (!agreed) tell(declined);
  return agreed;
}

async function fix(target: Target, values: Values, signal: AbortSignal): Promise<ExitName> {
  const cluster = await Cluster.open(target.cluster);
  const { nats } = target.namespaces;
  const password =
    target.nats.password ?? (nats === undefined ? undefined : await deployedPassword(cluster, nats, target.nats.user));
  const inputs = contractInputs(target, REPAIR_SECONDS, password);
  const mask = hiding(target, password);
  const tell = telling(mask, progress(values));
  let stays: readonly string[] = [];
  const outcome = await repair({
    stack: target.stack,
    inputs,
    cluster,
    folder: repairFolder(target.stack, cluster.server, inputs.stream),
    say: (line) => tell(harmless(line)),
    confirm: (intent) => {
      stays = intent.leaves.map(mask);
      return confirm(intent, { values, tell, mask });
    },
    signal,
  });
  const may = outcome === "nothing-to-do" || outcome === "repaired";
  const announced = may ? await announce(target, { inputs, cluster, values, tell, mask, signal }) : 0;
  if (outcome === "nothing-to-do") {
    if (announced === "declined") return end(target, values, { outcome: "declined", leaves: [], exit: "declined" });
    if (announced === 0) tell("There is nothing that --repair would change.\n");
    return show(await examine(target), values);
  }
  const exit = announced === "declined" ? "declined" : exitOf(outcome, stays);
  const endings: Record<Exclude<Outcome, "nothing-to-do">, string> = {
    declined: "Nothing was changed.",
    repaired: stays.length === 0 ? "The contract holds." : "Done, as far as it can be fixed from here.",
    "still-broken": "The contract still does not hold.",
  };
  if (values.json !== true && outcome !== "declined") write(endings[outcome]);
  return end(target, values, { outcome, leaves: stays, exit });
}

interface End {
  readonly outcome: Outcome;
  readonly leaves: readonly string[];
  readonly exit: ExitName;
}

/** Ends a repair; with --json its one object says how. */
function end({ stack }: Target, values: Values, { exit, ...how }: End): ExitName {
  if (values.json === true) write(JSON.stringify({ stack, ...how, exit: EXIT[exit].code }));
  return exit;
}

interface Announcing {
  readonly inputs: ContractInputs;
  readonly cluster: Cluster;
  readonly values: Values;
  readonly tell: Tell;
  readonly mask: Mask;
  readonly signal: AbortSignal;
}

/** Announces what waits where that is known how; where it cannot be asked, says so: the contract holds all the same. */
async function announce(
  target: Target,
  { inputs, cluster, values, tell, mask, signal }: Announcing,
): Promise<number | "declined"> {
  const namespace = target.namespaces.noetl;
  if (namespace === undefined) return 0;
  const say = (line: string) => tell(harmless(line));
  try {
    refuseOtherLines(target.settings);
    const confirming = (intent: Intent) => confirm(intent, { values, tell, mask, declined: "Nothing was announced." });
    const noetl = deployedNoetl(cluster, namespace, masker(target.secrets, [target.nats.user]));
    const count = await announceLost({ inputs, noetl, say, confirm: confirming, signal });
    if (typeof count === "number" && count > 0) say(`Announced ${plural(count, "command")}.`);
    return count;
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    say(`Whether executions wait for a command is not known: ${error.message}`);
    return 0;
  }
}

function exitOf(outcome: Outcome, leaves: readonly string[]): ExitName {
  if (outcome === "declined") return "declined";
  return outcome === "repaired" && leaves.length === 0 ? "ok" : "wrong";
}

async function main(argv: readonly string[], signal: AbortSignal): Promise<ExitName> {
  const values = parse(DOCTOR, argv);
  if (values.help === true) {
    write(usage(DOCTOR));
    return "ok";
  }
  if (values.yes === true && values.repair !== true) {
    throw new CommandError(`--yes goes with --repair only\n\n${usage(DOCTOR)}`, "usage");
  }
  const reading = readTarget(String(values.stack));
  if (values.repair !== true) {
    const origin = typeof values.origin === "string" ? values.origin : undefined;
    const diagnosis = await unlessInterrupted(
      signal,
      tellingOfDelay(reading.then((target) => examine(target, origin))),
    );
    return diagnosis ? show(diagnosis, values) : "interrupted";
  }
  const target = await reading;
  try {
    return await fix(target, values, signal);
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    // What keeps the repair from its work is a cause like any other.
    telling(hiding(target), progress(values))(`The repair cannot go on: ${harmless(error.message)}\n`);
    return show(await examine(target), values, "wrong");
  }
}

if (require.main === module) runCommand(main);
