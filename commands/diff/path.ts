/** Paths into values: how they are written, and what they name. */

/** One step into a value: a key, the name of a list's item in brackets, or an index. */
export type Step = string | { readonly item: string } | number;

/** `a.b[item][0]["with.dots"]` */
export function formatPath(path: readonly Step[]): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === "number") return `${text}[${step}]`;
    if (typeof step === "object") return `${text}[${step.item}]`;
    if (!/^[A-Za-z_$][\w$-]*$/.test(step)) return `${text}[${JSON.stringify(step)}]`;
    return text ? `${text}.${step}` : step;
  }, "");
}

/** The keys of a path without the items of lists, for comparing with tables of fields. */
export const keysOf = (path: readonly Step[]): (string | number)[] =>
  path.filter((step): step is string | number => typeof step !== "object");

/** Name that tells whether a value is a credential: the variable's in a list of variables, else the field's. */
export function nameOf(path: readonly Step[]): string {
  const last = path.at(-1);
  const item = path.at(-2);
  if ((last === "value" || last === "val") && typeof item === "object") return item.item;
  return typeof last === "string" ? last : "";
}
