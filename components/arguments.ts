/** Arguments of components, each of which may be an output: what is checked when, and what follows from a value. */
import * as pulumi from "@pulumi/pulumi";
import type { Check } from "../contract/validate";

const isPlain = <T>(value: pulumi.Input<T>): value is T =>
  !pulumi.Output.isInstance(value) && !(value instanceof Promise);

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

/**
 * Checks of a component's arguments. What is wrong with plain values is said together, before anything is declared; an output
 * is checked when it is known, and fails what it is for.
 */
export class ArgumentChecks {
  private readonly problems: string[] = [];

  constructor(private readonly component: pulumi.Resource) {}

  /** What is wrong beyond one value; undefined where nothing is. */
  problem(name: string, problem: string | undefined): void {
    if (problem !== undefined) this.problems.push(`${name} is ${problem}`);
  }

  /** The argument, which has to be used in place of the one that was given: it fails where an output is wrong. */
  checked<T>(name: string, value: pulumi.Input<T>, check: Check<T>): pulumi.Input<T> {
    if (isPlain(value)) {
      this.problem(name, check(value));
      return value;
    }
    return derived(value, (known) => {
      const problem = check(known);
      if (problem !== undefined) throw new pulumi.ResourceError(`${name} is ${problem}`, this.component);
      return known;
    });
  }

  /** @throws pulumi.ResourceError with all that is wrong with plain values. */
  done(): void {
    if (this.problems.length > 0) throw new pulumi.ResourceError(this.problems.join("; "), this.component);
  }
}

/** A number of pods. */
export const podCount: Check<number> = (value) =>
  Number.isInteger(value) && value >= 0 ? undefined : "not a number of pods";
