import { wrap } from "../shared/arguments";
import { plural } from "../../contract/wording";
import type { Checklist, Line, LineStatus } from "./checklist";
import { SYMPTOMS, type Diagnosis, type Finding } from "./diagnosis";
import type { Intent } from "./repair";
import { harmless } from "./text";

/** How text is shown: whether colours are wanted, and how wide a line may be. */
export interface Screen {
  readonly colour: boolean;
  readonly width: number;
}

const NARROWEST = 60;
const WIDEST = 120;
const DEFAULT_WIDTH = 80;

/** What `stream` can show: colours only on a terminal, and not where NO_COLOR is set (https://no-color.org). */
export function screenOf(stream: { isTTY?: boolean; columns?: number }, env = process.env): Screen {
  return {
    colour: stream.isTTY === true && !env.NO_COLOR && env.TERM !== "dumb",
    // A terminal that does not know its width says 0.
    width: Math.min(WIDEST, Math.max(NARROWEST, stream.columns || DEFAULT_WIDTH)),
  };
}

/** Codes of ECMA-48. node:util's styleText decides by itself about colours, differently from version to version. */
const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;

type Style = keyof typeof CODES;

export const paint = ({ colour }: Screen, style: Style, text: string): string =>
  colour ? `\u001b[${CODES[style]}m${text}\u001b[0m` : text;

const MARKS: Readonly<Record<LineStatus, { readonly word: string; readonly style: Style }>> = {
  ok: { word: "ok", style: "green" },
  wrong: { word: "FAIL", style: "red" },
  note: { word: "note", style: "yellow" },
  unknown: { word: "?", style: "yellow" },
};

const MARK_WIDTH = 4;
/** Longest item that stands beside its finding; a longer one gets a line of its own. */
const ITEM_WIDTH = 27;

/** The checklist as a table, one section after the other. */
export function checklistText({ stack, cluster, lines, holds, slow }: Checklist, screen: Screen): string {
  const width = Math.min(ITEM_WIDTH, Math.max(0, ...lines.map(({ item }) => item.length)));
  const text = [`Stack ${stack}${cluster ? ` on ${cluster}` : ""}`];
  let section = "";
  for (const line of lines) {
    if (line.section !== section) {
      section = line.section;
      text.push("", paint(screen, "bold", section));
    }
    text.push(...lineText(line, width, screen));
  }
  return [...text, ...slowText(slow, screen), "", summary({ lines, holds, stack }, screen)].join("\n");
}

/** Answers that came late, which break nothing. */
const slowText = (slow: readonly string[], screen: Screen): string[] =>
  slow.length === 0
    ? []
    : [
        "",
        ...slow
          .flatMap((each) => wrap(`Slow: waited ${harmless(each)}.`, screen.width))
          .map((line) => paint(screen, "yellow", line)),
      ];

function lineText({ item: name, status, found, expected }: Line, width: number, screen: Screen): string[] {
  const { word, style } = MARKS[status];
  // Others give names, too: of consumers, for example.
  const item = harmless(name);
  const [shown, wanted] = [harmless(found), expected === undefined ? undefined : harmless(expected)];
  const mark = paint(screen, style, word.padEnd(MARK_WIDTH));
  const indent = 2 + MARK_WIDTH + 2;
  const column = indent + width + 2;
  const body = wrap(wanted === undefined ? shown : `found ${shown}, expected ${wanted}`, screen.width - column);
  const margin = " ".repeat(column);
  const head = `  ${mark}  `;
  return item.length > width
    ? [head + item, ...body.map((each) => margin + each)]
    : body.map((each, index) => (index === 0 ? `${head}${item.padEnd(width)}  ${each}` : margin + each));
}

