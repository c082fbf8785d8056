/** A NoETL that works and uses no NATS: its pods are ready and say nothing, and no command is ever seen in the stream. */
import { LOCATIONS } from "../../../contract/facts";
import { finding, type DiagnosisRule } from "./finding";
import { meaningOf } from "./logs";
import { REASONS } from "./reasons";

const OWNER = LOCATIONS.noetl.serverDeployment;

export const lineWithoutNats: DiagnosisRule = (evidence) => {
  const { serverHealth: health } = evidence;
  const reason = REASONS["other-line"];
  if (!health?.ok || reason === undefined || meaningOf(health.value) !== "other-line") return [];
  return [
    finding(reason.id, reason.title(OWNER, health.value), {
      evidence: [`GET /api/health of ${OWNER}: ${health.value}`],
      remedy: reason.remedy(evidence, health.value, [OWNER]),
    }),
  ];
};
