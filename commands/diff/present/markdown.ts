import type {
  ChangeReport,
  EnvironmentRow,
  EnvironmentTable,
  ObjectChange,
  Report,
  ResourceChange,
  Risk,
  Scalar,
} from "../report";
import { code, fence, html, prose } from "./escape";
import { engineCounts } from "../merge-live";
import { flowchart } from "./mermaid";
import { plural } from "../../../contract/wording";
import { resourceTitle } from "../wording";
import {
  bodyLines,
  changedRows,
  comparedText,
  isFailure,
  LEVEL_SIGN,
  liveLines,
  fixHeading,
  objectRemarks,
  objectTitle,
  SIGN,
  stackName,
  VERB,
  wholeEnvironments,
} from "./words";

export interface MarkdownOptions {
  /** Most characters. */
  readonly maxSize: number;
  /** Where the complete report is. */
  readonly artifact?: string;
}

/** First line of every comment about a stack, by which it is found again. The workflow adds nothing to it. */
const marker = (report: Report): string =>
  `<!-- noetl-nats-diff stack=${report.stack.replace(/[^\w.-]|-(?=-)/g, "_")} -->`;

/** A piece of the comment, which may be said shorter; the lower the rank, the sooner it is. */
interface Block {
  readonly full: string;
  readonly short?: string;
  readonly rank: number;
}

/** Ranks at which blocks are shortened, the first first. */
const RANK = {
  wholeEnvironment: 0,
  comesOrGoes: 1,
  routine: 2,
  live: 3,
  update: 4,
  resource: 5,
  picture: 6,
  keep: 9,
} as const;

/** Risks that are listed; a comment with more is no longer read. */
const MOST_RISKS = 40;

const details = (summary: string, body: string): string =>
  `<details><summary>${summary}</summary>\n\n${body}\n\n</details>`;

const scalar = (value: Scalar | undefined): string =>
  value === undefined ? "–" : code(typeof value === "string" ? value : JSON.stringify(value));

const table = (heads: readonly string[], rows: readonly (readonly string[])[]): string =>
  [
    `| ${heads.join(" | ")} |`,
    `|${heads.map(() => "---").join("|")}|`,
    ...rows.map((row) => `| ${row.join(" | ")} |`),
  ].join("\n");

/** The report as a comment on a pull request, at most `maxSize` characters long. */
export function markdown(report: Report, options: MarkdownOptions): string {
  const top = [marker(report), `### Changes to ${code(stackName(report))}`];
  const foot = `<sub>Compared: ${prose(comparedText(report))}.</sub>`;
  if (isFailure(report)) {
    const text = report.failures.map(({ message }) => message).join("\n\n");
    const room = options.maxSize - 600;
    const shown = text.length > room ? `${text.slice(0, Math.max(0, room))}\n... (the rest is in the log)` : text;
    return `${[...top, `🔴 **${prose(report.summary)}**`, fence("text", shown), foot].join("\n\n")}\n`;
  }
  const blocks: Block[] = [
    ...[...top, `**${prose(report.summary)}**`].map((full) => ({ full, rank: RANK.keep })),
    ...blocksOf(report),
    { full: foot, rank: RANK.keep },
  ];
  return fit(blocks, options);
}

/** Says blocks shorter, by rank and the largest first, until the comment fits. */
function fit(blocks: readonly Block[], options: MarkdownOptions): string {
  const separator = "\n\n";
  const texts = blocks.map(({ full }) => full);
  const size = () => texts.reduce((sum, text) => sum + text.length + separator.length, 1);
  const whole = size() <= options.maxSize;
  const artifact = options.artifact ?? "the output of the command in another format";
  const where = /^https:\/\/[^\s<>]+$/.test(artifact) ? `<${artifact}>` : prose(artifact);
  const leftOut = (count: number) => `> ${plural(count, "detail")} did not fit here. The complete report: ${where}.`;
  const room = options.maxSize - leftOut(blocks.length).length - separator.length;
  let shortened = 0;
  if (!whole) {
    const order = blocks
      .map((block, index) => ({ block, index }))
      .filter(({ block }) => block.short !== undefined)
      .sort((a, b) => a.block.rank - b.block.rank || b.block.full.length - a.block.full.length || a.index - b.index);
    for (const { block, index } of order) {
      if (size() <= room) break;
      texts[index] = block.short ?? "";
      shortened++;
    }
    // What is still too long goes whole, from the end; the first lines stay.
    for (let index = texts.length - 2; index > 2 && size() > room; index--) {
      if (texts[index] === "") continue;
      texts[index] = "";
      shortened++;
    }
    texts.splice(3, 0, leftOut(shortened));
  }
  return `${texts.filter((text) => text !== "").join(separator)}\n`;
}

