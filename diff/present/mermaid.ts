import { FLOWS } from "../parts";
import type { ChangeReport, Operation, Part } from "../report";
import { mermaid as label } from "./escape";
import { many, objectTitle, resourceTitle, VERB } from "./words";

/** More nodes than this cannot be read in a comment; the picture then shows parts only. */
const MOST_NODES = 20;

const COLOURS: Record<Operation, string> = {
  create: "stroke:#1a7f37,stroke-width:3px",
  update: "stroke:#bf8700,stroke-width:3px",
  replace: "stroke:#8250df,stroke-width:3px",
  delete: "stroke:#cf222e,stroke-width:3px,stroke-dasharray:6 3",
};

interface Touched {
  readonly part: string;
  readonly op: Operation;
  readonly title: string;
}

/** What changes, resources of the program first; an object that is such a resource is shown once. */
function touchedOf(report: ChangeReport): Touched[] {
  return [
    ...report.resources.map((resource) => ({ part: resource.part, op: resource.op, title: resourceTitle(resource) })),
    ...report.objects
      .filter(({ rendered }) => rendered)
      .map((object) => ({ part: object.part, op: object.op, title: objectTitle(object) })),
  ];
}

/** The installation as a Mermaid flowchart with the touched resources in their parts. */
export function flowchart(report: ChangeReport): string {
  const touched = touchedOf(report);
  const detailed = touched.length <= MOST_NODES;
  const lines = ["flowchart LR"];
  const classes: string[] = [];
  for (const part of report.parts) {
    const inside = touched.filter((each) => each.part === part.name);
    if (detailed && inside.length > 0) {
      lines.push(`  subgraph ${part.name} ["${label(part.title)}"]`);
      inside.forEach((each, index) => {
        const id = `${part.name}${index}`;
        lines.push(`    ${id}["${label(`${VERB[each.op]} ${each.title}`)}"]`);
        classes.push(`  class ${id} ${each.op}`);
      });
      lines.push("  end");
    } else {
      lines.push(`  ${part.name}["${label(part.title)}${remark(part)}"]`);
    }
    if (part.change) classes.push(`  class ${part.name} ${part.change}`);
  }
  const present = new Set(report.parts.map(({ name }) => name));
  for (const flow of FLOWS) {
    if (present.has(flow.from) && present.has(flow.to))
      lines.push(`  ${flow.from} -->|${label(flow.label)}| ${flow.to}`);
  }
  const used = new Set(classes.map((line) => line.split(" ").at(-1)));
  for (const [op, style] of Object.entries(COLOURS)) if (used.has(op)) lines.push(`  classDef ${op} ${style}`);
  return [...lines, ...classes].join("\n");
}

function remark(part: Part): string {
  if (!part.change) return "";
  const restarts = part.restarts > 0 ? "<br/>pods restart" : "";
  return `<br/>${many(part.touched, "change")}${restarts}`;
}
