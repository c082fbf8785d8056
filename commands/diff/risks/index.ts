/** Changes that deserve a second look, one rule each. */
import { LEVELS, type Level, type Risk } from "../report";
import { AVAILABILITY_RULES } from "./availability";
import { CONTRACT_RULES } from "./contract";
import { CONTROL_PLANE_RULES } from "./control-plane";
import { CREDENTIAL_RULES } from "./credentials";
import { DECLARED_RULES } from "./declared";
import { DESTINATION_RULES } from "./destination";
import type { Facts, RiskRule } from "./facts";
import { LOSS_RULES } from "./losses";
import { NETWORK_RULES } from "./network";
import { REFUSED_RULES } from "./refused";
import { VERSION_RULES } from "./versions";

const RISK_RULES: readonly RiskRule[] = [
  ...DESTINATION_RULES,
  ...REFUSED_RULES,
  ...LOSS_RULES,
  ...NETWORK_RULES,
  ...CONTROL_PLANE_RULES,
  ...CREDENTIAL_RULES,
  ...CONTRACT_RULES,
  ...DECLARED_RULES,
  ...VERSION_RULES,
  ...AVAILABILITY_RULES,
];

/** All risks, the worst first, each once. */
export function findRisks(facts: Facts): Risk[] {
  const { masker } = facts;
  return sortedRisks(
    RISK_RULES.flatMap(({ id, find }) =>
      find(facts).map((found) => ({
        rule: id,
        level: found.level,
        subject: masker.text(found.subject),
        text: masker.text(found.text),
      })),
    ),
  );
}

/** How many there are of each level. */
export const countRisks = (risks: readonly Risk[]): Record<Level, number> =>
  Object.fromEntries(LEVELS.map((level) => [level, risks.filter((risk) => risk.level === level).length])) as Record<
    Level,
    number
  >;

/** The worst first, each once. */
export function sortedRisks(risks: readonly Risk[]): Risk[] {
  const key = (risk: Risk): string => JSON.stringify([LEVELS.indexOf(risk.level), risk.rule, risk.subject, risk.text]);
  return [...new Map(risks.map((risk) => [key(risk), risk])).entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, risk]) => risk);
}
