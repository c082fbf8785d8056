/** Words and lines that several formats share. */
import type { FieldChange, Scalar } from "../compare";
import { differenceText } from "../merge-live";
import type {
  ChangeReport,
  EnvironmentTable,
  FailureReport,
  Level,
  LiveStep,
  ObjectChange,
  Operation,
  Report,
} from "../report";
import { plural } from "../../../contract/wording";
import { resourceTitle } from "../wording";

export const VERB: Record<Operation, string> = {
  create: "create",
  update: "update",
  replace: "replace",
  delete: "delete",
};
export const SIGN: Record<Operation, string> = { create: "+", update: "~", replace: "±", delete: "-" };
export const LEVEL_SIGN: Record<Level, string> = { danger: "🔴", warning: "🟠", notice: "🔵" };

/** A value on one line, as YAML would quote it where it must. */
export function valueText(value: Scalar | undefined): string {
  if (value === undefined) return "";
  if (typeof value === "string") {
    return value === "" || /^[\s"'{[&*!|>%@`#-]|: |\s#|\s$|^(true|false|null|~)$|^[\d.+-]+$/.test(value)
      ? JSON.stringify(value)
      : value;
  }
  return JSON.stringify(value);
}

const side = (sign: string, path: string, value: Scalar | undefined): string[] =>
  typeof value === "string" && value.includes("\n")
    ? [
        `${sign} ${path}: |`,
        ...value
          .replace(/\n$/, "")
          .split("\n")
          .map((line) => `${sign}   ${line}`),
      ]
    : [`${sign} ${path}: ${valueText(value)}`];

/** One difference as lines of a diff: `-`, `+`, `!` for what changed without showing, `@@` before lines of a text. */
function changeLines(change: FieldChange): string[] {
  const { path, op, old, new: now, lines, note } = change;
  const remark = note ? `  # ${note}` : "";
  if (op === "add") return side("+", path, now);
  if (op === "remove") return side("-", path, old);
  if (lines) return [`@@ ${path} @@${remark}`, ...lines];
  if (old === now) return [`! ${path}: ${valueText(now).replaceAll("\n", " ")}${remark}`];
  return [...side("-", path, old), ...side("+", path, now)];
}

/** Lines of all differences, routine ones last under a heading of their own. */
export function bodyLines(changes: readonly FieldChange[]): string[] {
  const own = changes.filter(({ routine }) => routine === undefined);
  const restart = changes.filter(({ routine }) => routine === "restart");
  const labels = changes.filter(({ routine }) => routine === "labels");
  return [
    ...own.flatMap(changeLines),
    ...(restart.length > 0 ? ["# only restarts the pods:", ...restart.flatMap(changeLines)] : []),
    ...(labels.length > 0 ? ["# labels of the chart:", ...labels.flatMap(changeLines)] : []),
  ];
}

/** `Deployment noetl/noetl-worker` */
export const objectTitle = (object: ObjectChange): string =>
  `${object.kind} ${object.namespace === undefined ? "" : `${object.namespace}/`}${object.name}`;

/** What an object's line says after its name. */
export function objectRemarks(object: ObjectChange): string[] {
  const own = object.changes.filter(({ routine }) => routine === undefined).length;
  const routine = object.changes.length - own;
  return [
    ...(object.op === "update" || object.op === "replace"
      ? [own > 0 ? plural(own, "field") : "", routine > 0 ? `${routine} routine` : ""].filter(Boolean)
      : [plural(object.changes.length, "field")]),
    ...(object.restarts ? ["pods restart"] : []),
    ...(object.hook ? ["hook"] : []),
  ];
}

/** Which two states were compared. The head's commit is left out: a report changes only when the change does. */
export function comparedText({ base, head }: Report): string {
  const files = head.uncommitted.length;
  const uncommitted = files > 0 ? `, with ${plural(files, "uncommitted file")}` : "";
  return `${base.ref}${base.commit ? ` (${base.commit.slice(0, 12)})` : ""} and the working tree${uncommitted}`;
}

/** `noetl-nats/kind` */
export const stackName = (report: Report): string =>
  report.project ? `${report.project}/${report.stack}` : report.stack;

export const isFailure = (report: Report): report is FailureReport => report.status === "failed";

/** Whether a workload's whole environment comes or goes, so that single variables tell nothing. */
const comesOrGoes = ({ rows }: EnvironmentTable): "new" | "gone" | undefined =>
  rows.every(({ old }) => old === undefined) ? "new" : rows.every((row) => row.new === undefined) ? "gone" : undefined;

/** Rows of the environment that differ, without workloads that come or go. */
export const changedRows = (report: ChangeReport) =>
  report.environment
    .filter((table) => comesOrGoes(table) === undefined)
    .flatMap((table) => table.rows.filter((row) => row.changed).map((row) => ({ table, row })));

/** `gateway: all 14 variables are new`, for each workload that comes or goes. */
export const wholeEnvironments = (report: ChangeReport): string[] =>
  report.environment.flatMap((table) => {
    const what = comesOrGoes(table);
    return what && table.rows.length > 0 ? [`${table.workload}: all ${table.rows.length} variables are ${what}`] : [];
  });

const DRIFT_VERB: Readonly<Record<string, string>> = { update: "changed", delete: "gone" };

/** `update Release noetl-release`; of drift, what has become of it. */
export const liveTitle = (step: LiveStep, isDrift = false): string =>
  `${isDrift ? (DRIFT_VERB[step.op] ?? step.op) : step.op} ${resourceTitle(step)}`;

/** The engine's steps as lines of a diff. */
export const liveLines = (steps: readonly LiveStep[], isDrift = false): string[] =>
  steps.flatMap((step) => [
    `# ${liveTitle(step, isDrift)}`,
    ...step.differences.map(
      (each) =>
        `${each.kind.startsWith("add") ? "+" : each.kind.startsWith("delete") ? "-" : "!"} ${differenceText(each)}  # ${each.kind}`,
    ),
  ]);

/** What stands before the commands that fix a broken contract. */
export const fixHeading = ({ refused }: ChangeReport["contract"]): string =>
  refused
    ? "The update is refused until this has been done:"
    : "After the deployment, this brings the stream into line:";
