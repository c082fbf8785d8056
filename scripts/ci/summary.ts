/**
 * Writes what the engine printed for a run's summary:
 *
 *     node dist/scripts/ci/summary.js TITLE FILE >> "$GITHUB_STEP_SUMMARY"
 */
import * as fs from "node:fs";
import { harmless } from "../../contract/mask/harmless";

/** Most bytes of it: GitHub takes a mebibyte of a step, and nothing of what is longer. */
const LIMIT = 1_000_000;

/** Indented text is a code block that nothing inside can end; markdown takes a lone carriage return for the end of a line, too. */
export function summaryOf(title: string, text: string): string {
  const lines = harmless(text).replace(/\n$/, "").split("\n");
  const code = Buffer.from(lines.map((line) => `    ${line}\n`).join(""));
  return `### ${title}\n\n${code.length > LIMIT ? `    ...\n    ${endOf(code)}` : code.toString()}\n`;
}

/** The last that may be shown of a text, without the rest of a character whose begin is cut off, and of an indent. */
function endOf(code: Buffer): string {
  let start = code.length - LIMIT;
  while (((code[start] ?? 0) & 0xc0) === 0x80) start += 1;
  return code.subarray(start).toString().replace(/^ +/, "");
}

if (require.main === module) {
  try {
    const [title, file] = process.argv.slice(2);
    if (title === undefined || file === undefined) throw new Error("usage: summary.js TITLE FILE");
    process.stdout.write(summaryOf(title, fs.readFileSync(file, "utf8")));
  } catch (error) {
    // Standard output is the summary.
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
