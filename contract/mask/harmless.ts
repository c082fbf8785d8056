/** Text that others have written, such as a pod's log, made fit for a terminal. */

/** Sequences that a terminal takes for commands (ECMA-48): CSI, OSC, DCS and their like, and those of two characters. */
const SEQUENCES =
  // eslint-disable-next-line no-control-regex
  /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[PX^_][^\u001b]*(?:\u001b\\)?|[ -/]*[0-~])|\u009b[0-?]*[ -/]*[@-~]/g;

/** Characters that move the cursor, are not seen, or turn the direction of what follows; tab and line feed stay. */
// eslint-disable-next-line no-control-regex
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** All of that. */
export const UNSEEN = new RegExp(`${SEQUENCES.source}|${CONTROLS.source}`, "g");

/** `text` without anything that a terminal would do instead of show. */
export const harmless = (text: string): string => text.replace(UNSEEN, "");
