/** Makes text from manifests harmless in each format. */
import { spelledOut, UNSEEN_SIGN } from "../../../contract/mask/harmless";

/** The same signs that are taken out of a log, and halves of characters. */
const HIDDEN = new RegExp(`${UNSEEN_SIGN.source}|\\p{Surrogate}`, "gu");

/** Control characters, and those that turn the direction of text or are not seen at all, spelt out. */
export const visible = (text: string): string => spelledOut(text, HIDDEN);

/** Text for HTML, also between quotes. */
export function html(text: string): string {
  return visible(text)
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");
}

const longestRun = (text: string): number => Math.max(0, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));

/** A markdown code span that holds any text, on one line; safe in a table too. */
export function code(text: string): string {
  const line = visible(text).replaceAll("\n", " ⏎ ").replaceAll("\t", " ");
  if (line.trim() === "") return line === "" ? "(empty)" : "(blank)";
  const ticks = "`".repeat(longestRun(line) + 1);
  const padding = line.startsWith("`") || line.endsWith("`") ? " " : "";
  return `${ticks}${padding}${line.replaceAll("|", "\\|")}${padding}${ticks}`;
}

/**
 * Words for running markdown: what could be markup, HTML, a mention, a reference to an issue or a link is disarmed; only
 * text between backticks stays code. `code` is for values; this is for sentences that may quote one.
 */
export function prose(text: string): string {
  return text
    .replaceAll("\n", " ")
    .split(/(`[^`]+`)/)
    .map((part, index) => (index % 2 === 1 ? code(part.slice(1, -1)) : plain(part)))
    .join("");
}

function plain(text: string): string {
  return visible(text)
    .replace(/[&<>]/g, (character) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[character] ?? character)
    .replace(/[\\`*_[\]|~]/g, "\\$&")
    .replace(/[@#](?=\w)/g, (character) => `${character}<!-- -->`)
    .replace(/:\/\//g, ":<!-- -->//")
    .replace(/\bwww\./gi, "www<!-- -->.");
}

/** A fenced block that holds any text. */
export function fence(language: string, text: string): string {
  const body = visible(text);
  const ticks = "`".repeat(Math.max(3, longestRun(body) + 1));
  return `${ticks}${language}\n${body}\n${ticks}`;
}

/** A label of a Mermaid node, between double quotes. */
export function mermaid(text: string): string {
  return visible(text).replace(/[^\p{L}\p{N} .,:/()@+~±-]/gu, (character) => `#${character.codePointAt(0) ?? 32};`);
}