function summary({ lines, holds, stack }: Pick<Checklist, "lines" | "holds" | "stack">, screen: Screen): string {
  if (lines.length === 0) return "The stack deploys nothing that could be verified.";
  if (holds) return paint(screen, "green", "Everything holds.");
  const count = (status: LineStatus) => lines.filter((line) => line.status === status).length;
  const [wrong, unknown] = [count("wrong"), count("unknown")];
  const lineWord = (n: number, one: string, more: string) => `${n} ${n === 1 ? `line ${one}` : `lines ${more}`}`;
  const headline = [
    ...(wrong > 0 ? [lineWord(wrong, "does not hold", "do not hold")] : []),
    ...(unknown > 0 ? [lineWord(unknown, "could not be asked", "could not be asked")] : []),
  ].join(", ");
  return [
    paint(screen, wrong > 0 ? "red" : "yellow", `${headline}.`),
    `The cause and the remedy: npm run doctor -- --stack ${stack}`,
  ].join("\n");
}

/** Width of the words in front of a finding's parts. */
const LABEL_WIDTH = 10;

/** The diagnosis: one numbered paragraph a cause, then the notes. */
export function diagnosisText({ stack, cluster, findings, healthy, slow }: Diagnosis, screen: Screen): string {
  const causes = findings.filter(({ severity }) => severity === "cause");
  const notes = findings.filter(({ severity }) => severity === "note");
  const text = [`Stack ${stack}${cluster ? ` on ${cluster}` : ""}`];
  for (const [index, cause] of causes.entries())
    text.push("", ...findingText(cause, { mark: `${index + 1}.`, style: "red" }, screen));
  for (const note of notes) text.push("", ...findingText(note, { mark: "-", style: "yellow" }, screen));
  const outcome = healthy
    ? paint(screen, "green", notes.length === 0 ? "Nothing is wrong." : "Nothing is wrong that breaks anything now.")
    : paint(screen, "red", `${plural(causes.length, "cause")} found.`);
  return [...text, ...slowText(slow, screen), "", outcome].join("\n");
}

function findingText(finding: Finding, { mark, style }: { mark: string; style: Style }, screen: Screen): string[] {
  const { symptoms, remedy } = finding;
  const title = harmless(finding.title);
  const evidence = finding.evidence.map(harmless);
  const indent = mark.length + 1;
  const head = wrap(title, screen.width - indent).map((line, index) =>
    index === 0 ? `${mark} ${paint(screen, style, line)}` : " ".repeat(indent) + paint(screen, style, line),
  );
  const margin = " ".repeat(3 + LABEL_WIDTH);
  const part = (label: string, lines: readonly string[]): string[] =>
    lines.map((line, index) =>
      index === 0 ? `   ${paint(screen, "dim", label.padEnd(LABEL_WIDTH))}${line}` : margin + line,
    );
  const wrapped = (texts: readonly string[]): string[] =>
    texts.flatMap((each) =>
      // A continued line is indented, so that one sees where the next one begins.
      wrap(each, screen.width - margin.length - 2).map((line, index) => (index === 0 ? line : `  ${line}`)),
    );
  return [
    ...head,
    ...part("seen as", wrapped(symptoms.map((symptom) => SYMPTOMS[symptom]))),
    ...part("evidence", wrapped(evidence)),
    ...part(
      "remedy",
      // Commands stay in one piece, so that they can be copied.
      remedy.flatMap((step) =>
        "run" in step
          ? [`  ${paint(screen, "cyan", harmless(step.run))}`]
          : wrap(harmless(step.say), screen.width - margin.length),
      ),
    ),
  ];
}

/** What a repair is going to do, as the user is asked about it. */
export function intentText({ broken, steps, losses, leaves, since }: Intent, screen: Screen): string {
  const list = (label: string, texts: readonly string[], style: Style): string[] =>
    texts.length === 0
      ? []
      : [
          "",
          paint(screen, style, label),
          ...texts.flatMap((text, index) =>
            wrap(harmless(text), screen.width - 5).map(
              (line, row) => (row === 0 ? `  ${index + 1}. ` : "     ") + line,
            ),
          ),
        ];
  return [
    ...list("Broken", broken, "red"),
    ...list(since === undefined ? "What is going to be done" : "What has been done, and what is left", steps, "bold"),
    ...list("What is lost by it", losses, "yellow"),
    ...list("What stays broken", leaves, "red"),
    ...(since === undefined && losses.length === 0 ? ["", "Nothing that NATS holds is lost by it."] : []),
  ]
    .join("\n")
    .trimStart();
}
