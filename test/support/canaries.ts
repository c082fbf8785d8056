/** Secrets of every alphabet, and texts that hold them in every writing. */
import * as zlib from "node:zlib";

/** Pseudo-random numbers below `limit`, the same at every run. Source: mulberry32. */
export function random(seed: number): (limit: number) => number {
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

/** As `base32` writes it, without its lines. */
function base32(text: string): string {
  const bits = [...bytes(text)].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const signs = (bits.match(/.{1,5}/g) ?? []).map(
    (five) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[Number.parseInt(five.padEnd(5, "0"), 2)],
  );
  return signs.join("").padEnd(Math.ceil(signs.length / 8) * 8, "=");
}

const utf32 = (text: string): Buffer =>
  Buffer.from(Uint32Array.from([...text], (sign) => sign.codePointAt(0) ?? 0).buffer);

/** What Helm keeps of a release that renders a Secret: JSON, compressed, in base64. */
const released = (text: string): string =>
  zlib
    .gzipSync(JSON.stringify({ manifest: `kind: Secret\ndata:\n  password: ${bytes(text).toString("base64")}\n` }))
    .toString("base64");

/** As `hexdump -C` writes it, and programs of Go. */
function dumped(text: string): string {
  const rows =
    bytes(`k8s value ${text};`)
      .toString("hex")
      .match(/.{1,32}/g) ?? [];
  return rows
    .map((row, index) => {
      const pairs = row.match(/../g) ?? [];
      const signs = pairs.map((pair) => String.fromCharCode(Number.parseInt(pair, 16)).replace(/[^ -~]/, "."));
      const columns = `${pairs.slice(0, 8).join(" ")}  ${pairs.slice(8).join(" ")}`.padEnd(48);
      return `\n${(index * 16).toString(16).padStart(8, "0")}  ${columns}  |${signs.join("")}|`;
    })
    .join("");
}

/** Ways of writing a text. */
export const WRITINGS: Readonly<Record<string, (text: string) => string>> = {
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

/** Ways that hardly anybody chooses, and programs do. Apart, since a cluster with all of them takes its time to look through. */
export const FURTHER_WRITINGS: Readonly<Record<string, (text: string) => string>> = {
  "JSON in JSON in JSON": (text) => JSON.stringify(JSON.stringify(JSON.stringify({ a: text }))),
  base32,
  "base32 in small letters, after other signs": (text) =>
    `x ${base32(`ab${text}`).toLowerCase().replaceAll("=", "")} y`,
  "base32 of base64": (text) => base32(bytes(text).toString("base64")),
  "base64 four times": (text) => `a: ${[1, 2, 3, 4].reduce((inner) => bytes(inner).toString("base64"), text)}`,
  "gzip in base64": (text) => zlib.gzipSync(text).toString("base64"),
  "zlib in hex": (text) => zlib.deflateSync(text).toString("hex"),
  "Helm's release in a Secret": (text) => bytes(released(text)).toString("base64"),
  "the same as kubectl shows it in JSON": (text) =>
    JSON.stringify({ data: { release: bytes(released(text)).toString("base64") } }),
  "UTF-16 in base64": (text) => Buffer.from(`a ${text}`, "utf16le").toString("base64"),
  "UTF-16 in hex, the other order": (text) => Buffer.from(`a ${text}`, "utf16le").swap16().toString("hex"),
  "UTF-32 in base64": (text) => utf32(`a ${text}`).toString("base64"),
  "UTF-32 in hex, the other order": (text) => utf32(text).swap32().toString("hex"),
  "base64 in short lines": (text) =>
    (
      bytes(text)
        .toString("base64")
        .match(/.{1,20}/g) ?? []
    ).join("\n  "),
  "numbers of bytes": (text) => `<Buffer> [ ${[...bytes(text)].join(", ")} ]`,
  "hex as in C": (text) => eachByte(text, (byte) => `, 0x${byte}`).slice(2),
  "hex with dots": (text) => eachByte(text, (byte) => `.${byte}`).slice(1),
  "a dump of bytes": (text) => dumped(text),
  "escapes in braces": (text) => [...text].map((sign) => `\\x{${(sign.codePointAt(0) ?? 0).toString(16)}}`).join(""),
  "URL as browsers once wrote it": (text) =>
    [...text]
      .flatMap((sign) => sign.split(""))
      .map((unit) => {
        const code = unit.charCodeAt(0).toString(16);
        return /[A-Za-z0-9]/.test(unit)
          ? unit
          : code.length > 2
            ? `%u${code.padStart(4, "0")}`
            : `%${code.padStart(2, "0")}`;
      })
      .join(""),
  "octal escapes": (text) => [...bytes(text)].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join(""),
  "octal escapes of few digits": (text) => [...bytes(text)].map((byte) => `\\${byte.toString(8)}`).join(""),
  "octal escapes of four digits": (text) =>
    [...bytes(text)].map((byte) => `\\0${byte.toString(8).padStart(3, "0")}`).join(""),
  "quoted-printable": (text) =>
    [...bytes(text)]
      .map((byte) =>
        /[\w ]/.test(String.fromCharCode(byte))
          ? String.fromCharCode(byte)
          : `=${byte.toString(16).toUpperCase().padStart(2, "0")}`,
      )
      .join("")
      .replace(/^(?:=..|.){3}/, "$&=\r\n"),
  "HTML by name": (text) =>
    text.replace(
      /[@+.!_]/g,
      (sign) => `&${{ "@": "commat", "+": "plus", ".": "period", "!": "excl" }[sign] ?? "lowbar"};`,
    ),
  "letters in parts": (text) => text.normalize("NFD"),
  "wide letters": (text) => text.replace(/[!-~]/g, (sign) => String.fromCharCode(sign.charCodeAt(0) - 0x21 + 0xff01)),
  "escapes of eight digits": (text) =>
    [...text].map((sign) => `\\U${(sign.codePointAt(0) ?? 0).toString(16).padStart(8, "0")}`).join(""),
  "HTML by number with zeros": (text) =>
    [...text].map((sign) => `&#x0000${(sign.codePointAt(0) ?? 0).toString(16)};`).join(""),
  folded: (text) => text.replace(/.{5}(?=.)/gu, "$&\n    "),
  "gone on in the next line": (text) => `"${text.replace(/.{5}(?=.)/u, "$&\\\n  ")}"`,
  coloured: (text) => [...text].map((sign) => `\u001b[1m${sign}\u001b[0m`).join(""),
  "with signs of no width": (text) => [...text].join("\u200b"),
};

export const canary = (alphabet: string, length: number, next: (limit: number) => number): string => {
  const signs = [...alphabet];
  return Array.from({ length }, () => signs[next(signs.length)]).join("");
};

/** What a reader with patience could find in a text: the text itself, and what its words decode to. */
export function readings(text: string): string[] {
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
export function* planted(perAlphabet: number): Generator<{ secret: string; way: string; text: string }> {
  const next = random(42);
  for (const alphabet of Object.values(ALPHABETS)) {
    for (let index = 0; index < perAlphabet; index++) {
      const secret = canary(alphabet, index === 0 ? 6 : 6 + next(30), next);
      // White space at an end, and a text without a letter of its own, are no credential that anybody has.
      if (secret.trim() !== secret) continue;
      for (const [way, write] of Object.entries({ ...WRITINGS, ...FURTHER_WRITINGS })) {
        const before = ["", "level=info value ", "/etc/x/", '{"a":"', "x"][next(5)] ?? "";
        const after = ["", " end", '"}', ", b: 2", "\nnext line"][next(5)] ?? "";
        yield { secret, way, text: `${before}${write(secret)}${after}` };
      }
    }
  }
}

/** Those of the secrets that a reader with patience finds in a text. */
export function foundIn(text: string, secrets: readonly string[]): string[] {
  const all = readings(text).join("\n");
  return secrets.filter((secret) => all.includes(secret));
}

/** A secret of each alphabet, and a text that holds all of them in every writing, on lines of their own. */
export function plantedSecrets(seed: number): { readonly secrets: readonly string[]; readonly text: string } {
  const next = random(seed);
  const secrets = Object.values(ALPHABETS).map((alphabet) => `${canary(alphabet, 6 + next(20), next)}_x`);
  return {
    secrets,
    text: secrets.flatMap((secret) => Object.values(WRITINGS).map((write) => write(secret))).join("\n"),
  };
}
