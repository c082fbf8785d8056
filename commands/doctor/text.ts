/** Text that others have written, such as a pod's log, made fit to be shown and pasted. */
export { harmless } from "../../contract/mask/harmless";

/** An argument as a POSIX shell takes it. */
export { quotedPath as quoted } from "../../contract/shell";

/** A point in time as people in every zone read it: UTC, to the second. */
export const clock = (milliseconds: number): string => `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;

/** How much of a list is shown line by line. */
export const NAMED = 10;

/** The first {@link NAMED} in words, and how many more there are. */
export const capped = <T>(all: readonly T[], words: (each: T) => string): string[] => [
  ...all.slice(0, NAMED).map(words),
  ...(all.length > NAMED ? [`and ${all.length - NAMED} more`] : []),
];
