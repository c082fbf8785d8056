/** Planted secrets of every alphabet, written in every way, in what the commands print. */
import * as zlib from "node:zlib";
import { describe, expect, it } from "vitest";
import { rawChanges, shownChange } from "../../../commands/diff/compare";
import { present } from "../../../commands/diff/present";
import { findRisks } from "../../../commands/diff/risks";
import { diagnose } from "../../../commands/doctor/diagnosis";
import { logLines } from "../../../commands/doctor/log-lines";
import { diagnosisText } from "../../../commands/doctor/present";
import { Masker, masker } from "../../../contract/mask";
import { canary, FURTHER_WRITINGS, planted, random, readings, WRITINGS } from "../../support/canaries";
import { report } from "../diff/reports";
import { crashing, healthy, namespace } from "../doctor/evidence";

it("a known secret is hidden in every writing, of every alphabet, from six characters on", () => {
  const leaks: string[] = [];
  for (const { secret, way, text } of planted(8)) {
    const shown = new Masker([], [secret]).text(text);
    if (!shown.includes("(secret)") || readings(shown).some((reading) => reading.includes(secret)))
      leaks.push(`${way}: ${JSON.stringify(secret)} in ${JSON.stringify(text)} gives ${JSON.stringify(shown)}`);
  }
  expect(leaks).toEqual([]);
});

describe("in a long log", () => {
  const SECRET = "Canary-Horse.42";
  const hides = new Masker([], [SECRET, "swordfishes", "nats://noetl:Canary-Horse.42@nats.example.org:4222"]);
  const next = random(7);
  const hex = (length: number): string => canary("0123456789abcdef", length, next);
  const LINES: readonly (() => string)[] = [
    () => `INFO [${next(1e9)}] POST /api/execute?a=${hex(2).toUpperCase()}&b=%2Fx 200 trace=${hex(32)}`,
    () =>
      JSON.stringify({ level: "INFO", message: `Fetched command ${next(1e9)}:step`, extra: "", at: "17:04:05+00:00" }),
    () =>
      JSON.stringify({
        message: JSON.stringify({ error: `File "/opt/x.py", line ${next(900)}\n  fetch()`, id: hex(16) }),
      }),
    () => `größer → ok ✓ ${next(1e9)}`,
  ];
  const log = (length: number): string => {
    let text = "";
    while (text.length < length) text += `2026-03-02T10:00:${10 + next(50)}.${next(1e6)}+00:00 ${LINES[next(4)]?.()}\n`;
    return text;
  };

  it("a secret is hidden in every writing, wherever it stands, and nothing beside it", () => {
    for (const first of [0, 4_000]) {
      const ways = Object.values({ ...WRITINGS, ...FURTHER_WRITINGS });
      const parts = ways.map((write) => ({ before: log(500), line: `value ${write(SECRET)} end\n` }));
      const head = log(first);
      let shown = hides.text(head + parts.map(({ before, line }) => before + line).join(""));
      shown = shown.slice(head.length);
      for (const [index, { before, line }] of parts.entries()) {
        expect(shown.slice(0, before.length)).toBe(before);
        const end = index + 1 < parts.length ? shown.indexOf(parts[index + 1]?.before ?? "") : shown.length;
        const found = shown.slice(before.length, end);
        expect([line, found]).toEqual([line, expect.stringMatching(/^value [^]*\(secret\)/)]);
        expect(readings(found).some((reading) => reading.includes(SECRET))).toBe(false);
        shown = shown.slice(end);
      }
    }
  });

  it("what holds none is read quickly, and stays: 1 MiB takes less than five seconds of the processor", () => {
    const text = log(1024 * 1024);
    const before = process.cpuUsage().user;
    expect(hides.text(text)).toBe(text);
    expect(process.cpuUsage().user - before).toBeLessThan(5_000_000);
  });
});

it("a text without a secret stays as it is, however it is written", () => {
  const hides = new Masker([], ["swordfishes", "Canary-Horse.42", "tiger"]);
  for (const write of Object.values({ ...WRITINGS, ...FURTHER_WRITINGS })) {
    const text = write("Stream NOETL_COMMANDS of 1024 bytes; see https://example.org/a?b=c&d=%2F and tigers");
    expect(hides.text(text)).toBe(text);
  }
});

it("of a long run of letters, or of beginnings of URLs, each is looked at once: 256 KiB take less than five seconds of the processor", () => {
  const hides = new Masker([], ["swordfishes", "Canary-Horse.42", "tiger"]);
  const run = Buffer.from(Array.from({ length: 196_608 }, (_, index) => (index * index * 31) % 251)).toString("base64");
  const urls = "://a:b".repeat(43_690);
  for (const text of [run, urls]) {
    const before = process.cpuUsage().user;
    expect(hides.text(text)).toBe(text);
    expect(process.cpuUsage().user - before).toBeLessThan(5_000_000);
  }
  const password = "p/w:".repeat(1_000);
  expect(hides.text(`nats://noetl:${password}@nats:4222`)).toBe("nats://noetl:(secret)@nats:4222");
});

it("of what is compressed a part is unpacked: bombs in bombs take less than five seconds of the processor", () => {
  const hides = new Masker([], ["swordfishes", "Canary-Horse.42"]);
  let bomb = "abcd ".repeat(200_000);
  for (let layer = 0; layer < 3; layer++) bomb = `${zlib.gzipSync(bomb).toString("base64")} `.repeat(100);
  const before = process.cpuUsage().user;
  // What cannot be looked through is not shown.
  expect(hides.text(bomb)).not.toContain("H4sI");
  expect(process.cpuUsage().user - before).toBeLessThan(5_000_000);
});

it("what unpacks to more than is looked through is hidden, and what stands beside it is not", () => {
  const hides = new Masker([], ["Canary-Horse.42"]);
  const large = zlib.gzipSync(`password Canary-Horse.42 ${"much more ".repeat(240_000)}`).toString("base64");
  expect(hides.text(`data: ${large}, kind: Secret`)).toBe("data: (secret), kind: Secret");
});

it.each([
  ["blanks that look like the middle of base64", `AAAABBBBCCCCDDDD${" ".repeat(900_000)}!`],
  ["words in capitals, each of which might be base32", "ABCDEFGHIJKL ".repeat(3_000)],
])("%s, packed, take less than five seconds of the processor", (_what, text) => {
  const hides = new Masker([], ["swordfishes", "Canary-Horse.42"]);
  const before = process.cpuUsage().user;
  const packed = zlib.gzipSync(text).toString("base64");
  expect(hides.text(packed)).toBe(packed);
  expect(hides.text(text)).toBe(text);
  expect(process.cpuUsage().user - before).toBeLessThan(5_000_000);
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
