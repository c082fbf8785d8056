import { expect, it } from "vitest";
import { harmless } from "../../scripts/ci/text";

const EVIL = "https://evil.example/a.png";

it.each([
  ["a definition", `[x]: ${EVIL}`],
  ["a definition in a quote", `> [x]: ${EVIL}\n\n![x]`],
  ["a definition in a list", `- [x]: ${EVIL}\n- 1. [y]: ${EVIL}\n\n[x] ![y][]`],
  ["a definition in a quote in a list, after a tab", `* >\t[x]: ${EVIL}`],
  ["a definition with a label over two lines", `> [a\n> b]: ${EVIL}`],
  ["a definition with an escaped bracket", `[a\\]]: ${EVIL}`],
  ["a note", `[^1]: ![x](${EVIL})`],
  ["an inline link", `[fix](${EVIL}) [fix](<${EVIL}>)`],
  ["an image", `![x](${EVIL}) ![x][x]`],
  ["HTML", `<a href="${EVIL}">log</a><IMG src=x><svg/onload=x></p>`],
])("%s gives no link under another name and no image", (_, text) => {
  // Reference definitions, inline links and images need one of these signs; a tag that is not a report's own its bracket.
  expect(harmless(text)).not.toMatch(/\][:([]|<\/?(?:a|img|svg|p)\b/i);
  // It stays readable.
  expect(harmless(text).replaceAll("\u200b", "")).toBe(text);
});

it.each([
  "@noetl/admins",
  "_@root_",
  "**@root**",
  "`@root",
  "(@root)",
  "x @root",
  "\\@root",
  "&#64;root",
  "&#x40;root",
  "&commat;root",
])("%s calls nobody", (text) => expect(harmless(text)).not.toMatch(/(?:^|[^A-Za-z0-9/.\u200b])@\w|&(?:#|commat)/));

it("a diagram and mathematics lead nowhere", () => {
  const text = `\`\`\`mermaid\nflowchart LR\nA --> B\nclick A "${EVIL}"\nB@{ img: "${EVIL}" }\n\`\`\`\n$\\href{${EVIL}}{x}$`;
  expect(harmless(text)).not.toMatch(/\bclick\s|@\{|\\href/);
});

it("keeps what reports are written with", () => {
  const own = [
    "<!-- noetl-nats-diff stack=kind -->",
    "<details><summary><code>~ x</code></summary>",
    "",
    "<sub>rule</sub><br/> a@b.c noetl@sha256:12 <https://example.org/run> | a | $HOME &lt;b&gt;",
    "</details>",
  ];
  expect(harmless(own.join("\n"))).toBe(own.slice(1).join("\n"));
});
