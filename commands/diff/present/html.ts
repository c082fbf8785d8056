import * as crypto from "node:crypto";
import type { ChangeReport, EnvironmentTable, Report, Scalar } from "../report";
import { html as escaped } from "./escape";
import { SCRIPT, STYLE } from "./page";
import { topology } from "./topology";
import { plural } from "../../../contract/wording";
import { resourceTitle } from "../wording";
import {
  bodyLines,
  comparedText,
  isFailure,
  liveLines,
  fixHeading,
  objectRemarks,
  objectTitle,
  SIGN,
  stackName,
  VERB,
} from "./words";

/** What the browser may do with the page: nothing but show it and run its one script. */
const POLICY = [
  "default-src 'none'",
  "style-src 'unsafe-inline'",
  `script-src 'sha256-${crypto.createHash("sha256").update(SCRIPT).digest("base64")}'`,
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

/** The report as one page that needs nothing else: no request, no storage; readable without its script too. */
export function html(report: Report): string {
  const title = `Changes to ${stackName(report)}`;
  const body = isFailure(report)
    ? `<p class="summary failed">${escaped(report.summary)}</p>` +
      report.failures.map(({ message }) => `<pre class="failure">${escaped(message)}</pre>`).join("\n")
    : content(report);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${escaped(POLICY)}">
<title>${escaped(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>${escaped(title)}</h1>
<button type="button" id="theme" hidden>Dark</button>
<p class="compared">${escaped(comparedText(report))}</p>
</header>
<main>
${body}
</main>
<script>${SCRIPT}</script>
</body>
</html>
`;
}

function content(report: ChangeReport): string {
  return [
    `<p class="summary">${escaped(report.summary)}</p>`,
    risks(report),
    contract(report),
    `<section class="picture">${topology(report)}</section>`,
    controls(report),
    settings(report),
    environment(report),
    items(
      "Resources",
      report.resources.map((resource) => ({
        op: resource.op,
        part: resource.part,
        title: resourceTitle(resource),
        remarks: [
          VERB[resource.op],
          ...(resource.because.length > 0 ? [`because of ${resource.because.join(", ")}`] : []),
          ...(resource.was ? [`was ${resource.was}`] : []),
        ],
        lines: bodyLines(resource.changes),
      })),
    ),
    items(
      "Kubernetes objects",
      report.objects.map((object) => ({
        op: object.op,
        part: object.part,
        title: objectTitle(object),
        remarks: [VERB[object.op], ...objectRemarks(object)],
        lines: bodyLines(object.changes),
      })),
    ),
    report.outputs.length > 0 ? section("Outputs of the stack", diff(bodyLines(report.outputs))) : "",
    live(report),
    report.notes.length > 0
      ? section(
          "What this comparison leaves out",
          `<ul>${report.notes.map((note) => `<li>${escaped(note)}</li>`).join("")}</ul>`,
        )
      : "",
  ].join("\n");
}

/** A sentence; what stands between backticks is code. */
const words = (text: string): string =>
  text
    .split(/`([^`]+)`/)
    .map((part, index) => (index % 2 === 1 ? `<code>${escaped(part)}</code>` : escaped(part)))
    .join("");

const section = (title: string, body: string): string => `<section><h2>${escaped(title)}</h2>\n${body}\n</section>`;

const codeCell = (value: Scalar | undefined, note?: string): string =>
  value === undefined
    ? '<td class="none">–</td>'
    : `<td><code>${escaped(String(value))}</code>${note ? ` <small>${escaped(note)}</small>` : ""}</td>`;

/** Lines of a diff, coloured by their first character. */
function diff(lines: readonly string[]): string {
  const kinds: Record<string, string> = { "+": "add", "-": "remove", "!": "change", "@": "place", "#": "place" };
  const spans = lines.map(
    (line) => `<span class="${kinds[line.slice(0, 1)] ?? "same"}">${escaped(line) || " "}</span>`,
  );
  return `<pre class="diff">${spans.join("\n")}</pre>`;
}

function risks({ risks: found }: ChangeReport): string {
  if (found.length === 0) return "";
  const rows = found.map(
    ({ level, subject, text, rule }) =>
      `<li class="risk ${level}"><b>${level}</b> <code>${escaped(subject)}</code> ${words(text)} <small>${escaped(rule)}</small></li>`,
  );
  return section(`Risks (${found.length})`, `<ul class="risks">${rows.join("\n")}</ul>`);
}

function contract({ contract: report }: ChangeReport): string {
  const { changes, fix } = report;
  if (changes.length === 0) return "";
  const rows = changes.map(
    ({ term, old, new: now, consequence }) =>
      `<tr><td>${escaped(term)}</td>${codeCell(old)}${codeCell(now)}<td class="words">${words(consequence)}</td></tr>`,
  );
  const commands =
    fix.length > 0 ? `<p>${fixHeading(report)}</p><pre class="commands">${escaped(fix.join("\n"))}</pre>` : "";
  return section("Stream contract", `${table(["Term", "Before", "After", "What follows"], rows)}${commands}`);
}

const table = (heads: readonly string[], rows: readonly string[]): string =>
  `<div class="scroll"><table><thead><tr>${heads.map((head) => `<th>${escaped(head)}</th>`).join("")}</tr></thead>` +
  `<tbody>${rows.join("\n")}</tbody></table></div>`;

function controls({ resources, objects }: ChangeReport): string {
  const ops = [...new Set([...resources, ...objects].map(({ op }) => op))].sort();
  const boxes = ops.map(
    (op) => `<label class="${op}"><input type="checkbox" name="op" value="${op}" checked> ${SIGN[op]} ${op}</label>`,
  );
  return (
    `<form id="filter" hidden><input type="search" name="text" placeholder="Search names, fields, values" ` +
    `aria-label="Search">${boxes.join("")}<button type="button" id="clear" hidden>All parts</button>` +
    `<output id="count" aria-live="polite"></output></form>`
  );
}

function settings({ settings: changed }: ChangeReport): string {
  if (changed.length === 0) return "";
  const rows = changed.map(
    ({ key, old, new: now, note }) =>
      `<tr class="item"><td><code>${escaped(key)}</code></td>${codeCell(old)}${codeCell(now, note)}</tr>`,
  );
  return section("Settings", table(["Key", "Before", "After"], rows));
}

function environment({ environment: tables }: ChangeReport): string {
  if (tables.length === 0) return "";
  const body = tables.map((each: EnvironmentTable) => {
    const changed = each.rows.filter((row) => row.changed).length;
    const rows = each.rows.map(
      (row) =>
        `<tr class="item${row.changed ? " changed" : ""}" data-part="${each.workload}"><td><code>${escaped(row.name)}</code></td>` +
        `${codeCell(row.old)}${codeCell(row.new, row.note)}<td>${escaped(row.source)}</td></tr>`,
    );
    return (
      `<details${changed > 0 ? " open" : ""} class="group"><summary>${escaped(each.workload)}: <code>${escaped(each.object)}</code> ` +
      `<small>${plural(each.rows.length, "variable")}, ${changed} changed</small></summary>` +
      `${table(["Variable", "Before", "After", "From"], rows)}</details>`
    );
  });
  const toggle = '<label class="toggle" hidden><input type="checkbox" id="unchanged"> unchanged variables too</label>';
  return section("Environment", `${toggle}${body.join("\n")}`);
}

interface Item {
  readonly op: string;
  readonly part: string;
  readonly title: string;
  readonly remarks: readonly string[];
  readonly lines: readonly string[];
}

function items(title: string, list: readonly Item[]): string {
  if (list.length === 0) return "";
  const rows = list.map(({ op, part, title: name, remarks, lines }) => {
    const head =
      `<span class="sign ${op}">${escaped(SIGN[op as keyof typeof SIGN])}</span> <code>${escaped(name)}</code> ` +
      `<small>${escaped(remarks.join(", "))}</small>`;
    return lines.length === 0
      ? `<div class="item plain" data-op="${op}" data-part="${part}">${head}</div>`
      : `<details class="item" data-op="${op}" data-part="${part}"><summary>${head}</summary>${diff(lines)}</details>`;
  });
  return section(`${title} (${list.length})`, rows.join("\n"));
}

function live({ live: report }: ChangeReport): string {
  if (!report) return "";
  const steps = (list: typeof report.steps, isDrift = false): string =>
    list.length === 0 ? "<p>None.</p>" : diff(liveLines(list, isDrift));
  return [
    section("The engine's preview", steps(report.steps)),
    report.drift ? section("Drift from the stack's state", steps(report.drift, true)) : "",
    report.diagnostics.length > 0
      ? section("What the engine says", `<pre>${escaped(report.diagnostics.join("\n"))}</pre>`)
      : "",
  ].join("\n");
}
