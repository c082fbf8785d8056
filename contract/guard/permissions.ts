/** What the guard's own user may do, and no more. */
import { targetsOf } from "../declared/targets";
import { consumerTerms, type ContractInputs } from "../inputs";
import { bucketStream } from "../buckets";
import { bucketsOf } from "../rules/gateway";
import { holdingStream, lockStream } from "../rules/rule";
import { storesAsked } from "../rules/store";
import type { GuardMode } from "./settings";

/** User that the guard logs in with, where the stack installs NATS. */
export const GUARD_USER = "contract-guard";

/** First tokens of the subjects on which the guard gets its answers: others' answers may hold commands. */
export const GUARD_INBOX = "_INBOX_contract_guard";

export interface GuardPermissions {
  readonly publish: { readonly allow: string[] };
  readonly subscribe: { readonly allow: string[] };
}

/** A repair's own streams: that it has begun, and ended. */
const repairStreams = ({ stream }: ContractInputs): string[] => [holdingStream(stream), lockStream(stream)];

/** Advisories about what the contract needs: that it was created, changed or deleted, and who leads it; and about a repair. */
export const advisories = (inputs: ContractInputs): string[] => [
  ...[inputs.stream, ...bucketsOf(inputs).map(({ name }) => bucketStream(name)), ...repairStreams(inputs)].map(
    (stream) => `$JS.EVENT.ADVISORY.STREAM.*.${stream}`,
  ),
  ...["DELETED", "QUORUM_LOST", "LEADER_ELECTED"].map(
    (event) => `$JS.EVENT.ADVISORY.CONSUMER.${event}.${inputs.stream}.*`,
  ),
];

/**
 * It asks for the infos of what the contract names, hears of advisories about them, and in mode `heal` creates those. It can
 * not publish on a subject of NoETL's, read, remove or purge anything. To create a durable consumer and to change one are one
 * request in NATS, so that it could do the latter.
 */
export function guardPermissions(inputs: ContractInputs, mode: GuardMode): GuardPermissions {
  const { stream } = inputs;
  const consumers = consumerTerms(inputs).map(({ name }) => name);
  const buckets = bucketsOf(inputs).map(({ name }) => bucketStream(name));
  const declared = targetsOf(inputs.declared ?? {}).map((target) =>
    target.consumer === undefined
      ? `STREAM.INFO.${target.stream}`
      : `CONSUMER.INFO.${target.stream}.${target.consumer}`,
  );
  const api = [
    "INFO",
    "STREAM.NAMES",
    ...[stream, ...repairStreams(inputs), ...buckets, ...storesAsked(inputs)].map((name) => `STREAM.INFO.${name}`),
    ...consumers.map((name) => `CONSUMER.INFO.${stream}.${name}`),
    ...declared,
    ...(mode === "heal"
      ? [
          ...[stream, ...buckets].map((name) => `STREAM.CREATE.${name}`),
          ...consumers.map((name) => `CONSUMER.DURABLE.CREATE.${stream}.${name}`),
        ]
      : []),
  ];
  return {
    publish: { allow: [...new Set(api)].map((subject) => `$JS.API.${subject}`) },
    subscribe: { allow: [`${GUARD_INBOX}.>`, ...advisories(inputs)] },
  };
}
