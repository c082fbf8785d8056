/**
 * Writes what the engine printed for a run's summary:
 *
 *     node dist/scripts/ci/summary.js TITLE FILE >> "$GITHUB_STEP_SUMMARY"
 */
import * as fs from "node:fs";
import { harmless } from "../../contract/mask/harmless";
import { fail } from "./variables";

/** Most characters of it: GitHub takes a mebibyte of a step, and nothing of what is longer. */
const LIMIT = 250_000;

/** Indented text is a code block that nothing inside can end; markdown takes a lone carriage return for the end of a line, too. */
export function summaryOf(title: string, text: string): string {
  const shown = harmless(text.length > LIMIT ? `...\n${text.slice(-LIMIT)}` : text);
  const lines = shown.replace(/\n$/, "").split("\n");
  return [`### ${title}`, "", ...lines.map((line) => `    ${line}`), "", ""].join("\n");
}

if (require.main === module) {
  try {
    const [title, file] = process.argv.slice(2);
    if (title === undefined || file === undefined) throw new Error("usage: summary.js TITLE FILE");
    process.stdout.write(summaryOf(title, fs.readFileSync(file, "utf8")));
  } catch (error) {
    fail(error);
  }
}
