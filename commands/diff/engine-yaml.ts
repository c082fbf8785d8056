/**
 * A stack's file as the engine reads it. The engine resolves a plain scalar by the rules of go-yaml 3, which knows numbers of
 * YAML 1.1 too, and passes on what it made of it: `0123` is 83 for it, `1_000` is 1000, `1e6` is 1000000.
 *
 * Source: resolve.go of gopkg.in/yaml.v3; a test asks the engine itself.
 */
import { isAlias, isMap, isScalar, isSeq, parseDocument, type Document, type Node } from "yaml";

/** What the engine makes of a scalar. */
export interface EngineScalar {
  /** The text that a program gets. */
  readonly text: string;
  /** What stands in the file. */
  readonly source: string;
  /** Undefined for a text: it is quoted, or cannot be taken for anything else. */
  readonly kind?: "number" | "boolean" | "date" | "nothing";
}

const WORDS: Readonly<Record<string, Pick<EngineScalar, "text" | "kind">>> = Object.fromEntries(
  (
    [
      ["true", "boolean", ["true", "True", "TRUE"]],
      ["false", "boolean", ["false", "False", "FALSE"]],
      ["", "nothing", ["", "~", "null", "Null", "NULL"]],
    ] as const
  ).flatMap(([text, kind, words]) => words.map((word) => [word, { text, kind }] as const)),
);

const LARGEST = 2n ** 64n;
const LARGEST_SIGNED = 2n ** 63n;

/** An integer as Go's `ParseInt(text, 0, 64)` takes it, underscores removed; undefined where it is none, or too large. */
function integer(plain: string): bigint | undefined {
  const [, sign = "", digits = ""] = /^([+-]?)(.*)$/s.exec(plain) ?? [];
  const octal = /^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits;
  if (!/^(0|[1-9]\d*|0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+)$/.test(octal)) return undefined;
  const value = BigInt(octal);
  // One with a plus sign is tried as a signed number alone.
  if (sign === "-") return value <= LARGEST_SIGNED ? -value : undefined;
  return value < (sign === "+" ? LARGEST_SIGNED : LARGEST) ? value : undefined;
}

/** A float as JSON writes it, which knows no negative zero here. */
const floatText = (value: number): string => String(value === 0 ? 0 : value);

const DATE = /^(\d{4})-(\d{1,2})-(\d{1,2})$/;
const TIME = /^(\d{4})-(\d{1,2})-(\d{1,2})(?:[Tt]| )(\d{1,2}):(\d{1,2}):(\d{1,2})(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})?$/;

/** A date as the engine passes it, which is Go's own way of writing one; undefined where it is none. */
function date(text: string): string | undefined {
  const pad = (part: string | undefined) => (part ?? "0").padStart(2, "0");
  const exists = (year: string, month: string, day: string) => {
    const time = new Date(`${year}-${pad(month)}-${pad(day)}T00:00:00Z`);
    return !Number.isNaN(time.getTime()) && time.getUTCDate() === Number(day);
  };
  const day = DATE.exec(text);
  if (day) {
    const [, year = "", month = "", number = ""] = day;
    return exists(year, month, number) ? `${year}-${pad(month)}-${pad(number)} 00:00:00 +0000 UTC` : undefined;
  }
  const [, year = "", month = "", number = "", hour, minute, second, fraction = "", zone] = TIME.exec(text) ?? [];
  // With a blank there is no zone, with a T there has to be one.
  if (year === "" || /[Tt]/.test(text.slice(0, 11)) !== (zone !== undefined) || !exists(year, month, number))
    return undefined;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return undefined;
  const seconds = `${pad(second)}${fraction.replace(/\.?0+$/, "")}`;
  const offset = (zone ?? "Z") === "Z" ? "+0000 UTC" : `${zone?.replace(":", "")} ${zone?.replace(":", "")}`;
  return `${year}-${pad(month)}-${pad(number)} ${pad(hour)}:${pad(minute)}:${seconds} ${offset}`;
}

/** What the engine makes of a plain (unquoted) scalar. */
export const engineScalar = (source: string): EngineScalar => ({ ...resolved(source), source });

function resolved(source: string): Pick<EngineScalar, "text" | "kind"> {
  const word = Object.hasOwn(WORDS, source) ? WORDS[source] : undefined;
  if (word) return word;
  const first = source.charAt(0);
  if (first === "." && /^\.[0-9]+([eE][-+]?[0-9]+)?$/.test(source))
    return { text: floatText(Number(source)), kind: "number" };
  if (!/[-+0-9]/.test(first)) return { text: source };
  const day = date(source);
  if (day !== undefined) return { text: day, kind: "date" };
  const plain = source.replaceAll("_", "");
  const whole = integer(plain);
  if (whole !== undefined) return { text: String(whole), kind: "number" };
  if (/^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/.test(plain)) {
    const value = Number(plain);
    // What Go cannot hold stays a text.
    if (Number.isFinite(value)) return { text: floatText(value), kind: "number" };
  }
  return { text: source };
}

/** A value of the stack's file: a text, what a plain scalar is taken for, or a list or map of these. */
export type EngineValue =
  EngineScalar | readonly EngineValue[] | { readonly map: Readonly<Record<string, EngineValue>> };

function valueOf(node: Node | null, document: Document): EngineValue {
  if (isAlias(node)) return valueOf(node.resolve(document) ?? null, document);
  if (isSeq(node)) return node.items.map((item) => valueOf(item as Node | null, document));
  if (isMap(node)) return { map: entriesOf(node, document) };
  if (!isScalar(node)) return { text: "", source: "", kind: "nothing" };
  const source = typeof node.value === "string" ? node.value : String(node.source ?? "");
  // A tag says what it is: `!!str 0123` is a text.
  if (node.type !== "PLAIN" || node.tag === "tag:yaml.org,2002:str" || node.tag === "!") {
    return node.tag === undefined || /:(str|binary)$|^!$/.test(node.tag)
      ? { text: source, source }
      : engineScalar(source);
  }
  return engineScalar(source);
}

function entriesOf(map: Node & { items: unknown[] }, document: Document): Record<string, EngineValue> {
  const entries: [string, EngineValue][] = [];
  for (const { key, value } of map.items as { key: unknown; value: Node | null }[]) {
    const name = isScalar(key) ? String(key.value) : "";
    const found = valueOf(value, document);
    if (name === "<<" && isEngineMap(found)) entries.unshift(...Object.entries(found.map));
    else entries.push([name, found]);
  }
  return Object.fromEntries(entries);
}

/** A file's text as the engine reads it; undefined for an empty file. @throws Error for what is not YAML, with its place. */
export function parseEngineYaml(text: string): EngineValue | undefined {
  // Every scalar stays the text that stands there: what it means is decided here.
  const document = parseDocument(text, { schema: "failsafe", merge: true });
  const [error] = document.errors;
  if (error) throw error;
  return document.contents === null ? undefined : valueOf(document.contents, document);
}

export const isEngineMap = (value: EngineValue | undefined): value is { map: Readonly<Record<string, EngineValue>> } =>
  value !== undefined && !Array.isArray(value) && "map" in value;
export const isEngineScalar = (value: EngineValue | undefined): value is EngineScalar =>
  value !== undefined && !Array.isArray(value) && "text" in value;
