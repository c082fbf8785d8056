import { describe, expect, it } from "vitest";
import { parseStatus } from "../../../commands/diff/git";
import { present } from "../../../commands/diff/present";
import { code, fence, html, mermaid, prose, visible } from "../../../commands/diff/present/escape";
import { markdown } from "../../../commands/diff/present/markdown";
import { wrap } from "../../../commands/diff/present/text";
import type { FailureReport } from "../../../commands/diff/report";
import { HOSTILE, object, report } from "./reports";

/** Markdown without its fenced blocks and code spans, as CommonMark delimits them. */
function withoutCode(comment: string): string {
  const text = comment.replace(/^(`{3,})[^`\n]*\n[\s\S]*?\n\1$/gm, "");
  let rest = "";
  for (let index = 0; index < text.length;) {
    const run = /^`+/.exec(text.slice(index))?.[0];
    const escaped = text[index - 1] === "\\";
    const end = run && !escaped ? closing(text, index + run.length, run.length) : undefined;
    if (end === undefined) rest += text[index++];
    else index = end;
  }
  return rest;
}

function closing(text: string, from: number, length: number): number | undefined {
  for (const match of text.slice(from).matchAll(/`+/g)) {
    if (match[0].length === length) return from + match.index + length;
  }
  return undefined;
}

describe("text from a manifest", () => {
  it("cannot leave a code span, a table's cell or a fence", () => {
    expect(code("a`b")).toBe("``a`b``");
    expect(code("`x`")).toBe("`` `x` ``");
    expect(code("a|b\nc")).toBe("`a\\|b ⏎ c`");
    expect(code("")).toBe("(empty)");
    expect(fence("diff", "a\n````\nb")).toBe("`````diff\na\n````\nb\n`````");
  });

  it("is not markup in a sentence", () => {
    expect(prose("see @me, #1 and *this*")).toBe("see @<!-- -->me, #<!-- -->1 and \\*this\\*");
    expect(prose("<b>")).toBe("&lt;b&gt;");
    expect(prose("run `a|b` now")).toBe("run `a\\|b` now");
  });

  it("shows what would not be seen, or would move the cursor", () => {
    expect(visible("a\u001b[31mb\u202ec\u200b")).toBe("a\\u{1b}[31mb\\u{202e}c\\u{200b}");
    expect(mermaid('a"]; click')).toBe("a#34;#93;#59; click");
    expect(html(`<a b='"'>`)).toBe("&lt;a b=&#39;&quot;&#39;&gt;");
  });

  it("stays text in every format", () => {
    const hostile = report([{ ...object(HOSTILE, 1, HOSTILE), namespace: HOSTILE }], {
      risks: [{ rule: "image", level: "warning", subject: HOSTILE, text: HOSTILE }],
      notes: [HOSTILE],
      settings: [{ key: HOSTILE, op: "change", old: HOSTILE, new: 1 }],
    });
    const page = present(hostile, "html", { maxSize: 60_000 });
    expect(page.match(/<script>/g)).toHaveLength(1);
    const comment = present(hostile, "markdown", { maxSize: 60_000 });
    expect(withoutCode(comment)).not.toContain("<script");
    // A summary is an HTML block: no markdown in it, and what it holds is inside <code>.
    const outsideCode = withoutCode(comment).replace(/<summary><code>.*<\/code>.*<\/summary>/g, "");
    expect(outsideCode).not.toMatch(/<script|@somebody|#12\b|(?<!\\)\]\(http/);
    for (const format of ["markdown", "html", "text"] as const) {
      const shown = present(hostile, format, { maxSize: 60_000 });
      expect(["\u001b", "\u202e"].filter((character) => shown.includes(character))).toEqual([]);
    }
  });
});

describe("a comment that would be too long", () => {
  const big = report([object("small", 2), object("huge", 3000), object("large", 400)], {
    risks: [{ rule: "image", level: "danger", subject: "x", text: "keep me" }],
  });

  it("says the largest details shorter, keeps the rest whole, and says where everything is", () => {
    const comment = markdown(big, { maxSize: 20_000, artifact: "the artifact diff-kind" });
    expect(comment.length).toBeLessThanOrEqual(20_000);
    expect(comment).toContain("1 detail did not fit here. The complete report: the artifact diff-kind.");
    expect(comment).toContain("keep me");
    expect(comment).toContain("- `~ ConfigMap nats/huge` update, 3000 fields");
    expect(comment).toContain("data.k399");
    expect(comment).not.toContain("data.k400:");
    expect((comment.match(/<details>/g) ?? []).length).toBe((comment.match(/<\/details>/g) ?? []).length);
  });

  it("links to the complete report where its place is a URL", () => {
    const comment = markdown(big, { maxSize: 20_000, artifact: "https://example.org/runs/1" });
    expect(comment).toContain("The complete report: <https://example.org/runs/1>.");
  });

  it("fits whatever there is", () => {
    const many = report(
      Array.from({ length: 900 }, (_, index) => object(`object-${index}`, 3)),
      {
        risks: Array.from({ length: 300 }, (_, index) => ({
          rule: "image",
          level: "danger",
          subject: `${index}`,
          text: "y",
        })),
      },
    );
    const comment = markdown(many, { maxSize: 6000 });
    expect(comment.length).toBeLessThanOrEqual(6000);
    expect(comment).toContain("and 260 more");
    const failed: FailureReport = {
      ...report([]),
      status: "failed",
      summary: "It failed.",
      failures: [{ message: "z".repeat(99_999) }],
    };
    expect(markdown(failed, { maxSize: 6000 }).length).toBeLessThanOrEqual(6000);
  });
});

it("wraps at 80 columns, at blanks where there are any", () => {
  const lines = wrap(`  ${"word ".repeat(40)}${"x".repeat(200)}`, "    ");
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  expect(lines.join("").replace(/\s/g, "")).toBe(`${"word".repeat(40)}${"x".repeat(200)}`);
});

it("reads git's status", () => {
  expect(parseStatus(" M a\0?? b c\0R  new\0old\0UU torn\0")).toEqual({
    files: ["a", "b c", "new", "torn"],
    unmerged: ["torn"],
  });
});