const keep = (full: string): Block => ({ full, rank: RANK.keep });

function blocksOf(report: ChangeReport): Block[] {
  const isTouched = report.resources.length + report.objects.length > 0;
  return [
    ...(report.risks.length > 0 ? [keep(riskList(report.risks))] : []),
    ...contractBlocks(report),
    ...settingsBlocks(report),
    ...changedEnvironmentBlocks(report),
    ...(isTouched ? [{ full: fence("mermaid", flowchart(report)), short: "", rank: RANK.picture }] : []),
    ...(report.resources.length > 0 ? [keep(`#### Resources`), ...report.resources.map(resourceBlock)] : []),
    ...objectBlocks(report.objects),
    ...(report.live ? liveBlocks(report.live) : []),
    ...outputBlocks(report),
    ...(isTouched ? report.environment.map(environmentBlock) : []),
    ...noteBlocks(report),
  ];
}

function settingsBlocks({ settings }: ChangeReport): Block[] {
  if (settings.length === 0) return [];
  const rows = settings.map(({ key, old, new: now, note }) => [
    code(key),
    scalar(old),
    note ? `${scalar(now)} (${prose(note)})` : scalar(now),
  ]);
  return [
    {
      full: `#### Settings\n\n${table(["Key", "Before", "After"], rows)}`,
      short: `#### Settings\n\n${plural(rows.length, "setting")} changed.`,
      rank: RANK.picture,
    },
  ];
}

function changedEnvironmentBlocks(report: ChangeReport): Block[] {
  const changed = changedRows(report);
  const whole = wholeEnvironments(report);
  if (changed.length + whole.length === 0) return [];
  const rows = changed.map(({ table: { workload }, row }) => [workload, ...environmentCells(row)]);
  const parts = [
    ...(rows.length > 0 ? [table(["Workload", "Variable", "Before", "After", "From"], rows)] : []),
    ...(whole.length > 0 ? [whole.map((line) => `- ${prose(line)}`).join("\n")] : []),
  ];
  return [
    {
      full: ["#### Environment", ...parts].join("\n\n"),
      short: `#### Environment\n\n${plural(rows.length, "variable")} changed.`,
      rank: RANK.resource,
    },
  ];
}

function resourceBlock(resource: ResourceChange): Block {
  const because = resource.because.length > 0 ? ` because of ${code(resource.because.join(", "))}` : "";
  const was = resource.was ? `, was ${code(resource.was)}` : "";
  const body = bodyLines(resource.changes);
  const plain = `- ${code(`${SIGN[resource.op]} ${resourceTitle(resource)}`)} ${VERB[resource.op]}${because}${was}`;
  if (body.length === 0) return keep(plain);
  const line = `<code>${SIGN[resource.op]} ${html(resourceTitle(resource))}</code> ${VERB[resource.op]}`;
  const text = [
    because || was ? `${`${because}${was}`.replace(/^,? /, "").replace(/^b/, "B")}.` : "",
    fence("diff", body.join("\n")),
  ];
  return {
    full: details(`${line}, ${plural(resource.changes.length, "input")}`, text.filter(Boolean).join("\n\n")),
    short: plain,
    rank: RANK.resource,
  };
}

function outputBlocks({ outputs }: ChangeReport): Block[] {
  if (outputs.length === 0) return [];
  const title = `Outputs of the stack, ${plural(outputs.length, "change")}`;
  return [
    {
      full: details(title, fence("diff", bodyLines(outputs).join("\n"))),
      short: `Outputs of the stack: ${plural(outputs.length, "change")}.`,
      rank: RANK.resource,
    },
  ];
}

function environmentBlock({ workload, object, rows }: EnvironmentTable): Block {
  const cells = rows.map((row) => [row.changed ? "●" : "", ...environmentCells(row)]);
  return {
    full: details(
      `Environment of the ${workload} (<code>${html(object)}</code>), ${plural(rows.length, "variable")}`,
      table(["", "Variable", "Before", "After", "From"], cells),
    ),
    short: "",
    rank: RANK.wholeEnvironment,
  };
}

