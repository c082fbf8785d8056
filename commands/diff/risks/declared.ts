/** What a change does to the streams, consumers and buckets that are declared beyond what NoETL makes. */
import type { ConsumerInfo, StreamInfo } from "nats";
import { consumerKey } from "../../../contract/declared/observe";
import { standings } from "../../../contract/declared/plan";
import { targetsOf, type Config, type Target } from "../../../contract/declared/targets";
import type { Declared } from "../../../contract/declared/types";
import { danger, notice, warning, type Facts, type Finding, type RiskRule } from "./facts";

const declaredIn = (contract: Facts["newContract"]): Declared => contract?.declared ?? {};
const isEnsured = ({ newContract }: Facts): boolean => newContract?.mode === "ensure";

/** What stays, by its label. */
const kept = (declared: Declared): ReadonlyMap<string, Target> =>
  new Map(targetsOf(declared).flatMap((target) => (target.remove === undefined ? [[target.label, target]] : [])));

/** What is to be removed, and was not before. */
function newRemovals({ oldContract, newContract }: Facts): Target[] {
  const before = new Set(
    targetsOf(declaredIn(oldContract)).flatMap(({ label, remove }) =>
      remove === undefined ? [] : [`${label} ${remove}`],
    ),
  );
  return targetsOf(declaredIn(newContract)).filter(
    ({ label, remove }) => remove !== undefined && !before.has(`${label} ${remove}`),
  );
}

function removals(facts: Facts): Finding[] {
  const news = new Set(targetsOf(declaredIn(facts.newContract)).map(({ label }) => label));
  const left = [...kept(declaredIn(facts.oldContract)).keys()].filter((label) => !news.has(label));
  return [
    ...(isEnsured(facts) ? newRemovals(facts) : []).map(({ label, remove }) =>
      remove === "withContents"
        ? danger(label, "is removed with everything in it (remove: withContents).")
        : warning(
            label,
            "is removed where it is empty (remove: ifEmpty); where it is not, the update fails before it changes anything.",
          ),
    ),
    ...left.map((label) => notice(label, "is declared no more: it stays in NATS as it is, and nobody looks after it.")),
  ];
}

/** A server on which everything is as a contract declares it, and holds nothing. */
function asDeclared(declared: Declared): Parameters<typeof standings>[1] {
  const targets = [...kept(declared).values()];
  const streams = targets.flatMap(({ stream, consumer, config }) =>
    consumer === undefined
      ? [[stream, { config, state: { messages: 0, bytes: 0, consumer_count: 0 } } as unknown as StreamInfo] as const]
      : [],
  );
  const consumers = targets.flatMap(({ stream, consumer, config }) =>
    consumer === undefined ? [] : [[consumerKey(stream, consumer), { config } as unknown as ConsumerInfo] as const],
  );
  return {
    // Which server it is, and how many there are, is not known here.
    server: { version: "", clustered: true },
    streams: Object.fromEntries(streams),
    consumers: Object.fromEntries(consumers),
    takers: {},
    beside: {},
  };
}

function refusals(facts: Facts): Finding[] {
  const { oldContract, newContract } = facts;
  if (!isEnsured(facts)) return [];
  const before = asDeclared(declaredIn(oldContract));
  const changed = standings(declaredIn(newContract), before).filter(({ state }) => state === "different");
  return changed.flatMap(({ target, refusals: reasons }) =>
    reasons.length === 0
      ? []
      : [
          danger(
            target.label,
            `cannot become what is declared: ${reasons.map(({ reason }) => reason).join("; ")}. The update fails before it changes anything.`,
          ),
        ],
  );
}

/** Limits by which the oldest go at once. */
const LIMITS = {
  max_age: "age",
  max_msgs: "messages",
  max_bytes: "size",
  max_msgs_per_subject: "messages of each subject",
};

const limitOf = (config: Config, key: string): number => {
  const value = config[key];
  return typeof value === "number" && value > 0 ? value : Infinity;
};

function lowered(facts: Facts): Finding[] {
  if (!isEnsured(facts)) return [];
  const before = kept(declaredIn(facts.oldContract));
  return [...kept(declaredIn(facts.newContract)).values()].flatMap(({ label, consumer, config }) => {
    const old = before.get(label);
    if (!old || consumer !== undefined) return [];
    const lower = Object.entries(LIMITS).filter(([key]) => limitOf(config, key) < limitOf(old.config, key));
    return lower.length === 0
      ? []
      : [
          warning(
            label,
            `gets a lower limit (${lower.map(([, words]) => words).join(", ")}): the oldest that it holds go at once.`,
          ),
        ];
  });
}

export const DECLARED_RULES: readonly RiskRule[] = [
  {
    id: "declared-removed",
    warns: "a stream, consumer, bucket or object store that is to be removed, or is declared no more",
    find: removals,
  },
  {
    id: "declared-refused",
    warns: "something declared that NATS does not change so, which fails the update",
    find: refusals,
  },
  { id: "declared-lowered", warns: "a lower limit of something declared, by which the oldest go", find: lowered },
];
