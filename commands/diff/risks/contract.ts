/** What a change does to the contract of stream and consumer. */
import { NAMING_VARIABLES } from "../../../contract/env";
import { environmentOf, findWorkload } from "../environment";
import { Opaque } from "../../../contract/mask";
import { titleOf } from "../objects";
import { sentence } from "../wording";
import { danger, type RiskRule } from "./facts";

export const CONTRACT_RULES: readonly RiskRule[] = [
  {
    id: "contract-broken",
    warns: "a stream or consumer that breaks the contract after the change, such as a subject it no longer covers",
    find: ({ contract, newContract }) =>
      contract.broken.map(({ rule, checks, severity, found, expected, why }) => ({
        level: severity === "violation" ? ("danger" as const) : ("warning" as const),
        subject: rule.startsWith("consumer")
          ? `consumer ${newContract?.consumer ?? ""}`
          : `stream ${newContract?.stream ?? ""}`,
        text:
          (rule === "stream-subjects"
            ? `does not cover the subject any more: it has ${found}, ${newContract?.subject ?? expected} is published. ${sentence(why)}.`
            : `${checks}: found ${found}, expected ${expected}. ${sentence(why)}.`) +
          (contract.refused && (severity === "violation" || newContract?.strict)
            ? " Mode ensure fails the update before it changes anything."
            : ""),
      })),
  },
  {
    id: "stream-renamed",
    warns: "another stream or consumer, or a contract that is no longer checked",
    find: ({ contract }) =>
      contract.changes
        .filter(
          ({ term, new: now }) => term === "stream" || term === "consumer" || (term === "check" && now === "none"),
        )
        .map(({ term, old, new: now, consequence }) => ({
          level: term === "stream" ? ("danger" as const) : ("warning" as const),
          subject: term === "check" ? "stream contract" : `${term} ${old}`,
          text: term === "check" ? consequence : `becomes ${now}. ${consequence}`,
        })),
  },
  {
    id: "contract-mismatch",
    warns: "a server or worker whose environment names another stream, subject or consumer than the contract",
    find: ({ newContract, newObjects, masker }) => {
      if (!newContract) return [];
      return (["server", "worker"] as const).flatMap((name) => {
        const workload = findWorkload(name, newObjects);
        const environment = workload ? environmentOf(workload, newObjects) : {};
        return NAMING_VARIABLES.flatMap(({ variable, argument }) => {
          const value = newContract[argument];
          const found = environment[variable]?.value;
          if (found === undefined || found instanceof Opaque || found === value) return [];
          return [
            danger(
              workload ? titleOf(workload) : name,
              `${variable} is ${masker.text(found)}, the contract is checked for ${value}: what is proven is not what runs.`,
            ),
          ];
        });
      });
    },
  },
];
