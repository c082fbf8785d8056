/** Planted secrets of every alphabet, written in every way, in what the commands print. */
import { describe, expect, it } from "vitest";
import { rawChanges, shownChange } from "../../../commands/diff/compare";
import { present } from "../../../commands/diff/present";
import { findRisks } from "../../../commands/diff/risks";
import { diagnose } from "../../../commands/doctor/diagnosis";
import { logLines } from "../../../commands/doctor/log-lines";
import { diagnosisText } from "../../../commands/doctor/present";
import { Masker, masker } from "../../../commands/shared/mask";
import { report } from "../diff/reports";
import { crashing, healthy, namespace } from "../doctor/evidence";

/** Pseudo-random numbers below `limit`, the same at every run. Source: mulberry32. */
function random(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

const LETTERS = "abcdefghijklmnopqrstuvwxyz";
const ALPHABETS: Readonly<Record<string, string>> = {
  "lower-case letters": LETTERS,
  "upper-case letters": LETTERS.toUpperCase(),
  digits: "0123456789",
  hex: "0123456789abcdef",
  base64: `${LETTERS}${LETTERS.toUpperCase()}0123456789+/`,
  "of a URL": `${LETTERS}${LETTERS.toUpperCase()}0123456789._~-`,
  signs: "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
  Cyrillic: "абвгдежзиклмнопрстуфхцчшщыэюя",
  Chinese: "密码安全測試電腦網路資料庫",
  everything: `${LETTERS}ABCXYZ0123456789!"#$%&'()*+,-./:;<=>?@[]^_{|}~äöüß密码`,
};

const bytes = (text: string): Buffer => Buffer.from(text, "utf8");
const eachByte = (text: string, write: (byte: string) => string): string =>
  [...bytes(text)].map((byte) => write(byte.toString(16).padStart(2, "0"))).join("");
const entities = (text: string): string =>
  text.replace(
    /[&<>"']/g,
    (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" })[sign] ?? sign,
  );

/** Ways of writing a text. */
const WRITINGS: Readonly<Record<string, (text: string) => string>> = {
  plain: (text) => text,
  JSON: (text) => JSON.stringify(text),
  "JSON for HTML": (text) =>
    JSON.stringify(text).replace(/[<>&]/g, (sign) => `\\u00${sign.charCodeAt(0).toString(16)}`),
  "JSON in ASCII": (text) =>
    JSON.stringify(text).replace(/[^ -~]/g, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`),
  URL: encodeURIComponent,
  "URL in lower case": (text) => encodeURIComponent(text).replace(/%../g, (found) => found.toLowerCase()),
  "URL, every byte": (text) => eachByte(text, (byte) => `%${byte}`),
  form: (text) => new URLSearchParams({ a: text }).toString().slice(2),
  HTML: entities,
  "HTML by number": (text) => [...text].map((sign) => `&#x${(sign.codePointAt(0) ?? 0).toString(16)};`).join(""),
  shell: (text) => `'${text.replaceAll("'", `'\\''`)}'`,
  YAML: (text) => `'${text.replaceAll("'", "''")}'`,
  hex: (text) => bytes(text).toString("hex"),
  "hex in capitals": (text) => bytes(text).toString("hex").toUpperCase(),
  "hex as escapes": (text) => eachByte(text, (byte) => `\\x${byte}`),
  "hex with colons": (text) => eachByte(text, (byte) => `:${byte}`).slice(1),
  base64: (text) => bytes(text).toString("base64"),
  "base64 for URLs": (text) => bytes(text).toString("base64url"),
  "base64 in lines": (text) =>
    (
      bytes(`${"x".repeat(70)}${text}`)
        .toString("base64")
        .match(/.{1,76}/g) ?? []
    ).join("\n"),
  "base64 of base64": (text) => bytes(bytes(text).toString("base64")).toString("base64"),
  "base64 of JSON": (text) => bytes(JSON.stringify({ login: { user: "noetl", value: text } })).toString("base64"),
  "base64 of a URL": (text) => bytes(`nats://noetl:${encodeURIComponent(text)}@nats:4222`).toString("base64"),
  "JSON of base64 of hex": (text) => JSON.stringify({ a: bytes(bytes(text).toString("hex")).toString("base64") }),
};

const canary = (alphabet: string, length: number, next: (limit: number) => number): string => {
  const signs = [...alphabet];
  return Array.from({ length }, () => signs[next(signs.length)]).join("");
};

/** What a reader with patience could find in a text: the text itself, and what its words decode to. */
function readings(text: string): string[] {
  const words = text.match(/[A-Za-z0-9+/_=-]{6,}/g) ?? [];
  const decoded = words.flatMap((word) =>
    [0, 1, 2, 3].map((skipped) => Buffer.from(word.slice(skipped), "base64").toString("utf8")),
  );
  const numbers = words
    .filter((word) => /^[0-9a-f]+$/i.test(word))
    .map((word) => Buffer.from(word, "hex").toString("utf8"));
  return [text, ...decoded, ...numbers];
}

/** Every planted secret: an alphabet, a length, and the text that holds it. */
function* planted(perAlphabet: number): Generator<{ secret: string; way: string; text: string }> {
  const next = random(42);
  for (const alphabet of Object.values(ALPHABETS)) {
    for (let index = 0; index < perAlphabet; index++) {
      const secret = canary(alphabet, index === 0 ? 6 : 6 + next(30), next);
      // White space at an end, and a text without a letter of its own, are no credential that anybody has.
      if (secret.trim() !== secret) continue;
      for (const [way, write] of Object.entries(WRITINGS)) {
        const before = ["", "level=info value ", "/etc/x/", '{"a":"', "x"][next(5)] ?? "";
        const after = ["", " end", '"}', ", b: 2", "\nnext line"][next(5)] ?? "";
        yield { secret, way, text: `${before}${write(secret)}${after}` };
      }
    }
  }
}

it("a known secret is hidden in every writing, of every alphabet, from six characters on", () => {
  const leaks: string[] = [];
  for (const { secret, way, text } of planted(8)) {
    const shown = new Masker([], [secret]).text(text);
    if (!shown.includes("(secret)") || readings(shown).some((reading) => reading.includes(secret)))
      leaks.push(`${way}: ${JSON.stringify(secret)} in ${JSON.stringify(text)} gives ${JSON.stringify(shown)}`);
  }
  expect(leaks).toEqual([]);
});

it("a text without a secret stays as it is, however it is written", () => {
  const hides = new Masker([], ["swordfishes", "Canary-Horse.42", "tiger"]);
  for (const write of Object.values(WRITINGS)) {
    const text = write("Stream NOETL_COMMANDS of 1024 bytes; see https://example.org/a?b=c&d=%2F and tigers");
    expect(hides.text(text)).toBe(text);
  }
});

describe("of a secret with many lines", () => {
  const LINES = [
    "-----BEGIN CERTIFICATE-----",
    "MIIBszCCAVmgAwIBAgIUQ",
    "swordfishes",
    "user: ada",
    "password: hunter22",
    "-----END",
  ];
  const hides = new Masker([], [LINES.join("\n")]);
  it.each(LINES.filter((line) => !line.startsWith("user")))("the line %s is hidden alone", (line) =>
    expect(hides.text(`found ${line} here`)).not.toContain(line),
  );
  it("so is what one of them assigns", () =>
    expect(hides.text("login with hunter22 failed")).toBe("login with (secret) failed"));
});

describe("in what the commands print", () => {
  const [secrets, texts] = [new Set<string>(), [] as string[]];
  for (const { secret, text } of planted(1)) {
    secrets.add(secret);
    texts.push(text);
  }
  const shows = (output: string): string[] =>
    [...secrets].filter((secret) => readings(output).some((reading) => reading.includes(secret)));

  it("the diff: a ConfigMap that holds them shows none, and is a danger", () => {
    const hides = new Masker([], secrets);
    const config = (data: Record<string, string>) => ({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "c" },
      data,
    });
    const [before, after] = [
      config({ a: "x" }),
      config({ a: "x", ...Object.fromEntries(texts.map((text, index) => [`k${index}`, text])) }),
    ];
    const changes = rawChanges(before, after);
    const delta = { op: "update", old: before, new: after, rendered: true, restarts: false, changes } as const;
    const risks = findRisks({
      resources: [],
      objects: [delta],
      releases: [],
      settings: [],
      contract: { changes: [], broken: [], fix: [], refused: false },
      newObjects: [],
      masker: hides,
    });
    expect(risks.filter(({ rule, level }) => rule === "plain-credential" && level === "danger")).toHaveLength(
      texts.length,
    );
    const object = {
      op: "update",
      apiVersion: "v1",
      kind: "ConfigMap",
      name: "c",
      namespace: "nats",
      part: "nats",
      owner: "nats",
      rendered: true,
      changes: changes.map((change) => shownChange(change, hides)),
    } as const;
    for (const format of ["text", "markdown", "html", "json"] as const)
      expect(shows(present(report([object], { risks }), format, { maxSize: 1_000_000 }))).toEqual([]);
  });

  it("the doctor: the last words of a pod that crashes show none, and nothing that a terminal would obey", () => {
    const mask = masker([...secrets]);
    const log = texts
      .map((text) => `2026-03-02T10:00:00Z \u001b[31mERROR\u001b[0m \u009b2J${text.replaceAll("\n", " ")}`)
      .join("\n");
    const words = logLines(log, mask).map(({ text }) => text);
    const pods = [crashing("noetl-worker-1", "noetl-worker", words)];
    const told = diagnose(healthy({ namespaces: { noetl: { ok: true, value: namespace("noetl", { pods }) } } }));
    const screen = diagnosisText(told, { colour: false, width: 100 });
    expect(shows([screen, JSON.stringify(told), ...words].join("\n"))).toEqual([]);
    // eslint-disable-next-line no-control-regex
    expect(screen).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
  });
});
