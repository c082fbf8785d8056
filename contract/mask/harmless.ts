/** Text that others have written, such as a pod's log, made fit for a terminal. */

/**
 * Sequences that a terminal takes for commands (ECMA-48): CSI, OSC, DCS and their like, and those of two characters. One that nothing ends
 * goes to its line's end: the lines after it are to be read.
 */
const SEQUENCES =
  // eslint-disable-next-line no-control-regex
  /\u001b(?:\[[0-?]{0,256}[ -/]{0,16}[@-~]|\][^\u0007\u001b\n]{0,4096}(?:\u0007|\u001b\\)?|[PX^_][^\u001b\n]{0,4096}(?:\u001b\\)?|[ -/]{0,16}[0-~])|\u009b[0-?]{0,256}[ -/]{0,16}[@-~]/u;

/**
 * Characters that move the cursor, are not seen, or turn the direction of what follows; tab and line feed stay. Unicode's own list of what
 * is not seen has letters of no width, fillers, and the tags and selectors in which a whole text can be hidden.
 */
export const UNSEEN_SIGN = /(?![\t\n])\p{Cc}|\p{Default_Ignorable_Code_Point}|[\u2028\u2029\ufff9-\ufffb]/gu;

/** All of that. */
export const UNSEEN = new RegExp(`${SEQUENCES.source}|${UNSEEN_SIGN.source}`, "gu");

/** A text with the signs that `signs` finds written out, `\u{200b}`. */
export const spelledOut = (text: string, signs: RegExp): string =>
  text.replace(signs, (sign) => `\\u{${(sign.codePointAt(0) ?? 0).toString(16)}}`);

/** `text` without anything that a terminal would do instead of show. */
export const harmless = (text: string): string => text.replace(UNSEEN, "");
