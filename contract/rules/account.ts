import type { JetStreamAccountStats } from "nats";
import { streamSubjects } from "../inputs";
import type { Refusal } from "../probe-results";
import { line, programsOf } from "../programs";
import {
  GO_ON_WITH_REPAIR,
  grant,
  holdingStream,
  limited,
  list,
  NOTIFICATION_BYTES,
  type Contract,
  type Found,
  type Fix,
  type Observed,
  type Rule,
} from "./rule";

type Share = Pick<JetStreamAccountStats, "memory" | "storage" | "streams" | "limits">;

/** Usage and limits that count for a stream of so many replicas: an account may have its limits in tiers. */
export function share(account: JetStreamAccountStats, replicas: number): Share {
  return (account.tiers as Record<string, Share> | undefined)?.[`R${replicas}`] ?? account;
}

/** What is used of, and granted for, the storage that the stream is in, in bytes; a negative limit is none. */
function room({ account, stream }: Partial<Found>, { expect }: Contract): { used: number; limit: number } | undefined {
  if (!account) return undefined;
  const storage = stream ? String(stream.config.storage) : expect.storage;
  const { limits, ...usage } = share(account, stream?.config.num_replicas ?? expect.replicas);
  return storage === "file"
    ? { used: usage.storage, limit: limits.max_storage }
    : { used: usage.memory, limit: limits.max_memory };
}

const storageOf = ({ stream }: Partial<Found>, { expect }: Contract): string =>
  stream ? String(stream.config.storage) : expect.storage;

/** Whether the account's own numbers admit one more stream. */
function admitsStream({ account }: Pick<Observed, "account">, { expect }: Contract): boolean {
  if (!account) return true;
  const { streams, limits } = share(account, expect.replicas);
  return !limits.max_bytes_required && (!limited(limits.max_streams) || streams < limits.max_streams);
}

/** Whether the account holds no stream without a `max_bytes`. */
export const requiresBytes = ({ expect }: Contract, { account }: Pick<Observed, "account">): boolean =>
  account !== undefined && Boolean(share(account, expect.replicas).limits.max_bytes_required);

/** The `max_bytes` of a stream that has to have one: commands of an hour, by the thousand, and what a small account still has. */
export const BYTES_WHERE_REQUIRED = 16 * 1024 * 1024;

/** The command that makes the stream as NoETL does, with a limit. */
const withLimit = ({ connection, stream, expect, ...rest }: Contract): string =>
  line(
    programsOf({ connection }).nats,
    ...["stream", "add", stream, "--subjects", streamSubjects(rest).join(","), "--storage", expect.storage],
    ...[
      "--retention",
      expect.retention === "workqueue" ? "work" : expect.retention,
      "--max-age",
      `${expect.maxAgeSeconds}s`,
    ],
    ...[`--max-bytes=${BYTES_WHERE_REQUIRED}`, "--defaults"],
  );

/** A refusal in a report. */
export const coded = ({ code, words }: Refusal): string => (code === 0 ? words : `${words} (${code})`);

/** Where nothing is refused; nothing is done about it then. */
export const NOTHING: Refusal = { code: 0, words: "" };

/** Whether it is NoETL's or the gateway's own login that may not, which another login, that of mode `ensure`, may. */
const isForbidden = (refusal: Refusal | null | undefined): boolean => refusal?.code === 0;

/** nats-server's words where its `jetstream.limits` allow a shorter window only: nothing that is wrong, and nobody's to change here. */
export const WINDOW_LIMITED = "duplicates window can not be larger then server limit";

/** Whether it is the asker's: its login may not, or it names a window for duplicates, which mode `ensure` leaves to the server. */
export const isAskers = (refusal: Refusal | null | undefined): boolean =>
  isForbidden(refusal) || refusal?.words.startsWith(WINDOW_LIMITED) === true;

const advise = (advice: string): Extract<Fix, { action: "advise" }> => ({ action: "advise", advice });

