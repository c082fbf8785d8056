import { randomBytes, randomInt } from "node:crypto";
import { changes } from "./diff";
import { type Resource, type StandIn, unknownType } from "./stand-in";
import { sdkVersion } from "./version";
import { type Json, type JsonObject, secret, unwrap } from "./wire";

const CLASSES = {
  lower: "abcdefghijklmnopqrstuvwxyz",
  upper: "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
  numeric: "0123456789",
  special: "!@#$%&*()-_=+[]{}<>:?",
} as const;
type CharClass = keyof typeof CLASSES;

const numberOr = (value: Json | undefined, otherwise: number): number =>
  typeof value === "number" ? value : otherwise;

function pick(characters: string): string {
  return characters[randomInt(characters.length)] as string;
}

/** Random text by the options of RandomPassword and RandomString: every class is on unless it is set to false. */
function randomText(inputs: JsonObject): string {
  const length = numberOr(inputs.length, 0);
  const on = (name: CharClass): boolean =>
    name === "numeric" ? (inputs.numeric ?? inputs.number ?? true) !== false : (inputs[name] ?? true) !== false;
  const override = typeof inputs.overrideSpecial === "string" ? inputs.overrideSpecial : "";
  const alphabet = (name: CharClass): string => (name === "special" && override ? override : CLASSES[name]);
  const names = (Object.keys(CLASSES) as CharClass[]).filter(on);
  const all = names.map(alphabet).join("");
  if (!all) throw new Error("random text needs at least one class of characters");
  const least = (name: CharClass): number => numberOr(inputs[`min${name.charAt(0).toUpperCase()}${name.slice(1)}`], 0);
  const wanted = names.flatMap((name) => Array.from({ length: least(name) }, () => pick(alphabet(name))));
  if (wanted.length > length) throw new Error(`length ${length} is less than the sum of the minimums`);
  const characters = [...wanted, ...Array.from({ length: length - wanted.length }, () => pick(all))];
  // Fisher-Yates, so that the characters that meet the minimums are not always in front.
  for (let index = characters.length - 1; index > 0; index--) {
    const other = randomInt(index + 1);
    [characters[index], characters[other]] = [characters[other] as string, characters[index] as string];
  }
  return characters.join("");
}

/** What RandomPassword and RandomString say about their options. */
function textOptions(inputs: JsonObject): JsonObject {
  const numeric = inputs.numeric ?? inputs.number ?? true;
  const defaults = { lower: true, upper: true, special: true, minLower: 0, minUpper: 0, minNumeric: 0, minSpecial: 0 };
  return { ...defaults, ...inputs, numeric, number: numeric };
}

/** Outputs of random bytes as RandomId gives them: the prefix is in front of every form but the id. */
function idOutputs(bytes: Buffer, inputs: JsonObject): { id: string; properties: JsonObject } {
  const prefix = typeof inputs.prefix === "string" ? inputs.prefix : "";
  const id = bytes.toString("base64url");
  return {
    id,
    properties: {
      ...inputs,
      b64Std: prefix + bytes.toString("base64"),
      b64Url: prefix + id,
      hex: prefix + bytes.toString("hex"),
      dec: prefix + BigInt(`0x${bytes.toString("hex") || "0"}`).toString(),
    },
  };
}

const GENERATORS: Readonly<Record<string, (inputs: JsonObject) => { id: string; properties: JsonObject }>> = {
  // The hash is left empty: nothing here can make one, and an invented one would be a lie.
  RandomPassword: (inputs) => ({
    id: "none",
    properties: { ...textOptions(inputs), result: secret(randomText(inputs)), bcryptHash: secret("") },
  }),
  RandomString: (inputs) => {
    const result = randomText(inputs);
    return { id: result, properties: { ...textOptions(inputs), result } };
  },
  RandomId: (inputs) => idOutputs(randomBytes(numberOr(inputs.byteLength, 0)), inputs),
};

function randomResource(generate: (inputs: JsonObject) => { id: string; properties: JsonObject }): Resource {
  return {
    check({ news }) {
      return { inputs: news };
    },
    diff({ oldInputs, news }) {
      // Nothing random can be changed in place: another length or keeper means another value.
      return { changes: changes(unwrap(oldInputs), unwrap(news), () => true) };
    },
    create({ inputs, preview }) {
      return preview ? { id: "", properties: inputs } : generate(unwrap(inputs));
    },
    read({ id, inputs, properties }) {
      return { id, inputs, properties };
    },
    update({ olds }) {
      return olds;
    },
    delete() {
      // Random values live in the state only.
    },
  };
}

/** The plugin `random`: RandomPassword, RandomString and RandomId. */
export function randomStandIn(): StandIn {
  return {
    name: "random",
    version: sdkVersion("random"),
    configure() {
      return (type) => {
        const generate = GENERATORS[type.split(":").at(-1) ?? ""];
        if (!generate) throw unknownType("random", type);
        return randomResource(generate);
      };
    },
  };
}