function noteBlocks({ notes }: ChangeReport): Block[] {
  if (notes.length === 0) return [];
  const list = notes.map((note) => `- ${prose(note)}`).join("\n");
  return [
    {
      full: details(`What this comparison leaves out, ${plural(notes.length, "note")}`, list),
      short: `This comparison leaves something out: ${plural(notes.length, "note")}.`,
      rank: RANK.resource,
    },
  ];
}

function riskList(risks: readonly Risk[]): string {
  const lines = risks
    .slice(0, MOST_RISKS)
    .map(
      ({ level, subject, text, rule }) =>
        `- ${LEVEL_SIGN[level]} **${level}** ${code(subject)} ${prose(text)} <sub>${rule}</sub>`,
    );
  const rest = risks.length - lines.length;
  return [`#### Risks`, "", ...lines, ...(rest > 0 ? [`- and ${rest} more`] : [])].join("\n");
}

function contractBlocks({ contract }: ChangeReport): Block[] {
  if (contract.changes.length === 0) return [];
  const rows = contract.changes.map(({ term, old, new: now, consequence }) => [
    term,
    code(old),
    code(now),
    prose(consequence),
  ]);
  const text = [`#### Stream contract`, "", table(["Term", "Before", "After", "What follows"], rows)];
  if (contract.fix.length > 0) {
    text.push("", fixHeading(contract), "", fence("sh", contract.fix.join("\n")));
  }
  return [{ full: text.join("\n"), rank: RANK.keep }];
}

const environmentCells = (row: EnvironmentRow): string[] => [
  code(row.name),
  scalar(row.old),
  row.note ? `${scalar(row.new)} (${prose(row.note)})` : scalar(row.new),
  code(row.source),
];

function objectBlocks(objects: readonly ObjectChange[]): Block[] {
  if (objects.length === 0) return [];
  const isRoutine = (object: ObjectChange) =>
    object.op === "update" && object.changes.every(({ routine }) => routine === "labels");
  const blocks: Block[] = [{ full: "#### Kubernetes objects", rank: RANK.keep }];
  for (const object of objects.filter((each) => !isRoutine(each))) {
    const title = `${SIGN[object.op]} ${objectTitle(object)}`;
    const remarks = [VERB[object.op], ...objectRemarks(object)].join(", ");
    const body = bodyLines(object.changes);
    blocks.push({
      full:
        body.length === 0
          ? `- ${code(title)} ${remarks}`
          : details(`<code>${html(title)}</code> ${html(remarks)}`, fence("diff", body.join("\n"))),
      short: `- ${code(title)} ${remarks}`,
      rank: object.op === "update" || object.op === "replace" ? RANK.update : RANK.comesOrGoes,
    });
  }
  const routine = objects.filter(isRoutine);
  if (routine.length > 0) {
    const body = routine.flatMap((object) => [`# ${objectTitle(object)}`, ...bodyLines(object.changes)]);
    const summary = `${plural(routine.length, "object")} with nothing but new labels of the chart`;
    blocks.push({ full: details(summary, fence("diff", body.join("\n"))), short: `- ${summary}`, rank: RANK.routine });
  }
  return blocks;
}

function liveBlocks(live: NonNullable<ChangeReport["live"]>): Block[] {
  const counts = engineCounts(live.counts);
  const blocks: Block[] = [
    { full: `#### The engine's preview\n\n${counts ? prose(counts) : "Nothing to do."}`, rank: RANK.keep },
  ];
  if (live.steps.length > 0) {
    blocks.push({
      full: details(`Steps of the engine, ${live.steps.length}`, fence("diff", liveLines(live.steps).join("\n"))),
      short: "",
      rank: RANK.live,
    });
  }
  if (live.drift) {
    blocks.push(
      live.drift.length === 0
        ? { full: "Nothing has drifted from the stack's state.", rank: RANK.keep }
        : {
            full: details(
              `Drift from the stack's state, ${plural(live.drift.length, "resource")}`,
              fence("diff", liveLines(live.drift, true).join("\n")),
            ),
            short: `Drift from the stack's state: ${plural(live.drift.length, "resource")}.`,
            rank: RANK.update,
          },
    );
  }
  if (live.diagnostics.length > 0) {
    blocks.push({
      full: details(`What the engine says, ${live.diagnostics.length}`, fence("text", live.diagnostics.join("\n"))),
      short: "",
      rank: RANK.live,
    });
  }
  return blocks;
}
