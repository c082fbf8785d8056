/**
 * What was approved is what is deployed, or nothing is.
 *
 *     node dist/scripts/ci/plan.js note PLAN NOTE       writes down what a plan does
 *     node dist/scripts/ci/plan.js compare NOTE PLAN    fails where another plan does something else
 *
 * PLAN is what `pulumi preview --save-plan` wrote. NOTE goes from the job whose preview is approved to the one that deploys: resources,
 * operations, paths, and a digest of what each resource gets; no value, and of a secret only that it is one.
 *
 * Why the engine is not held to the plan itself: docs/decisions/0025-approved-plan.md.
 */
import * as crypto from "node:crypto";
import * as fs from "node:fs";
import { harmless } from "../../contract/mask/harmless";
import { stableJson } from "../../contract/stable-json";
import { fail } from "./variables";

/** How the engine marks a value that is a secret, and that it is encrypted (pulumi sdk/go/common/resource/sig). */
const SIGNATURE = "4dabf18193072939515e22adb298388d";

/** A plan as the engine writes it (pulumi sdk/go/common/apitype/plan.go), as far as it is read here. */
interface Plan {
  readonly resourcePlans?: Readonly<
    Record<
      string,
      {
        readonly steps?: readonly string[];
        readonly goal?: { readonly protect?: boolean; readonly inputDiff?: Difference } | null;
      }
    >
  >;
}
interface Difference {
  readonly adds?: Readonly<Record<string, unknown>>;
  readonly updates?: Readonly<Record<string, unknown>>;
  readonly deletes?: readonly string[];
}

/** What a plan does to one resource. */
export interface Intent {
  readonly steps: readonly string[];
  /** Inputs that are added, changed or removed, sorted. */
  readonly inputs: readonly string[];
  /** Of operations, inputs and their values. */
  readonly digest: string;
}
export type Note = Readonly<Record<string, Intent>>;

/** A value as it is compared: of a secret that it is one. Its ciphertext is another one every time. */
function comparable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value !== "object" || value === null) return value;
  if (SIGNATURE in value && ("ciphertext" in value || "plaintext" in value)) return "[secret]";
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, comparable(inner)]));
}

/** What a plan does, by resource; resources that stay as they are are left out. @throws Error for what is not a plan. */
export function noteOf(json: string): Note {
  let plan: Plan;
  try {
    plan = JSON.parse(json) as Plan;
  } catch {
    throw new Error("the plan is not JSON");
  }
  if (typeof plan?.resourcePlans !== "object" || plan.resourcePlans === null)
    throw new Error("the plan names no resources");
  return Object.fromEntries(
    Object.entries(plan.resourcePlans)
      .map(([urn, { steps = [], goal }]): [string, Intent] => {
        const { adds = {}, updates = {}, deletes = [] } = goal?.inputDiff ?? {};
        const inputs = [...new Set([...Object.keys(adds), ...Object.keys(updates), ...deletes])].sort();
        const content = comparable({
          steps,
          adds,
          updates,
          deletes: [...deletes].sort(),
          protect: goal?.protect ?? false,
        });
        return [urn, { steps, inputs, digest: crypto.createHash("sha256").update(stableJson(content)).digest("hex") }];
      })
      .filter(([, { steps }]) => steps.some((step) => step !== "same"))
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

/** The note of what was approved. @throws Error for what is none: half a note would be half an approval. */
export function readNote(json: string): Note {
  let note: unknown;
  try {
    note = JSON.parse(json);
  } catch {
    throw new Error("the note of what was approved is not JSON");
  }
  const other = "the note of what was approved is of another form";
  if (typeof note !== "object" || note === null || Array.isArray(note)) throw new Error(other);
  const isList = (each: unknown): boolean => Array.isArray(each) && each.every((item) => typeof item === "string");
  for (const [urn, intent] of Object.entries(note as Record<string, Partial<Intent> | null>)) {
    const problems = [
      ...(["steps", "inputs"] as const).filter((field) => !isList(intent?.[field])).map((field) => `no list ${field}`),
      ...(typeof intent?.digest === "string" ? [] : ["no digest"]),
    ];
    if (problems.length > 0) throw new Error(`${other}: ${harmless(urn)} has ${problems.join(", ")}`);
  }
  return note as Note;
}

const words = ({ steps, inputs }: Intent): string =>
  `${steps.join(", ")}${inputs.length > 0 ? ` of ${inputs.join(", ")}` : ""}`;

/** Where what is planned now differs from what was approved, one line each; empty where it does not. */
export function differences(approved: Note, now: Note): string[] {
  const urns = [...new Set([...Object.keys(approved), ...Object.keys(now)])].sort();
  return urns.flatMap((urn) => {
    const [before, after] = [approved[urn], now[urn]];
    if (before?.digest === after?.digest) return [];
    const name = urn.split("::").slice(-2).join(" ");
    const was = before ? words(before) : "nothing";
    const is = after ? words(after) : "nothing";
    return [`${name}: approved was ${was}; now it would be ${was === is ? "the same with other values" : is}`];
  });
}

function main([command, from, to]: readonly string[]): void {
  if (from === undefined || to === undefined || (command !== "note" && command !== "compare"))
    throw new Error("usage: plan.js note PLAN NOTE | compare NOTE PLAN");
  if (command === "note") {
    fs.writeFileSync(to, `${JSON.stringify(noteOf(fs.readFileSync(from, "utf8")), null, 1)}\n`);
    return;
  }
  const found = differences(readNote(fs.readFileSync(from, "utf8")), noteOf(fs.readFileSync(to, "utf8")));
  if (found.length === 0) {
    console.log("What was approved is what would be done now.");
    return;
  }
  console.log(found.map(harmless).join("\n"));
  throw new Error(
    `${found.length} resources differ from what was approved, because something changed since: nothing was deployed. Run the workflow again and look at its plan.`,
  );
}

if (require.main === module) {
  try {
    main(process.argv.slice(2));
  } catch (error) {
    fail(error);
  }
}
