/** Merges the engine's word about the deployed stack into a comparison of the revisions. */
import { countRisks, sortedRisks } from "./risks";
import { PRECIOUS } from "./risks/losses";
import type { ChangeReport, LiveDifference, LiveReport, LiveStep, Risk } from "./report";
import { past, resourceTitle } from "./wording";

/** Paths that a risk names; the steps have them all. */
const MOST_PATHS = 4;

/** `expect.maxAgeSeconds 3600 -> 600`; the path alone where no values are shown. */
export function differenceText({ path, old, new: now }: LiveDifference): string {
  if (old === undefined && now === undefined) return path;
  return `${path} ${old === undefined ? "(unset)" : String(old)} -> ${now === undefined ? "(unset)" : String(now)}`;
}

function some(texts: readonly string[]): string {
  const rest = texts.length - MOST_PATHS;
  return [...texts.slice(0, MOST_PATHS), ...(rest > 0 ? [`${rest} more`] : [])].join(", ");
}

/** A replacement or deletion that neither the revisions nor drift of the same resource explain. */
function unexpected(step: LiveStep, live: LiveReport, resources: ChangeReport["resources"]): Risk[] {
  if (step.op !== "replace" && step.op !== "delete") return [];
  if (resources.some(({ urn, was, op }) => (urn === step.urn || was === step.urn) && op === step.op)) return [];
  if (live.drift?.some(({ urn }) => urn === step.urn)) return [];
  const loss = PRECIOUS[step.type];
  const reasons = step.replaceReasons.length > 0 ? ` because of ${some(step.replaceReasons)}` : "";
  const why = live.drift?.length ? "drift, or a stack that is not what" : "the deployed stack is not what";
  return [
    {
      rule: "engine-only",
      level: loss ? "danger" : "warning",
      subject: resourceTitle(step),
      text:
        `is ${past(step.op)} by the engine${reasons}, which the two revisions do not explain: ` +
        `${why} the base revision says.${loss ? ` This removes ${loss}.` : ""}`,
    },
  ];
}

function drifted(step: LiveStep, { steps }: LiveReport): Risk {
  const next = steps.find(({ urn }) => urn === step.urn)?.op;
  const after = `the update ${next === undefined ? "leaves it so" : (FIXES[next] ?? `will ${next} it`)}`;
  const what =
    step.op === "delete"
      ? "is gone, although the stack's state has it"
      : `is not what the stack's state says${step.differences.length > 0 ? ` (${some(step.differences.map(differenceText))})` : ""}`;
  return {
    rule: "drift",
    level: PRECIOUS[step.type] && (step.op === "delete" || next === "replace") ? "danger" : "warning",
    subject: resourceTitle(step),
    text: `${what}; ${after}.`,
  };
}

/** Source: provider/pkg/provider/helm_release.go of pulumi-kubernetes, which keeps no manifests in the state. */
const UNSEEN =
  "a refresh looks at a Helm release's version and values: what somebody changed in the objects that its chart made does " +
  "not show as drift (`npm run doctor` looks at those of NATS and NoETL)";

const FIXES: Readonly<Record<string, string>> = {
  create: "recreates it",
  update: "changes it back",
  replace: "replaces it",
  delete: "deletes it",
};

/** `1 replaced, 2 updated` */
export const engineCounts = (counts: LiveReport["counts"]): string =>
  Object.entries(counts)
    .filter(([op, count]) => op !== "same" && count > 0)
    .map(([op, count]) => `${count} ${past(op)}`)
    .join(", ");

/**
 * The comparison with what the revisions alone do not show among its risks and in its summary: what only the engine
 * replaces or deletes, and drift.
 */
export function withLive<T extends Pick<ChangeReport, "summary" | "counts" | "risks" | "resources" | "notes">>(
  compared: T,
  live: LiveReport,
): T & { live: LiveReport } {
  const risks = sortedRisks([
    ...compared.risks,
    ...live.steps.flatMap((step) => unexpected(step, live, compared.resources)),
    ...(live.drift ?? []).map((step) => drifted(step, live)),
  ]);
  const drift = live.drift === undefined ? "" : `; drifted from its state: ${live.drift.length || "nothing"}`;
  return {
    ...compared,
    summary: `${compared.summary} On the deployed stack: ${engineCounts(live.counts) || "nothing to do"}${drift}.`,
    counts: {
      ...compared.counts,
      risks: countRisks(risks),
    },
    risks,
    notes: live.drift === undefined ? compared.notes : [...compared.notes, UNSEEN].sort(),
    live,
  };
}
