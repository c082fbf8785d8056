import type { StreamConfig, StreamInfo } from "nats";
import { admitStream, coded, isAskers, NOTHING } from "./account";
import { bucketStream, bucketSubjects } from "../buckets";
import { TOO_MANY_SUBSCRIPTIONS } from "../probe-results";
import { subjectsCover, subjectsOverlap } from "../subjects";
import {
  count,
  duration,
  editBucket,
  editStream,
  limited,
  loneServer,
  replicasWords,
  list,
  MORE_SUBSCRIPTIONS,
  toNanoseconds,
  toSeconds,
  type Bucket,
  type Contract,
  type Found,
  type Fix,
  type Rule,
} from "./rule";

type Gateway = NonNullable<Contract["gateway"]>;

const gatewayOf = ({ gateway }: Contract): Gateway => {
  if (!gateway) throw new Error("no rule about the gateway is asked without one");
  return gateway;
};

/** The gateway's buckets. Value sizes: what the gateway limits its own buckets to (2.10 line). */
export const bucketsOf = ({ gateway }: Contract): Bucket[] =>
  gateway
    ? [
        {
          name: gateway.sessionBucket,
          ttlSeconds: gateway.sessionTtlSeconds,
          valueBytes: 10 * 1024,
          purpose: "sessions of browsers",
        },
        {
          name: gateway.requestBucket,
          ttlSeconds: gateway.requestTtlSeconds,
          valueBytes: 4 * 1024,
          purpose: "requests that wait for an answer",
        },
      ]
    : [];

/** What the gateway listens on for the updates of one execution; the prefix need not end where a token does. */
export const updatesSubject = ({ updatesSubjectPrefix: prefix }: Gateway): string =>
  prefix.endsWith(".") ? `${prefix}>` : `${prefix}1`;
/** What the gateway listens on for callbacks. */
export const callbacksSubject = ({ callbackSubjectPrefix: prefix }: Gateway): string => `${prefix}.>`;

const recreateBucket = (_contract: Contract, { bucket }: Found): Fix => ({
  action: "recreate-bucket",
  bucket: bucket.name,
});

function unwritable({ config }: StreamInfo): string {
  if (config.mirror) return `a mirror of ${config.mirror.name}`;
  if (config.sealed) return "sealed";
  return config.no_ack ? "no_ack" : "";
}

function limitsOf({ info: { config }, valueBytes }: Found["bucket"]): string[] {
  return [
    ...(limited(config.max_msgs) ? [`max_msgs ${config.max_msgs}`] : []),
    ...(limited(config.max_bytes) ? [`max_bytes ${config.max_bytes}`] : []),
    ...(limited(config.max_msg_size) && config.max_msg_size < valueBytes
      ? [`max_msg_size ${config.max_msg_size}`]
      : []),
  ];
}

const grant = (what: string): Fix => ({
  action: "advise",
  advice: `let the gateway's user ${what}, and restart the gateway`,
  ofUsers: true,
});

/** What is done where the gateway cannot subscribe. */
const listening = (refused: string | undefined, granted: Fix): Fix =>
  refused === TOO_MANY_SUBSCRIPTIONS ? MORE_SUBSCRIPTIONS : granted;

/** The life that the gateway's settings say. */
const lifePatch = ({ ttlSeconds, info: { config } }: Found["bucket"]): Partial<StreamConfig> => ({
  max_age: toNanoseconds(ttlSeconds),
  // The server refuses an age below the window in which it looks for duplicates.
  ...(toSeconds(config.duplicate_window) > ttlSeconds ? { duplicate_window: toNanoseconds(ttlSeconds) } : {}),
});

const LIFE_STAYS =
  "a shorter life removes entries at once that somebody keeps; where it is right, set the gateway's setting";

