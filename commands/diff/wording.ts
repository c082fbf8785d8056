/** Wording that the comparison and its presentations share. */
import type { Operation } from "./report";

/** With a capital letter in front. */
export const sentence = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);

const PAST: Readonly<Record<string, string>> = {
  create: "created",
  update: "updated",
  replace: "replaced",
  delete: "deleted",
} satisfies Record<Operation, string>;

/** `replaced`, of an operation; another step of the engine keeps its name. */
export const past = (op: string): string => PAST[op] ?? op;

/** `Release noetl-release`, of a resource of the program. */
export const resourceTitle = ({ type, name }: { readonly type: string; readonly name: string }): string =>
  `${type.split(":").at(-1) ?? type} ${name}`;