/** What is done where the server would refuse the stream `name` to `login`. */
export function admitStream(
  { code, words }: Refusal,
  login: string,
  { name, storage }: { readonly name: string; readonly storage: string },
): Fix {
  switch (code) {
    case 0:
      return grant(login, "publish", /"(.+)"/.exec(words)?.[1] ?? "$JS.API.>");
    case 10023:
    case 10028:
    case 10047:
      return advise(
        `make room for ${name} in ${storage} storage: lower or remove the max_bytes with which other streams reserve it ` +
          "(nats stream report; nats stream edit), remove streams that nobody needs, or enlarge the store " +
          `(${storage === "file" ? "natsJetstreamFileSize" : "natsJetstreamMemSize"}, and the account's limit where it has one); ` +
          "a store of 0 holds no stream at all",
      );
    default:
      return advise(`do what the server's words ask for (${words}), or let the contract create it (mode ensure)`);
  }
}

/** What is done where the server would refuse the consumer that a worker adds. */
const admitConsumer = (refusal: Refusal, login: string, { stream, expect, worker }: Contract): Fix =>
  refusal.code === 10121
    ? advise(
        `lower NOETL_WORKER_NATS_MAX_ACK_PENDING (workerMaxAckPending) from ${worker.maxAckPending} to the limit, or raise ` +
          "max_ack_pending: `jetstream.limits` of the server, `jetstream` of the account, or `consumer_limits` of the stream",
      )
    : admitStream(refusal, login, { name: stream, storage: expect.storage });

/**
 * Rules about the account, asked where the login may publish on `$JS.API.INFO` and `$JS.API.STREAM.NAMES`. An account
 * without JetStream, and a server without it, are errors of their own: nothing else can be asked there.
 */