/** Takes the gateway's subjects out of the stream, where that leaves the commands in it. */
function apartFix(contract: Contract, { stream }: Found): Fix {
  const gateway = gatewayOf(contract);
  const theirs = [updatesSubject(gateway), callbacksSubject(gateway)];
  if (theirs.some((other) => subjectsOverlap(contract.subject, other))) {
    return {
      action: "advise",
      advice:
        `give the gateway prefixes that do not take ${contract.subject} in (natsUpdatesSubjectPrefix, ` +
        "natsCallbackSubjectPrefix): no subjects of the stream could keep both apart",
    };
  }
  const kept = (stream.config.subjects ?? []).filter(
    (subject) => !theirs.some((other) => subjectsOverlap(subject, other)),
  );
  return editStream({ subjects: subjectsCover(kept, contract.subject) ? kept : [...kept, contract.subject] });
}

/** Rules about the gateway's buckets and subjects, asked where a gateway is deployed. Source: the gateway, 2.10 line. */
export const GATEWAY_RULES: readonly Rule[] = [
  {
    id: "bucket-exists",
    severity: "violation",
    effect: "gateway",
    about: "bucket",
    checks: "the gateway's bucket exists (stream `KV_<bucket>`)",
    why: "the gateway runs without it: every call looks the session up again, and answers find no browser after a restart",
    remedy: "restart the gateway: it creates its buckets when it starts",
    waits: "until-deadline",
    expected: () => "it exists",
    found: ({ bucket }) => ((bucket.info as StreamInfo | undefined) ? "it exists" : "no such bucket"),
    holds: ({ bucket }) => Boolean(bucket.info),
    fix: () => ({ action: "restart-gateway" }),
    ensure: (_contract, { bucket }) => ({ action: "create-bucket", bucket: bucket.name }),
  },
  {
    id: "bucket-creatable",
    severity: "violation",
    effect: "gateway",
    about: "bucket",
    checks:
      "the server would let the gateway create the bucket where it is missing, tried with a request that creates nothing",
    why: "the gateway fails when it creates the bucket, at every start, and runs without it",
    remedy: "make room, or grant the permission",
    appliesTo: ({ bucket, gateway }) =>
      (bucket.info as StreamInfo | undefined) === undefined && gateway?.creations?.[bucket.name] !== undefined,
    expected: (_contract, { bucket }) => `${bucketStream(bucket.name)} can be created`,
    found: ({ bucket, gateway }) => coded(gateway.creations?.[bucket.name] ?? { ...NOTHING, words: "it can" }),
    holds: ({ bucket, gateway }) => !gateway.creations?.[bucket.name],
    fix: (contract, { bucket, gateway }) =>
      admitStream(
        gateway.creations?.[bucket.name] ?? NOTHING,
        gatewayOf(contract).user === undefined ? "the gateway's user" : `user ${gatewayOf(contract).user}`,
        { name: bucketStream(bucket.name), storage: "file" },
      ),
    ensure: (_contract, { bucket, gateway }) =>
      isAskers(gateway.creations?.[bucket.name]) ? { action: "create-bucket", bucket: bucket.name } : undefined,
  },
  {
    id: "bucket-subjects",
    severity: "violation",
    effect: "gateway",
    about: "bucket",
    checks: "the bucket's stream stores its entries (`$KV.<bucket>.>`)",
    why: "what the gateway puts is stored nowhere: `no response from stream`",
    remedy: "recreate the bucket: what is in it are not entries",
    expected: (_contract, { bucket }) => bucketSubjects(bucket.name),
    found: ({ bucket }) => list(bucket.info.config.subjects ?? []),
    holds: ({ bucket }) => subjectsCover(bucket.info.config.subjects ?? [], bucketSubjects(bucket.name)),
    fix: recreateBucket,
    ensure: (_contract, { bucket: { name } }) => ({
      action: "edit-bucket",
      bucket: name,
      patch: { subjects: [bucketSubjects(name)] },
    }),
  },
  {
    id: "bucket-writable",
    severity: "violation",
    effect: "gateway",
    about: "bucket",
    checks: "the bucket takes what the gateway puts: no mirror, not sealed, acknowledging",
    why: "the gateway's puts fail, and it goes on without",
    remedy: "recreate the bucket",
    expected: () => "writable",
    found: ({ bucket }) => unwritable(bucket.info) || "writable",
    holds: ({ bucket }) => unwritable(bucket.info) === "",
    fix: recreateBucket,
  },
  {
    id: "bucket-history",
    severity: "violation",
    effect: "gateway",
    about: "bucket",
    checks: "the stream is a bucket: it keeps a set number of values per key (`max_msgs_per_subject`)",
    why: "clients refuse it as a bucket, and so does the gateway, which then cannot create its own either",
    remedy: "recreate the bucket",
    expected: () => "1 to 64 values per key",
    found: ({ bucket }) => `${count(bucket.info.config.max_msgs_per_subject)} values per key`,
    holds: ({ bucket }) => limited(bucket.info.config.max_msgs_per_subject),
    fix: recreateBucket,
    ensure: (_contract, { bucket: { name } }) => ({
      action: "edit-bucket",
      bucket: name,
      patch: { max_msgs_per_subject: 1 },
    }),
  },
  {
    id: "bucket-ttl",
    severity: "drift",
    effect: "differs",
    about: "bucket",
    checks: "life of an entry (NATS_SESSION_CACHE_TTL_SECS, NATS_REQUEST_TTL_SECS)",
    why:
      "longer, a session that has ended is still believed; shorter, users lose their session and long executions the " +
      "way back to the browser; the gateway uses a bucket that exists as it is",
    remedy: "edit the bucket; mode ensure makes it longer, and leaves a longer one as it is",
    expected: (_contract, { bucket }) => duration(bucket.ttlSeconds),
    found: ({ bucket }) => duration(toSeconds(bucket.info.config.max_age)),
    holds: ({ bucket }) => toSeconds(bucket.info.config.max_age) === bucket.ttlSeconds,
    fix: (_contract, { bucket }) => editBucket(bucket.name, lifePatch(bucket)),
    ensure: (_contract, { bucket, ensured }) => {
      const seconds = toSeconds(bucket.info.config.max_age);
      const isShorter = seconds !== 0 && seconds < bucket.ttlSeconds;
      return isShorter || seconds === ensured?.ttlSeconds[bucket.name]
        ? { action: "edit-bucket", bucket: bucket.name, patch: lifePatch(bucket) }
        : { action: "leave", why: LIFE_STAYS };
    },
  },
  {
    id: "bucket-replicas",
    severity: "drift",
    effect: "differs",
    about: "bucket",
    checks: "the bucket has as many replicas as are asked of the stream (`num_replicas`)",
    why: "while its one server is away, sessions and requests are not stored; its loss takes those that are there with it",
    remedy: "edit the bucket, in a cluster with that many servers; mode ensure raises it",
    expected: ({ expect }) => replicasWords(expect.replicas),
    found: ({ bucket }) => String(bucket.info.config.num_replicas ?? 1),
    holds: ({ bucket }, { expect }) => (bucket.info.config.num_replicas ?? 1) >= expect.replicas,
    fix: ({ expect }, { bucket }) =>
      bucket.info.cluster?.name === undefined
        ? loneServer(expect.replicas, "the buckets")
        : editBucket(bucket.name, { num_replicas: expect.replicas }),
    ensure: ({ expect }, { bucket }) => ({
      action: "edit-bucket",
      bucket: bucket.name,
      patch: { num_replicas: expect.replicas },
    }),
  },
  {
    id: "bucket-limits",
    severity: "drift",
    effect: "differs",
    about: "bucket",
    checks: "no limit that refuses or drops entries (`max_msgs`, `max_bytes`, `max_msg_size`)",
    why: "at the limit the gateway's puts are refused, or other users' entries dropped",
    remedy: "edit the bucket",
    expected: (_contract, { bucket }) => `no limits, values of ${bucket.valueBytes} bytes`,
    found: ({ bucket }) => {
      const limits = limitsOf(bucket);
      return limits.length === 0 ? "no limits" : list(limits);
    },
    holds: ({ bucket }) => limitsOf(bucket).length === 0,
    fix: (_contract, { bucket }) => editBucket(bucket.name, { max_msgs: -1, max_bytes: -1, max_msg_size: -1 }),
  },
  {
    id: "gateway-updates",
    severity: "violation",
    effect: "gateway",
    about: "gateway",
    checks: "the gateway's user may subscribe to updates (NATS_UPDATES_SUBJECT_PREFIX)",
    why: "browsers see no progress of their executions",
    remedy: "grant the permission, or raise the limit of subscriptions (`max_subscriptions`)",
    expected: (contract) => `may subscribe to ${updatesSubject(gatewayOf(contract))}`,
    found: ({ gateway }) => gateway.updatesRefused ?? "may",
    holds: ({ gateway }) => gateway.updatesRefused === undefined,
    fix: (contract, { gateway }) =>
      listening(gateway.updatesRefused, grant(`subscribe to ${updatesSubject(gatewayOf(contract))}`)),
  },
  {
    id: "gateway-callbacks",
    severity: "violation",
    effect: "gateway",
    about: "gateway",
    checks: "the gateway's user may subscribe to callbacks (NATS_CALLBACK_SUBJECT_PREFIX)",
    why: "browsers wait for results, logins included, until they time out",
    remedy: "grant the permission, or raise the limit of subscriptions (`max_subscriptions`)",
    expected: (contract) => `may subscribe to ${callbacksSubject(gatewayOf(contract))}`,
    found: ({ gateway }) => gateway.callbacksRefused ?? "may",
    holds: ({ gateway }) => gateway.callbacksRefused === undefined,
    fix: (contract, { gateway }) =>
      listening(gateway.callbacksRefused, grant(`subscribe to ${callbacksSubject(gatewayOf(contract))}`)),
  },
  {
    id: "gateway-buckets",
    severity: "violation",
    effect: "gateway",
    about: "gateway",
    checks:
      "the gateway's user may write its buckets (`$KV.<bucket>.>`), as far as the server tells (nats-server 2.10)",
    why: "sessions and requests are not stored: `Permissions Violation for Publish`",
    remedy: "grant the permission",
    applies: ({ gateway }) => gateway?.unwritable !== undefined,
    expected: (contract) => `may publish on ${list(bucketsOf(contract).map(({ name }) => bucketSubjects(name)))}`,
    found: ({ gateway }) => (gateway.unwritable?.length ? `may not publish on ${list(gateway.unwritable)}` : "may"),
    holds: ({ gateway }) => !gateway.unwritable?.length,
    fix: (contract) => grant(`publish on ${list(bucketsOf(contract).map(({ name }) => bucketSubjects(name)))}`),
  },
  {
    id: "gateway-apart",
    severity: "drift",
    effect: "differs",
    about: "stream",
    checks: "the command stream takes neither updates nor callbacks of the gateway",
    why: "workers are handed messages that are not commands, and try each of them again and again",
    remedy: "narrow the stream's subjects",
    applies: (_observed, { gateway }) => gateway !== undefined,
    expected: ({ subject }) => `subjects that cover ${subject} and none of the gateway's`,
    found: ({ stream }) => list(stream.config.subjects ?? []),
    holds: ({ stream }, contract) => {
      const gateway = gatewayOf(contract);
      const theirs = [updatesSubject(gateway), callbacksSubject(gateway)];
      return !(stream.config.subjects ?? []).some((subject) => theirs.some((other) => subjectsOverlap(subject, other)));
    },
    fix: apartFix,
    ensure: (contract, found) => {
      const fix = apartFix(contract, found);
      return fix.action === "edit-stream"
        ? fix
        : { action: "leave", why: "what the gateway listens to is its own setting, and not the stream's" };
    },
  },
];
