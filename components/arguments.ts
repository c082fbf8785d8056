/** Arguments of components, each of which may be an output: what is checked when, and what follows from a value. */
import * as pulumi from "@pulumi/pulumi";
import type { Check } from "../contract/validate";
import { type Findings, isOutput, keysOf, problemsOf, type Terms } from "./terms";

const isPlain = <T>(value: pulumi.Input<T>): value is T => !isOutput(value);

/** What follows from a value: at once where that is plain, else when it is known. */
export function derived<T, U>(value: pulumi.Input<T>, follows: (known: T) => U): pulumi.Input<U> {
  return isPlain(value) ? follows(value) : pulumi.output(value).apply((known) => follows(known as T));
}

/** Several values as one, which is plain where all of them are. */
export function together<T extends object>(values: { [K in keyof T]: pulumi.Input<T[K]> }): pulumi.Input<T> {
  const parts = values as Record<string, pulumi.Input<unknown>>;
  return Object.values(parts).every(isPlain)
    ? (values as T)
    : (pulumi.all(parts) as pulumi.Output<unknown> as pulumi.Output<T>);
}

/** The value of an output; undefined where a preview does not know it, or what it comes from has failed. */
async function knownValue<T>(output: pulumi.Output<T>): Promise<{ readonly value: T } | undefined> {
  // The SDK's own, and the only way that ends also where the value is not known.
  const inside = output as unknown as { readonly isKnown: Promise<boolean>; promise(): Promise<T> };
  try {
    const value = await inside.promise();
    return (await inside.isKnown) ? { value } : undefined;
  } catch {
    // Whoever made it says so.
    return undefined;
  }
}

/** Between two problems, each of which has semicolons of its own. */
export const SEPARATOR = ";\n";

/** How long an argument that is wrong waits for others, to be refused with them; in milliseconds. One may be known much later. */
const OTHERS_MILLISECONDS = 1000;

/** Resolves to `value`, or to `instead` where that is not there in time. */
async function inTime<T>(value: Promise<T>, instead: T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<T>((resolve) => (timer = setTimeout(resolve, OTHERS_MILLISECONDS, instead)));
  try {
    return await Promise.race([value, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Checks of a component's arguments. What is wrong with plain values is said together, before anything is declared; an output
 * is checked when it is known, and fails what it is for, with all that is wrong with the outputs that are known by then.
 */
export class ArgumentChecks {
  private readonly problems: string[] = [];
  /** What is wrong with each output, once it is known. */
  private readonly outputs: Promise<string | undefined>[] = [];
  private failure: Promise<pulumi.ResourceError> | undefined;
  /** Whether some argument is of another kind, or missing, so that what follows from it cannot be told. */
  private isMisshapen = false;

  constructor(private readonly component: pulumi.Resource) {}

  /**
   * All arguments, each held to its term: of its kind, allowed, and known at all. What is of another kind is left out of the result,
   * for which outputs are checked when they are known. Rules between arguments come after it.
   */
  all<Args extends object>(args: Args | undefined, terms: Terms<Args>): Args {
    const findings: Findings = {
      problem: (problem, of) => {
        this.problems.push(problem);
        if (of === "kind") this.isMisshapen = true;
      },
      output: (path, value, term) =>
        this.checkedOutput(pulumi.output(value), (known) => {
          const problems = problemsOf(path, known, term);
          return problems.length > 0 ? problems.join(SEPARATOR) : undefined;
        }),
    };
    // A program in JavaScript may give anything.
    const given: unknown = args ?? {};
    if (isPlain(given) && typeof given === "object" && !Array.isArray(given))
      return keysOf("", given as Args, { keys: terms as Record<string, Terms<Args>[keyof Args]>, findings });
    findings.problem(
      `the second argument is not an object; allowed: one with ${Object.keys(terms).join(", ")}; for example {}`,
      "kind",
    );
    return {} as Args;
  }

  /** What is wrong beyond one value; undefined where nothing is. */
  problem(name: string, problem: string | undefined): void {
    if (problem !== undefined && !this.isMisshapen) this.problems.push(`${name} is ${problem}`);
  }

  /** The argument, which has to be used in place of the one that was given: it fails where an output is wrong. */
  checked<T>(name: string, value: pulumi.Input<T>, check: Check<T>): pulumi.Input<T> {
    return this.whole(value, (known) => {
      const problem = check(known);
      return problem === undefined ? undefined : `${name} is ${problem}`;
    });
  }

  /** The same for values that have to go together; the check says a whole sentence. */
  whole<T>(value: pulumi.Input<T>, check: Check<T>): pulumi.Input<T> {
    if (isPlain(value)) {
      const problem = this.isMisshapen ? undefined : check(value);
      if (problem !== undefined) this.problems.push(problem);
      return value;
    }
    return this.checkedOutput(pulumi.output(value) as pulumi.Output<T>, check);
  }

  private checkedOutput<T>(output: pulumi.Output<T>, check: Check<T>): pulumi.Output<T> {
    this.outputs.push(knownValue(output).then((known) => known && check(known.value)));
    return output.apply(async (known) => {
      if (check(known) !== undefined) throw await (this.failure ??= this.refusal());
      return known;
    });
  }

  /** @throws pulumi.ResourceError with all that is wrong with plain values. */
  done(): void {
    if (this.problems.length > 0) throw this.error(this.problems);
  }

  /** One error for all outputs, which the engine says once. */
  private async refusal(): Promise<pulumi.ResourceError> {
    const found = await Promise.all(this.outputs.map((problem) => inTime(problem, undefined)));
    return this.error(found.filter((problem) => problem !== undefined));
  }

  private error(problems: readonly string[]): pulumi.ResourceError {
    // What fails one check fails those that it is a part of, too.
    return new pulumi.ResourceError([...new Set(problems)].join(SEPARATOR), this.component);
  }
}

/** All arguments of a component, each of its kind and allowed. @throws pulumi.ResourceError as {@link ArgumentChecks.done} does. */
export function checkedArguments<Args extends object>(
  component: pulumi.Resource,
  args: Args | undefined,
  terms: Terms<Args>,
): Args {
  const checks = new ArgumentChecks(component);
  const checked = checks.all(args, terms);
  checks.done();
  return checked;
}
