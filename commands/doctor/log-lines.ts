/** The log of a container as lines to be read: NoETL writes a JSON object a line, Python a traceback of seventy. */
import type { LogLine } from "./evidence";
import { harmless } from "./text";

/** Longest line that is kept, in characters. */
const LONGEST = 1_000;

/** What the API server puts before every line where it is asked for timestamps (RFC 3339). */
const TIMESTAMP = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)) ?/;

/** Lines of a log with their times, newest last. A traceback is reduced to its last line, a JSON object to its words. */
export function logLines(text: string, mask: (text: string) => string): LogLine[] {
  const lines = text.split("\n").map(timed);
  return withoutFrames(lines)
    .map(({ at, text }) => ({ at, text: shortened(mask(worded(text))) }))
    .filter(({ text }) => text !== "");
}

function timed(line: string): LogLine {
  const [prefix, time] = TIMESTAMP.exec(line) ?? [];
  const at = time === undefined ? Number.NaN : Date.parse(time);
  return prefix === undefined || Number.isNaN(at)
    ? { text: harmless(line).trimEnd() }
    : { at, text: harmless(line.slice(prefix.length)).trimEnd() };
}

/** As much of a text as is shown. It is masked before: half a credential is not found any more. */
export const shortened = (text: string): string => (text.length > LONGEST ? `${text.slice(0, LONGEST - 3)}...` : text);

/** Python's own sentences between the tracebacks of one error and the next. */
const CHAINED = /^(During handling of the above exception|The above exception was the direct cause)/;
const FRAMES = /^\s*(Traceback \(most recent call last\):|File "[^"]+", line \d+)/;

/** Leaves the frames of Python's tracebacks out, and of a chain of errors all but the last. */
function withoutFrames(lines: readonly LogLine[]): LogLine[] {
  const kept: LogLine[] = [];
  let inFrames = false;
  let error = false;
  for (const line of lines) {
    if (CHAINED.test(line.text)) {
      if (error) kept.pop();
    } else if (FRAMES.test(line.text)) inFrames = true;
    else if (!inFrames || /^\S/.test(line.text)) {
      if (line.text === "") continue;
      kept.push(line);
      error = inFrames;
      inFrames = false;
    }
  }
  return kept;
}

const textOf = (value: unknown): string | undefined =>
  typeof value === "string" && value.trim() !== "" ? value.trim() : undefined;

/** A line of JSON as a person reads it: level, message, and the last line of its traceback; any other as it is. */
function worded(line: string): string {
  if (!line.startsWith("{")) return line;
  let found: unknown;
  try {
    found = JSON.parse(line);
  } catch {
    return line;
  }
  if (typeof found !== "object" || found === null) return line;
  const entry = found as Record<string, unknown>;
  // NoETL and Google's programs say `severity` and `message`; the gateway `level` and `fields.message`.
  const fields = (typeof entry.fields === "object" && entry.fields !== null ? entry.fields : {}) as typeof entry;
  const message = textOf(entry.message) ?? textOf(fields.message) ?? textOf(entry.msg) ?? textOf(entry.error);
  if (message === undefined) return line;
  const level = textOf(entry.severity) ?? textOf(entry.level);
  const trace = textOf(entry.traceback) ?? textOf(entry.exception) ?? textOf(entry.exc_info);
  const last = trace?.split("\n").at(-1)?.trim();
  const words = [level, harmless(message).replace(/\s*\n\s*/g, " ")].filter(Boolean).join(" ");
  return last === undefined || words.includes(last) ? words : `${words}: ${harmless(last)}`;
}
