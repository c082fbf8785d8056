import { FLOWS } from "../parts";
import type { ChangeReport, Operation, Part } from "../report";
import { mermaid as label } from "./escape";
import { plural } from "../../../contract/wording";
import { resourceTitle } from "../wording";
import { objectTitle, SIGN } from "./words";

/** More lines than this make a part too high to be looked at; the rest is counted. */
const MOST_LINES = 6;

const COLOURS: Record<Operation, string> = {
  create: "stroke:#1a7f37,stroke-width:3px",
  update: "stroke:#bf8700,stroke-width:3px",
  replace: "stroke:#8250df,stroke-width:3px",
  delete: "stroke:#cf222e,stroke-width:3px,stroke-dasharray:6 3",
};

/** What changes in a part, resources of the program first; an object that is such a resource is shown once. */
function touchedIn(part: Part, report: ChangeReport): string[] {
  const titles = [
    ...report.resources
      .filter((resource) => resource.part === part.name)
      .map((resource) => `${SIGN[resource.op]} ${resourceTitle(resource)}`),
    ...report.objects
      .filter((object) => object.rendered && object.part === part.name)
      .map((object) => `${SIGN[object.op]} ${objectTitle(object)}`),
  ];
  const rest = titles.length - MOST_LINES;
  // A line that says "and 1 more" would take the place of that one.
  return rest > 1 ? [...titles.slice(0, MOST_LINES), `and ${rest} more`] : titles;
}

/**
 * The installation as a Mermaid flowchart, one node for each part with what is touched in it. A node for each resource
 * would make the picture too wide for a comment.
 *
 * Looked at with mermaid 11.17. No test runs it: it would weigh a third of all other packages.
 */
export function flowchart(report: ChangeReport): string {
  const lines = ["flowchart LR"];
  const classes: string[] = [];
  for (const part of report.parts) {
    const text = [
      part.title,
      ...touchedIn(part, report),
      ...(part.restarts > 0 ? [`${plural(part.restarts, "workload")}: pods restart`] : []),
    ];
    lines.push(`  ${part.name}["${text.map(label).join("<br/>")}"]`);
    if (part.change) classes.push(`  class ${part.name} ${part.change}`);
  }
  const present = new Set(report.parts.map(({ name }) => name));
  for (const flow of FLOWS) {
    if (present.has(flow.from) && present.has(flow.to))
      lines.push(`  ${flow.from} -->|${label(flow.label)}| ${flow.to}`);
  }
  const used = new Set(report.parts.map(({ change }) => change));
  for (const [op, style] of Object.entries(COLOURS)) {
    if (used.has(op as Operation)) lines.push(`  classDef ${op} ${style}`);
  }
  return [...lines, ...classes].join("\n");
}
