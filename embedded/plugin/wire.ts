import * as struct from "google-protobuf/google/protobuf/struct_pb";

/** What a property may be on the wire. */
export type Json = null | boolean | number | string | Json[] | JsonObject;
export type JsonObject = { [key: string]: Json };

/** Key under which the engine marks special values, and the mark of a secret. */
const SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";

/** Stands for a value that is only known after an update. */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSecret(value: Json | undefined): value is JsonObject {
  return isObject(value) && value[SIGNATURE] === SECRET;
}

/** Marks a value as secret; a value that is one already stays as it is. */
export function secret(value: Json): Json {
  return isSecret(value) ? value : { [SIGNATURE]: SECRET, value };
}

/** What a secret mark holds, with the marks inside it; any other value as it is. */
export function unwrapOnce(value: Json | undefined): Json | undefined {
  return isSecret(value) ? value.value : value;
}

/** The value without any secret marks. */
export function unwrap<T extends Json>(value: T): T;
export function unwrap(value: Json): Json {
  if (isSecret(value)) return unwrap(value.value ?? null);
  if (Array.isArray(value)) return value.map((item) => unwrap(item));
  if (isObject(value)) return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unwrap(item)]));
  return value;
}

/** True where the value or anything in it fits. */
function some(value: Json | undefined, fits: (value: Json) => boolean): boolean {
  if (value === undefined) return false;
  if (fits(value)) return true;
  if (Array.isArray(value)) return value.some((item) => some(item, fits));
  return isObject(value) && Object.values(value).some((item) => some(item, fits));
}

export const hasSecret = (value: Json | undefined): boolean => some(value, isSecret);
export const hasUnknown = (value: Json | undefined): boolean => some(value, (item) => item === UNKNOWN);

/**
 * `value` with secret marks where `like` has them. A list whose length differs becomes secret as a whole if any of its
 * counterparts is, because items can no longer be distinguished.
 */
export function markLike(value: Json, like: Json | undefined): Json {
  if (like === undefined || !hasSecret(like)) return value;
  if (isSecret(like)) return secret(value);
  if (Array.isArray(value)) {
    if (!Array.isArray(like) || like.length !== value.length) return secret(value);
    return value.map((item, index) => markLike(item, like[index]));
  }
  if (isObject(value) && isObject(like)) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, markLike(item, like[key])]));
  }
  return value;
}

/** Every text within a secret mark, numbers included, longest first: what must never be printed. */
export function secretTexts(value: Json | undefined, within = false): string[] {
  const texts = new Set<string>();
  const walk = (item: Json, inside: boolean): void => {
    if (isSecret(item)) walk(item.value ?? null, true);
    else if (Array.isArray(item)) item.forEach((each) => walk(each, inside));
    else if (isObject(item)) Object.values(item).forEach((each) => walk(each, inside));
    else if (inside && (typeof item === "string" || typeof item === "number") && item !== UNKNOWN && item !== "") {
      texts.add(String(item));
    }
  };
  if (value !== undefined) walk(value, within);
  return [...texts].sort((a, b) => b.length - a.length);
}

/** `text` with every secret replaced, also where it appears in base64, as within a printed Secret, or JSON-quoted. */
export function scrub(text: string, secrets: readonly string[]): string {
  return secrets
    .flatMap((each) => [each, Buffer.from(each).toString("base64"), JSON.stringify(each).slice(1, -1)])
    .sort((a, b) => b.length - a.length)
    .reduce((rest, each) => rest.split(each).join("[secret]"), text);
}

export function fromStruct(value: struct.Struct | undefined): JsonObject {
  return value ? value.toJavaScript() : {};
}

export function toStruct(value: JsonObject): struct.Struct {
  return struct.Struct.fromJavaScript(value);
}

/** The object at `key`, or an empty one. */
export function objectAt(value: Json | undefined, ...keys: string[]): JsonObject {
  let at: Json | undefined = value;
  for (const key of keys) at = isObject(at) ? at[key] : undefined;
  return isObject(at) ? at : {};
}

/** The text at `key`, or undefined where there is none. */
export function textAt(value: Json | undefined, key: string): string | undefined {
  const found = isObject(value) ? value[key] : undefined;
  return typeof found === "string" && found !== "" ? found : undefined;
}

/** A scalar as text; nothing for null, undefined, lists and objects. */
export function asText(value: Json | undefined): string {
  return typeof value === "object" || value === undefined ? "" : String(value);
}
