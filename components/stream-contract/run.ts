/**
 * What a resource's program knows of the engine's run and the engine does not pass to the provider: whether it is a preview, and which
 * resource is asked about. It comes as an input that never leaves `check`, so that no state and no diff holds it.
 */
import { isDeepStrictEqual } from "node:util";
import type { ContractInputs } from "../../contract/inputs";

/** Name of the input. */
export const RUN_INPUT = "run";

export interface Run {
  /** True where nothing is deployed. */
  readonly preview: boolean;
  /** The resource; empty where it is not known. */
  readonly urn: string;
}

/** Runs of the resources that this process was asked to check; the engine starts a process for each of its runs. */
const runs: { readonly inputs: ContractInputs; readonly run: Run }[] = [];

/** Remembers the run that stands among the inputs of a program. */
export function takeRun(news: object, inputs: ContractInputs): void {
  const given = (news as Record<string, unknown>)[RUN_INPUT] as Partial<Run> | undefined;
  if (given === undefined) return;
  const { preview = true, urn = "" } = given;
  // A copy: the SDK adds to what `check` returns.
  runs.push({ inputs: { ...inputs }, run: { preview, urn } });
}

/** The run of these inputs. Whoever does not know takes it for a preview, which fails nothing. */
export function runOf(inputs: ContractInputs): Run {
  const own = runs.findLast((each) => isDeepStrictEqual(each.inputs, inputs));
  return own?.run ?? { preview: runs.at(-1)?.run.preview ?? true, urn: "" };
}