export const ACCOUNT_RULES: readonly Rule[] = [
  {
    id: "stream-overlap",
    severity: "violation",
    effect: "refused",
    about: "account",
    checks: "no other stream takes NATS_SUBJECT or a part of it",
    why:
      "commands land in that stream, workers who look their stream up by subject subscribe to it, and the server " +
      "cannot create its own: `subjects overlap with an existing stream`",
    remedy: "take the subject from the other stream, or remove that stream",
    applies: ({ overlapping }) => overlapping !== undefined,
    expected: ({ stream }) => `${stream} alone`,
    found: ({ overlapping = [] }, { stream }) =>
      overlapping.length === 0
        ? "no other"
        : list(overlapping.map((name) => (name === holdingStream(stream) ? `${name}, the stream of a repair` : name))),
    holds: ({ overlapping = [] }) => overlapping.length === 0,
    fix: ({ subject, stream }, { overlapping = [] }) => {
      const others = overlapping.filter((name) => name !== holdingStream(stream));
      return {
        action: "advise",
        advice:
          others.length === 0
            ? GO_ON_WITH_REPAIR
            : `take ${subject} from ${list(others)}, or remove it (nats stream edit, nats stream rm), and restart ` +
              "NoETL's server and workers",
      };
    },
  },
  {
    id: "account-storage",
    severity: "violation",
    effect: "refused",
    about: "account",
    checks: "the account has storage left of the kind that the stream uses (`max_memory`, `max_storage`)",
    why: "the server's publish is refused with `insufficient storage resources` or `resource limits exceeded for account`",
    remedy: "raise the account's limit, or remove what fills it",
    applies: ({ account }) => account !== undefined,
    expected: (contract, found) => `room for commands in ${storageOf(found, contract)} storage`,
    found: (found, contract) => {
      const { used = 0, limit = -1 } = room(found, contract) ?? {};
      return limit < 0 ? "no limit" : `${used} of ${limit} bytes used`;
    },
    holds: (found, contract) => {
      const { used = 0, limit = -1 } = room(found, contract) ?? {};
      return limit < 0 || used + NOTIFICATION_BYTES <= limit;
    },
    fix: (contract, found) => ({
      action: "advise",
      advice: `raise the account's limit of ${storageOf(found, contract)} storage, or purge or remove streams that fill it`,
    }),
  },
  {
    id: "account-streams",
    severity: "violation",
    effect: "refused",
    about: "account",
    checks: "the account admits the stream that the server is to create (`max_streams`, `max_bytes_required`)",
    why: "the server cannot create the stream: `maximum number of streams reached`, or one without `max_bytes` is refused",
    remedy: "raise the account's limit, or remove streams that nobody needs",
    applies: ({ account, stream }) => account !== undefined && stream === undefined,
    expected: ({ stream }) => `room for ${stream}`,
    found: ({ account }, { expect }) => {
      const { streams, limits } = share(account, expect.replicas);
      if (limits.max_bytes_required) return "every stream needs a max_bytes, which NoETL sets none of";
      return limited(limits.max_streams) ? `${streams} of ${limits.max_streams} streams used` : "no limit";
    },
    holds: admitsStream,
    fix: (contract, found) =>
      advise(
        requiresBytes(contract, found)
          ? `take max_bytes_required from the account, and restart NoETL's server and workers; or, before that, make the stream with a limit: ${withLimit(contract)}`
          : `let the account hold one more stream, ${contract.stream}, and restart NoETL's server and workers`,
      ),
  },
  {
    id: "stream-creatable",
    severity: "violation",
    effect: "refused",
    about: "account",
    checks:
      "the server would let NoETL create the stream where it is missing, tried with a request that creates nothing",
    why:
      "NoETL's server fails when it creates the stream, and every publish gets `no response from stream`; a restart changes " +
      "nothing: another stream has reserved the storage, there is none of that kind, or NoETL's user may not create streams",
    remedy: "make room, or grant the permission",
    // What the account's own numbers say is another rule's finding.
    applies: (observed, contract) =>
      observed.stream === undefined && observed.probe?.creation !== undefined && admitsStream(observed, contract),
    expected: ({ stream }) => `${stream} can be created`,
    found: ({ probe }) => (probe.creation ? coded(probe.creation) : "it can"),
    holds: ({ probe }) => !probe.creation,
    fix: ({ stream, expect }, { probe }) =>
      admitStream(probe.creation ?? NOTHING, probe.login, { name: stream, storage: expect.storage }),
    ensure: (_contract, { probe }) => (isForbidden(probe.creation) ? { action: "create-stream" } : undefined),
  },
  {
    id: "consumer-creatable",
    severity: "violation",
    effect: "withheld",
    about: "worker",
    checks:
      "the server would let a worker add the consumer where it is missing or set otherwise, tried with a request that adds nothing; " +
      "where the stream is missing, too, the account's own limit admits its messages in flight",
    why:
      "the worker fails when it adds the consumer, and crash-loops: more messages in flight than the server, the account or the " +
      "stream allows (`consumer max ack pending exceeds system limit`), or NoETL's user may not add consumers",
    remedy: "lower the worker's setting, raise the limit, or grant the permission",
    // Limits of the stream are another rule's finding.
    applies: ({ stream }) => !limited(stream?.config.consumer_limits?.max_ack_pending),
    appliesTo: ({ workerProbe }) => workerProbe.creation !== undefined,
    expected: (_contract, { workerProbe }) => `${workerProbe.consumer} can be added`,
    found: ({ workerProbe }) => (workerProbe.creation ? coded(workerProbe.creation) : "it can"),
    holds: ({ workerProbe }) => !workerProbe.creation,
    fix: (contract, { probe, workerProbe }) => admitConsumer(workerProbe.creation ?? NOTHING, probe.login, contract),
    ensure: (_contract, { workerProbe: { consumer: name, creation }, consumers, consumer }) =>
      isForbidden(creation) && !(consumers ? consumers[name] : consumer)
        ? { action: "create-consumer", consumer: name }
        : undefined,
  },
];
