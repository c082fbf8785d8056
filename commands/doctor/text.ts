/** Text that others have written, such as a pod's log, made fit to be shown and pasted. */
/** Sequences that a terminal takes for commands (ECMA-48): CSI, OSC, DCS and their like, and those of two characters. */
const SEQUENCES =
  // eslint-disable-next-line no-control-regex
  /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[PX^_][^\u001b]*(?:\u001b\\)?|[ -/]*[0-~])|\u009b[0-?]*[ -/]*[@-~]/g;

/** Characters that move the cursor, are not seen, or turn the direction of what follows; tab and line feed stay. */
// eslint-disable-next-line no-control-regex
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** `text` without anything that a terminal would do instead of show. */
export const harmless = (text: string): string => text.replace(SEQUENCES, "").replace(CONTROLS, "");

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
