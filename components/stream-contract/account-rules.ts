import type { JetStreamAccountStats } from "nats";
import { limited, list, NOTIFICATION_BYTES, type Contract, type Found, type Rule } from "./rule";

type Share = Pick<JetStreamAccountStats, "memory" | "storage" | "streams" | "limits">;

/** Usage and limits that count for a stream of so many replicas: an account may have its limits in tiers. */
function share(account: JetStreamAccountStats, replicas: number): Share {
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

/**
 * Rules about the account, asked where the login may publish on `$JS.API.INFO` and `$JS.API.STREAM.NAMES`. An account
 * without JetStream, and a server without it, are errors of their own: nothing else can be asked there.
 */
export const ACCOUNT_RULES: readonly Rule[] = [
  {
    id: "stream-overlap",
    severity: "violation",
    about: "account",
    checks: "no other stream takes NATS_SUBJECT or a part of it",
    why:
      "commands land in that stream, workers who look their stream up by subject subscribe to it, and the server " +
      "cannot create its own: `subjects overlap with an existing stream`",
    remedy: "take the subject from the other stream, or remove that stream",
    applies: ({ overlapping }) => overlapping !== undefined,
    expected: ({ stream }) => `${stream} alone`,
    found: ({ overlapping = [] }) => (overlapping.length === 0 ? "no other" : list(overlapping)),
    holds: ({ overlapping = [] }) => overlapping.length === 0,
    mend: ({ subject }, { overlapping = [] }) => ({
      action: "advise",
      advice:
        `take ${subject} from ${list(overlapping)}, or remove it (nats stream edit, nats stream rm), and restart ` +
        "NoETL's server and workers",
    }),
  },
  {
    id: "account-storage",
    severity: "violation",
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
    mend: (contract, found) => ({
      action: "advise",
      advice: `raise the account's limit of ${storageOf(found, contract)} storage, or purge or remove streams that fill it`,
    }),
  },
  {
    id: "account-streams",
    severity: "violation",
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
    holds: ({ account }, { expect }) => {
      const { streams, limits } = share(account, expect.replicas);
      return !limits.max_bytes_required && (!limited(limits.max_streams) || streams < limits.max_streams);
    },
    mend: ({ stream }) => ({
      action: "advise",
      advice: `let the account hold one more stream, ${stream}, and restart NoETL's server and workers`,
    }),
  },
];
