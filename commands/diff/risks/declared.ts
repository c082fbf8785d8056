/** What a change does to the streams, consumers and buckets that are declared beyond what NoETL makes. */
import type { ConsumerInfo, StreamInfo } from "nats";
import { patched } from "../../../contract/declared/compare";
import { consumerKey } from "../../../contract/declared/observe";
import { keepsOut, standings, type Standing } from "../../../contract/declared/plan";
import { isKnown } from "../../../contract/declared/problems";
import { targetsOf, type Config, type Target } from "../../../contract/declared/targets";
import { DECLARED_LISTS, type Declared, type DeclaredList } from "../../../contract/declared/types";
import { UNKNOWN } from "../../../contract/mask/placeholders";
import { isRecord } from "../../../contract/records";
import { subjectsOverlap } from "../../../contract/subjects";
import { danger, notice, warning, type Facts, type Finding, type RiskRule } from "./facts";

type Contract = Facts["newContract"];

/** What a contract says of a list; nothing where only a deployment tells. */
const listed = (contract: Contract, list: DeclaredList): readonly unknown[] | undefined => {
  const declared: unknown = contract?.declared ?? {};
  if (!isRecord(declared)) return undefined;
  const found = declared[list] ?? [];
  return Array.isArray(found) ? found : undefined;
};

const isTold = (declaration: unknown): boolean => isRecord(declaration) && isKnown(declaration, UNKNOWN);

/** What is declared, without what only a deployment tells. */
const declaredIn = (contract: Contract): Declared =>
  Object.fromEntries(DECLARED_LISTS.map((list) => [list, (listed(contract, list) ?? []).filter(isTold)]));

const isToldWhole = (contract: Contract, list: DeclaredList): boolean => listed(contract, list)?.every(isTold) ?? false;

const targets = (contract: Contract): Target[] => targetsOf(declaredIn(contract));
const kept = (contract: Contract): Target[] => targets(contract).filter(({ remove }) => remove === undefined);
const isEnsured = (contract: Contract): boolean => contract?.mode === "ensure";

/** What is to be removed, and was not before: where it was only checked, it is still there. */
function newRemovals({ oldContract, newContract }: Facts): Target[] {
  if (!isEnsured(newContract)) return [];
  const before = new Set(
    (isEnsured(oldContract) ? targets(oldContract) : []).flatMap(({ label, remove }) =>
      remove === undefined ? [] : [`${label} ${remove}`],
    ),
  );
  return targets(newContract).filter(({ label, remove }) => remove !== undefined && !before.has(`${label} ${remove}`));
}

function removals(facts: Facts): Finding[] {
  const { oldContract, newContract } = facts;
  const news = new Set(targets(newContract).map(({ label }) => label));
  const left = kept(oldContract).filter(({ label, list }) => !news.has(label) && isToldWhole(newContract, list));
  return [
    ...newRemovals(facts).map(({ label, remove }) =>
      remove === "withContents"
        ? danger(label, "is removed with everything in it (remove: withContents).")
        : warning(
            label,
            "is removed where it is empty (remove: ifEmpty); where it is not, the update fails before it changes anything.",
          ),
    ),
    ...left.map(({ label }) =>
      notice(label, "is declared no more: it stays in NATS as it is, and nobody looks after it."),
    ),
  ];
}

/** What the server fills in, and nobody changes afterwards. */
const FILLED_IN: Config = { max_waiting: 512 };

/** A server on which everything is as a contract declares it, and holds nothing. */
function serverAsLeft(old: readonly Target[], now: readonly Target[]): Parameters<typeof standings>[1] {
  const streams = old.filter(({ consumer }) => consumer === undefined);
  const infos = streams.map(({ stream, config }) => {
    const state = { messages: 0, bytes: 0, consumer_count: 0 };
    return [stream, { config, state } as unknown as StreamInfo] as const;
  });
  const consumers = old.flatMap(({ stream, consumer, config }) => {
    if (consumer === undefined) return [];
    const pulls = config.deliver_subject === undefined ? FILLED_IN : {};
    return [[consumerKey(stream, consumer), { config: { ...pulls, ...config } } as unknown as ConsumerInfo] as const];
  });
  const takers = (subject: string) =>
    streams.filter(({ config }) => subjectsOf(config).some((each) => subjectsOverlap(each, subject)));
  const subjects = now.flatMap(({ config, remove }) => (remove === undefined ? subjectsOf(config) : []));
  return {
    // Which server it is, and how many there are, is not known here.
    server: { version: "", clustered: true },
    streams: Object.fromEntries(infos),
    consumers: Object.fromEntries(consumers),
    takers: Object.fromEntries(subjects.map((subject) => [subject, takers(subject).map(({ stream }) => stream)])),
    beside: {},
  };
}

const subjectsOf = ({ subjects }: Config): readonly string[] => (subjects as readonly string[] | undefined) ?? [];

/** What the update finds of what is to be there. */
function found({ oldContract, newContract }: Facts): (Standing & { readonly before?: Config })[] {
  if (!isEnsured(newContract)) return [];
  const server = serverAsLeft(kept(oldContract), targets(newContract));
  return standings(declaredIn(newContract), server)
    .filter(({ target }) => target.remove === undefined)
    .map((standing) => ({
      ...standing,
      before: server.streams[standing.target.stream]?.config as unknown as Config | undefined,
    }));
}

function refusals(facts: Facts): Finding[] {
  return found(facts).flatMap(({ target, state, refusals: reasons }) => {
    if (reasons.length === 0) return [];
    const cannot = state === "missing" ? "cannot be made as declared" : "cannot become what is declared";
    const why = reasons.map(({ reason }) => reason).join("; ");
    return [danger(target.label, `${cannot}: ${why}. The update fails before it changes anything.`)];
  });
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
  return found(facts).flatMap(({ target, state, differences, refusals: reasons, before }) => {
    if (!before || state !== "different" || reasons.length > 0 || target.consumer !== undefined) return [];
    const next = patched(before, differences);
    const lower = Object.entries(LIMITS).filter(
      ([key]) => limitOf(next, key) < limitOf(before, key) && !keepsOut(next, key),
    );
    const words = lower.map(([, each]) => each).join(", ");
    return words === ""
      ? []
      : [warning(target.label, `gets a lower limit (${words}): the oldest that it holds go at once.`)];
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
