/** Long texts in parts: a pattern that goes through millions of signs at once has no room for its way back, and throws. */

/** Most signs that are looked through at once, and longest line that is shown: a quarter of what patterns were seen to fail at. */
export const LONGEST = 1024 * 1024;
/** How much of what stands before is looked through again: what is folded over lines may begin there. */
const AGAIN = 65_536;

/** A part of a text, and where it begins. */
export interface Piece {
  readonly from: number;
  readonly text: string;
}

/** Where a part ends that begins at `from`: after a line's end where there is one. */
function endOf(text: string, from: number): number {
  if (text.length - from <= LONGEST) return text.length;
  const line = text.lastIndexOf("\n", from + LONGEST - 1);
  return line < from ? from + LONGEST : line + 1;
}

/** The parts of a text, in order; each but the first begins with as much as `again` of the one before. */
export function pieces(text: string, again = AGAIN): Piece[] {
  if (text.length <= LONGEST) return [{ from: 0, text }];
  const found: Piece[] = [];
  for (let start = 0; start < text.length;) {
    const end = endOf(text, start);
    const from = Math.max(0, start - again);
    found.push({ from, text: text.slice(from, end) });
    start = end;
  }
  return found;
}

/** A text with `word` in the place of lines that are too long to be looked through. */
export function withoutLongLines(text: string, word: string): string {
  if (text.length <= LONGEST) return text;
  return text
    .split("\n")
    .map((line) => (line.length > LONGEST ? word : line))
    .join("\n");
}
