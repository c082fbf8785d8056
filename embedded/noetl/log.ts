/** NoETL's log: one JSON object a line, from the level of LOG_LEVEL up. */
import { optional } from "./pod-environment";

const SEVERITIES = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] as const;

/** Writes a line that some library of NoETL's writes beside its log. */
export const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** @param error what NoETL adds the traceback of */
export function log(severity: (typeof SEVERITIES)[number], message: string, error?: unknown): void {
  const level = SEVERITIES.findIndex((each) => each === optional("LOG_LEVEL")?.toUpperCase());
  if (SEVERITIES.indexOf(severity) < (level < 0 ? SEVERITIES.indexOf("INFO") : level)) return;
  const traceback = error === undefined ? undefined : `Traceback (most recent call last):\n${messageOf(error)}`;
  say(JSON.stringify({ severity, message, _: {}, traceback }));
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
