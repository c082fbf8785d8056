import type { ChangeReport, ObjectChange, Report, ResourceChange } from "../report";
import { differenceText } from "../merge-live";
import { visible } from "./escape";
import { plural } from "../../../contract/wording";
import { resourceTitle } from "../wording";
import {
  bodyLines,
  changedRows,
  comparedText,
  isFailure,
  liveTitle,
  fixHeading,
  objectRemarks,
  objectTitle,
  SIGN,
  stackName,
  valueText,
  VERB,
  wholeEnvironments,
} from "./words";

const WIDTH = 80;

/** Breaks a line at blanks where it can; what follows the first line is indented. */
export function wrap(line: string, indent: string): string[] {
  const lines: string[] = [];
  let rest = line;
  while (rest.length > WIDTH) {
    const fits = (at: number) => (at > indent.length + 4 ? at : undefined);
    const head = rest.slice(0, WIDTH);
    // A word longer than the line is broken at one of its joints, or else where the line ends.
    const joint = Math.max(...[".", "[", "/", ","].map((joint) => head.lastIndexOf(joint)));
    const cut = fits(rest.lastIndexOf(" ", WIDTH)) ?? fits(joint) ?? WIDTH;
    lines.push(rest.slice(0, cut).trimEnd());
    rest = indent + rest.slice(cut).trimStart();
  }
  return [...lines, rest];
}

const wrapped = (lines: readonly string[], indent: string): string[] =>
  lines.flatMap((line) => wrap(visible(line), indent));

/** The report for a terminal of 80 columns, without colours. */
export function text(report: Report): string {
  const lines = [...wrapped([`Changes to ${stackName(report)}`, `between ${comparedText(report)}`], "  "), ""];
  if (isFailure(report)) {
    lines.push(...wrapped([report.summary], ""), "");
    for (const { message } of report.failures)
      lines.push(...message.split("\n").flatMap((line) => wrap(visible(line), "  ")));
  } else lines.push(...sections(report));
  return `${lines.join("\n")}\n`;
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ["", title.toUpperCase(), ...lines];
}

const arrow = (old: string, now: string): string => `${old || "(unset)"} -> ${now || "(unset)"}`;

function sections(report: ChangeReport): string[] {
  return [
    ...wrapped([report.summary], ""),
    ...section(
      "Risks",
      report.risks.flatMap(({ level, subject, text: why }) =>
        wrapped([`  ${level.padEnd(8)}${subject}: ${why}`], " ".repeat(10)),
      ),
    ),
    ...section("Stream contract", contractLines(report)),
    ...section(
      "Settings",
      report.settings.flatMap(({ key, old, new: now, note }) =>
        wrapped([`  ${key}: ${note ?? arrow(valueText(old), valueText(now))}`], "    "),
      ),
    ),
    ...section("Environment", [
      ...changedRows(report).flatMap(({ table, row }) =>
        wrapped(
          [`  ${table.workload.padEnd(8)}${row.name}: ${row.note ?? arrow(valueText(row.old), valueText(row.new))}`],
          " ".repeat(10),
        ),
      ),
      ...wholeEnvironments(report).map((line) => `  ${line}`),
    ]),
    ...section("Resources", report.resources.flatMap(resourceLines)),
    ...section("Kubernetes objects", report.objects.flatMap(objectLines)),
    ...section("Outputs of the stack", indented(bodyLines(report.outputs))),
    ...(report.live ? liveSection(report.live) : []),
    ...section(
      "Left out",
      wrapped(
        report.notes.map((note) => `  ${note}`),
        "    ",
      ),
    ),
  ];
}

const contractLines = ({ contract }: ChangeReport): string[] => [
  ...contract.changes.flatMap(({ term, old, new: now, consequence }) => [
    ...wrapped([`  ${term}: ${arrow(old, now)}`], "    "),
    ...wrapped([`    ${consequence}`], "    "),
  ]),
  ...(contract.fix.length > 0 ? [`  ${fixHeading(contract)}`] : []),
  ...contract.fix.map((command) => `    ${visible(command)}`),
];

const resourceLines = (resource: ResourceChange): string[] => [
  ...wrapped(
    [
      `  ${SIGN[resource.op]} ${resourceTitle(resource)} (${VERB[resource.op]}` +
        `${resource.because.length > 0 ? ` because of ${resource.because.join(", ")}` : ""}` +
        `${resource.was ? `, was ${resource.was}` : ""})`,
    ],
    "    ",
  ),
  ...indented(bodyLines(resource.changes)),
];

const objectLines = (object: ObjectChange): string[] => [
  ...wrapped(
    [`  ${SIGN[object.op]} ${objectTitle(object)} (${[VERB[object.op], ...objectRemarks(object)].join(", ")})`],
    "    ",
  ),
  ...indented(bodyLines(object.changes)),
];

const indented = (lines: readonly string[]): string[] =>
  wrapped(
    lines.map((line) => `      ${line}`),
    " ".repeat(10),
  );

function liveSection(live: NonNullable<ChangeReport["live"]>): string[] {
  const steps = (list: typeof live.steps, isDrift = false) =>
    list.flatMap((step) => [
      ...wrapped([`  ${liveTitle(step, isDrift)}`], "    "),
      ...wrapped(
        step.differences.map((each) => `      ${differenceText(each)} (${each.kind})`),
        " ".repeat(10),
      ),
    ]);
  return [
    ...section("The engine's preview", live.steps.length > 0 ? steps(live.steps) : ["  Nothing to do."]),
    ...(live.drift
      ? section("Drift from the stack's state", live.drift.length > 0 ? steps(live.drift, true) : ["  None."])
      : []),
    ...section(
      `What the engine says (${plural(live.diagnostics.length, "line")})`,
      wrapped(
        live.diagnostics.map((line) => `  ${line}`),
        "    ",
      ),
    ),
  ];
}
