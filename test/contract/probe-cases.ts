/** Ways in which a command does not get through although stream and consumer are configured as they should be. */
import { StorageType, type NatsConnection, type StreamConfig } from "nats";
import { ensureContract, type ContractArguments } from "../../contract";
import { CONSUMER, STREAM } from "../../contract/facts";
import type { Minor } from "./cases";
import {
  addConsumer,
  addStream,
  inputsFor,
  natsClient,
  natsCommand,
  startGateway,
  startNoetl,
  withManager,
  type NatsServer,
} from "../support/nats";

/** What a server of the cases is configured with. */
interface Setup {
  /** Inside `jetstream {}`. */
  readonly store?: string;
  /** `jetstream:` of NoETL's account. */
  readonly account?: string;
  /** Permissions of NoETL's user. */
  readonly permissions?: string;
  /** Further lines of NoETL's account. */
  readonly lines?: string;
  /** Lines beside the accounts. */
  readonly rest?: string;
  /** Accounts that `stray`, whose password is its name, belongs to. */
  readonly stray?: "NOETL" | "ELSEWHERE";
}

/**
 * A server with `noetl`, which is NoETL's user, `admin` of the same account, who may do everything, and `checker`, which may
 * do what the least check needs.
 */
export function configOf({ store, account, permissions, lines, rest, stray = "ELSEWHERE" }: Setup = {}): string {
  const user = (name: string, allowed = ""): string =>
    `{user: ${name}, password: ${name}${allowed === "" ? "" : `, permissions: {${allowed}}`}}`;
  const least = [`$JS.API.STREAM.INFO.${STREAM.name}`, `$JS.API.CONSUMER.INFO.${STREAM.name}.${CONSUMER.name}`].map(
    (subject) => `"${subject}"`,
  );
  const users = [
    user("noetl", permissions),
    user("admin"),
    user("checker", `publish: {allow: [${least.join(", ")}]}, subscribe: {allow: ["_INBOX.>"]}`),
    ...(stray === "NOETL" ? [user("stray")] : []),
  ];
  return `
    ${rest ?? ""}
    jetstream {
      store_dir: "DIR/jetstream"
      ${store ?? "max_memory_store: 64MB, max_file_store: 64MB"}
    }
    accounts {
      NOETL {
        jetstream: ${account ?? "enabled"}
        users: [${users.join(", ")}]
        ${lines ?? ""}
      }
      ELSEWHERE {
        jetstream: enabled
        users: [{user: someone, password: someone}${stray === "ELSEWHERE" ? `, ${user("stray")}` : ""}]
      }
    }`;
}

export const ADMIN = { user: "admin", pass: "admin" };
const NOETL = { user: "noetl", password: "noetl" };

/** Done by somebody who follows the words of the report. */
interface Cure {
  /** What the words must say. */
  readonly says: RegExp;
  readonly reload?: Setup;
  readonly restart?: Setup;
  readonly act?: (server: NatsServer) => Promise<unknown>;
  /** A command among the words, run as it stands before {@link act}. */
  readonly runs?: RegExp;
  readonly args?: Omit<ContractArguments, "connection">;
}

export interface ProbeCase {
  readonly rule: string;
  readonly name: string;
  /** Oldest server that tells. Default: 9. */
  readonly since?: Minor;
  readonly setup?: Setup;
  /** What is there; default: what NoETL creates. What it returns is closed afterwards. */
  readonly arrange?: (server: NatsServer) => Promise<NatsConnection | undefined>;
  /** Default: the check logs in as NoETL. */
  readonly args?: Omit<ContractArguments, "connection">;
  readonly found: RegExp;
  readonly expected: string;
  readonly also?: readonly string[];
  readonly cure: Cure;
}

const noetl = (server: NatsServer, changes: Parameters<typeof startNoetl>[1] = {}): Promise<void> =>
  startNoetl(server, changes, ADMIN);

const admin = <T>(server: NatsServer, work: Parameters<typeof withManager<T>>[1]): Promise<T> =>
  withManager(server, work, ADMIN);

const other = (server: NatsServer, config: Partial<StreamConfig>): Promise<unknown> =>
  admin(server, (manager) => manager.streams.add({ name: "OTHER", storage: StorageType.Memory, ...config }));

/** Publishes until the store is full. */
async function fill(server: NatsServer): Promise<void> {
  await admin(server, async (_manager, connection) => {
    for (let written = 0; written < 64; written++) {
      const answer = await connection.request("other", new Uint8Array(60_000), { timeout: 5_000 });
      if (answer.string().includes("10023")) return;
    }
    throw new Error("the store never filled up");
  });
}

const cli = (server: NatsServer, command: string): Promise<string> =>
  natsCommand(`nats --server ${server.address} ${command}`, { NATS_USER: "admin", NATS_PASSWORD: "admin" });

const denied = (...subjects: readonly string[]): Setup => ({
  permissions: `publish: {deny: [${subjects.map((subject) => `"${subject}"`).join(", ")}]}`,
});

const asked = { user: "admin", password: "admin", noetlLogin: NOETL };
const MAPPED = "noetl.commands is taken by NOETL_COMMANDS";
const NOBODY =
  "nobody, although the stream lists the subject: a mapping of subjects leads elsewhere, or the stream is another account's, from which the subject " +
  "is not imported";
const unmapped: Cure = { says: /remove the mapping of noetl\.commands .* reload NATS/, reload: {} };
const quoted = (text: string): string => text.replace(/[$.*>]/g, "\\$&");
const granted = (subject: string): Cure => ({
  says: new RegExp(`let user noetl publish on ${quoted(subject)}: add it to .allow. .* reload NATS`),
  reload: {},
});

const MORE = /take the limit of subscriptions away, or raise it to at least 20 a connection/;

/** What is found where a worker's connection may have one subscription. */
const FEW_SUBSCRIPTIONS = {
  rule: "worker-listen",
  found: /^maximum subscriptions exceeded$/,
  expected: "user noetl may listen for answers and for commands",
  cure: { says: MORE, restart: {}, act: noetl },
} satisfies Partial<ProbeCase>;

async function withGateway(server: NatsServer): Promise<undefined> {
  await noetl(server);
  await startGateway(server, {}, ADMIN);
}

const FETCHED = `$JS.API.CONSUMER.MSG.NEXT.${STREAM.name}.${CONSUMER.name}`;
const ACKNOWLEDGED = `$JS.ACK.${STREAM.name}.${CONSUMER.name}.>`;
/** From nats-server 2.14 on. */
const ACKNOWLEDGES_OTHERWISE = { rest: "feature_flags { js_ack_fc_v2: true }" };
const REACHED = `consumer ${CONSUMER.name} answers`;
const pattern = (text: string): RegExp => new RegExp(`^${quoted(text)}$`);
/** What is found where a mapping leads to another subject of the stream. */
const MOVED = {
  rule: "publish-subject",
  since: 11,
  arrange: async (server) => {
    await noetl(server, {
      stream: { subjects: ["noetl.commands", "noetl.commands.>"] },
      consumer: { filter_subject: "noetl.commands" },
    });
    return undefined;
  },
  found: pattern("a mapping makes it noetl.commands.lost, which no consumer lets through"),
  expected: "noetl.commands is stored under a name that a consumer lets through",
} satisfies Partial<ProbeCase>;
const unmappedFrom = (subject: string): Cure => ({
  says: new RegExp(`remove the mapping of ${quoted(subject)} .* reload NATS`),
  reload: {},
});

export const PROBE_CASES: readonly ProbeCase[] = [
  {
    rule: "publish-permission",
    name: "the user may not publish on the subject",
    setup: denied("noetl.>"),
    found: /^Permissions Violation for Publish to "noetl\.commands"$/,
    expected: "user noetl may publish on noetl.commands",
    cure: granted("noetl.commands"),
  },
  {
    rule: "publish-permission",
    name: "NoETL's user may not publish, the check's may",
    setup: denied("noetl.commands"),
    args: asked,
    found: /^Permissions Violation for Publish to "noetl\.commands"$/,
    expected: "user noetl may publish on noetl.commands",
    cure: granted("noetl.commands"),
  },
  {
    rule: "publish-permission",
    name: "NoETL's user may not hear answers",
    setup: { permissions: `subscribe: {deny: ["_INBOX.>"]}` },
    args: asked,
    found: /^Permissions Violation for Subscription to "_INBOX\./,
    expected: "user noetl may publish on noetl.commands",
    also: ["worker-info", "worker-listen"],
    cure: { says: /let user noetl subscribe to _INBOX\.>: .* reload NATS/, reload: {} },
  },
  {
    rule: "publish-stream",
    name: "a mapping leads to where nobody is",
    setup: { lines: `mappings: {"noetl.commands": "elsewhere"}` },
    found: new RegExp(`^noetl\\.commands is taken by ${NOBODY}$`),
    expected: MAPPED,
    cure: unmapped,
  },
  {
    rule: "publish-stream",
    name: "a mapping leads to another stream",
    setup: { lines: `mappings: {"noetl.commands": "elsewhere"}` },
    arrange: async (server) => {
      await noetl(server);
      await other(server, { subjects: ["elsewhere"] });
      return undefined;
    },
    found: /^noetl\.commands is taken by stream OTHER, to which a mapping of subjects leads$/,
    expected: MAPPED,
    cure: unmapped,
  },
  {
    rule: "publish-stream",
    name: "a mapping leads half of it elsewhere",
    setup: {
      lines: `mappings: {"noetl.commands": [{dest: "elsewhere", weight: 50%}, {dest: "noetl.commands", weight: 50%}]}`,
    },
    found: /nobody, although/,
    expected: MAPPED,
    cure: unmapped,
  },
  {
    rule: "publish-stream",
    name: "a mapping leads to an ordinary subscriber",
    setup: { lines: `mappings: {"noetl.commands": "elsewhere"}` },
    arrange: async (server) => {
      await noetl(server);
      const subscriber = await natsClient(server, ADMIN);
      subscriber.subscribe("elsewhere", { callback: () => undefined });
      await subscriber.flush();
      return subscriber;
    },
    found: /^noetl\.commands is taken by no stream that answers: somebody else listens/,
    expected: MAPPED,
    cure: unmapped,
  },
  {
    ...MOVED,
    name: "a mapping leads to another subject of the same stream, which its consumer's filter misses",
    setup: { lines: `mappings: {"noetl.commands": "noetl.commands.lost"}` },
    cure: unmapped,
  },
  {
    ...MOVED,
    name: "a mapping leads half of it there, and NoETL's login may not be told of it, as the check's may",
    setup: {
      lines: `mappings: {"noetl.commands": [{dest: "noetl.commands.lost", weight: 50%}, {dest: "noetl.commands", weight: 50%}]}`,
      ...denied("_INBOX.>"),
    },
    args: asked,
    cure: unmapped,
  },
  {
    ...MOVED,
    name: "a mapping leads a pool's commands past all pools",
    setup: { lines: `mappings: {"noetl.commands.shared.*": "noetl.commands.none.$1"}` },
    arrange: async (server) => {
      await noetl(server, {
        stream: { subjects: ["noetl.commands", "noetl.commands.>"] },
        consumer: { filter_subject: "noetl.commands.shared.>" },
      });
      return undefined;
    },
    args: {
      publishes: ["noetl.commands.shared.*"],
      consumers: [{ name: CONSUMER.name, filters: ["noetl.commands.shared.>"] }],
    },
    found: pattern("a mapping makes it noetl.commands.none.noetl-nats-probe, which no consumer lets through"),
    expected: "noetl.commands.shared.noetl-nats-probe is stored under a name that a consumer lets through",
    cure: { says: /remove the mapping of noetl\.commands\.shared\.noetl-nats-probe .* reload NATS/, reload: {} },
  },
  {
    rule: "publish-room",
    name: "the server's memory store is full",
    since: 11,
    setup: { store: "max_memory_store: 1MB, max_file_store: 1MB" },
    arrange: async (server) => {
      await noetl(server);
      await other(server, { subjects: ["other"] });
      await fill(server);
      return undefined;
    },
    found: /^insufficient resources \(10023\)$/,
    expected: "room in the server's memory store",
    cure: {
      says: /purge or remove the streams that fill it \(nats stream report, nats stream purge\)/,
      act: (server) => cli(server, "stream purge OTHER -f"),
    },
  },
  {
    rule: "publish-room",
    name: "the server's file store is full",
    since: 11,
    setup: { store: "max_memory_store: 1MB, max_file_store: 1MB" },
    args: { expect: { storage: "file" } },
    arrange: async (server) => {
      await noetl(server, { stream: { storage: StorageType.File } });
      await other(server, { subjects: ["other"], storage: StorageType.File });
      await fill(server);
      return undefined;
    },
    found: /^insufficient resources \(10023\)$/,
    expected: "room in the server's file store",
    cure: { says: /free the file store: purge or remove/, act: (server) => cli(server, "stream rm OTHER -f") },
  },
  {
    rule: "publish-room",
    name: "the queue before a stream holds less than a command",
    since: 11,
    setup: { store: "max_memory_store: 64MB, max_file_store: 64MB, max_buffered_size: 2000" },
    found: /^too many requests \(10167\)$/,
    expected: "room for a command in the stream's queue",
    cure: {
      says: /take max_buffered_size from jetstream in NATS' configuration, .* and restart NATS/,
      restart: {},
      act: noetl,
    },
  },
  {
    rule: "publish-size",
    name: "the server takes small messages only",
    setup: { rest: "max_payload: 1024" },
    found: /^1024 bytes$/,
    expected: "at least 4096 bytes",
    cure: { says: /set max_payload to at least 4096 .* reload NATS/, reload: {} },
  },
  {
    rule: "publish-size",
    name: "NoETL's account does",
    setup: { lines: "limits: {max_payload: 1024}" },
    found: /^1024 bytes$/,
    expected: "at least 4096 bytes",
    cure: { says: /set max_payload to at least 4096 .* in .limits. of the account.* reload NATS/, reload: {} },
  },
  {
    rule: "stream-creatable",
    name: "another stream has reserved the memory store",
    setup: { store: "max_memory_store: 1MB, max_file_store: 1MB" },
    arrange: async (server) => {
      await other(server, { subjects: ["other"], max_bytes: 1024 * 1024 });
      return undefined;
    },
    found: /^insufficient memory resources available \(10028\)$/,
    expected: "NOETL_COMMANDS can be created",
    also: ["stream-exists"],
    cure: {
      says: /lower or remove the max_bytes with which other streams reserve it \(nats stream report; nats stream edit\)/,
      act: async (server) => {
        await cli(server, "stream edit OTHER --max-bytes=1000 -f");
        await noetl(server);
      },
    },
  },
  {
    rule: "account-streams",
    name: "the account holds no stream without a limit of bytes",
    setup: { account: "{max_mem: 32MB, max_file: 1MB, max_bytes_required: true}" },
    arrange: () => Promise.resolve(undefined),
    found: /^every stream needs a max_bytes, which NoETL sets none of$/,
    expected: "room for NOETL_COMMANDS",
    also: ["stream-exists"],
    cure: {
      says: /take max_bytes_required from the account, and restart NoETL's server and workers; or, before that, make the stream/,
      runs: /make the stream with a limit: (nats .*)/,
      act: (server) => admin(server, (manager) => addConsumer(manager)),
    },
  },
  {
    rule: "stream-capacity",
    name: "the account holds no stream without a limit of bytes, and that one has room for a few commands",
    setup: { account: "{max_mem: 32MB, max_file: 1MB, max_bytes_required: true}" },
    arrange: async (server) => {
      await noetl(server, { stream: { max_bytes: 10_000 } });
      return undefined;
    },
    found: /^max_bytes 10000, discard old$/,
    expected: "no limits below 64 commands, none reached",
    cure: { says: /stream edit NOETL_COMMANDS/, runs: /(nats .* stream edit .*)/ },
  },
  {
    rule: "stream-creatable",
    name: "JetStream has no memory store",
    setup: { store: "max_memory_store: 0, max_file_store: 1MB" },
    arrange: () => Promise.resolve(undefined),
    found: /^insufficient memory resources available \(10028\)$/,
    expected: "NOETL_COMMANDS can be created",
    also: ["stream-exists"],
    cure: { says: /enlarge the store \(natsJetstreamMemSize.*a store of 0 holds no stream/, restart: {}, act: noetl },
  },
  {
    rule: "stream-creatable",
    name: "the account has no memory",
    setup: { account: "{max_mem: 0, max_file: 1MB}" },
    arrange: () => Promise.resolve(undefined),
    found: /^insufficient memory resources available \(10028\)$/,
    expected: "NOETL_COMMANDS can be created",
    // It has 0 of 0 bytes left.
    also: ["stream-exists", "account-storage"],
    cure: { says: /enlarge the store .* the account's limit where it has one/, reload: {}, act: noetl },
  },
  {
    rule: "stream-creatable",
    name: "NoETL's user may not create streams",
    setup: denied("$JS.API.STREAM.CREATE.>"),
    arrange: () => Promise.resolve(undefined),
    found: /^Permissions Violation for Publish to "\$JS\.API\.STREAM\.CREATE\.NOETL_COMMANDS"$/,
    expected: "NOETL_COMMANDS can be created",
    also: ["stream-exists"],
    cure: { ...granted("$JS.API.STREAM.CREATE.NOETL_COMMANDS"), act: noetl },
  },
  {
    rule: "consumer-creatable",
    name: "the server allows fewer messages in flight than the worker asks for",
    setup: { store: "max_memory_store: 64MB, max_file_store: 64MB, limits: {max_ack_pending: 10}" },
    arrange: async (server) => {
      await admin(server, (manager) => addStream(manager));
      return undefined;
    },
    found: /^consumer max ack pending exceeds system limit of 10 \(10121\)$/,
    expected: "noetl_worker_pool can be added",
    also: ["consumer-exists"],
    cure: {
      says: /lower NOETL_WORKER_NATS_MAX_ACK_PENDING \(workerMaxAckPending\) from 64 to the limit/,
      args: { worker: { maxAckPending: 10 } },
      act: (server) => admin(server, (manager) => addConsumer(manager, { max_ack_pending: 10 })),
    },
  },
  {
    rule: "consumer-creatable",
    name: "the account does, and there is not even a stream yet",
    setup: { account: "{max_mem: 1MB, max_file: 1MB, max_ack_pending: 10}" },
    arrange: () => Promise.resolve(undefined),
    found: /^consumer max ack pending exceeds system limit of 10 \(10121\)$/,
    expected: "noetl_worker_pool can be added",
    also: ["stream-exists"],
    cure: {
      says: /or raise max_ack_pending: .jetstream\.limits. of the server, .jetstream. of the account/,
      reload: { account: "{max_mem: 1MB, max_file: 1MB, max_ack_pending: 64}" },
      act: noetl,
    },
  },
  {
    rule: "bucket-creatable",
    name: "the server allows a shorter window for duplicates than the gateway asks for",
    setup: { store: "max_memory_store: 64MB, max_file_store: 64MB, limits: {duplicate_window: 10s}" },
    arrange: async (server) => {
      await noetl(server);
      await startGateway(server, { requests: null }, ADMIN);
      return undefined;
    },
    args: { gateway: {}, expect: { duplicateWindowSeconds: 10 } },
    found: /^duplicates window can not be larger then server limit of 10s \(10052\)$/,
    expected: "KV_requests can be created",
    also: ["bucket-exists"],
    cure: {
      says: /do what the server's words ask for .* or let the contract create it \(mode ensure\)/,
      act: (server) =>
        ensureContract(inputsFor(server, { user: "admin", password: "admin", mode: "ensure", gateway: {} })),
    },
  },
  {
    rule: "bucket-creatable",
    name: "the gateway's user may not create buckets",
    setup: denied("$JS.API.STREAM.CREATE.KV_requests"),
    arrange: async (server) => {
      await noetl(server);
      await startGateway(server, { requests: null }, ADMIN);
      return undefined;
    },
    args: { gateway: {} },
    found: /^Permissions Violation for Publish to "\$JS\.API\.STREAM\.CREATE\.KV_requests"$/,
    expected: "KV_requests can be created",
    also: ["bucket-exists"],
    cure: {
      says: /let the gateway's user publish on \$JS\.API\.STREAM\.CREATE\.KV_requests: add it to .allow. .* reload NATS/,
      reload: {},
      act: (server) => startGateway(server, {}, ADMIN),
    },
  },
  {
    rule: "consumer-creatable",
    name: "the account does, and the next worker that starts could not remake the consumer",
    setup: { account: "{max_mem: 1MB, max_file: 1MB, max_ack_pending: 10}" },
    arrange: async (server) => {
      await noetl(server, { consumer: { max_ack_pending: 10 } });
      return undefined;
    },
    found: /^consumer max ack pending exceeds system limit of 10 \(10121\)$/,
    expected: "noetl_worker_pool can be added",
    also: ["consumer-max-ack-pending"],
    cure: {
      says: /or raise max_ack_pending: .jetstream\.limits. of the server, .jetstream. of the account/,
      reload: { account: "{max_mem: 1MB, max_file: 1MB, max_ack_pending: 64}" },
      act: (server) =>
        admin(server, async (manager) => {
          await manager.consumers.delete(STREAM.name, CONSUMER.name);
          await addConsumer(manager);
        }),
    },
  },
  {
    rule: "consumer-creatable",
    name: "NoETL's user may not add consumers",
    setup: denied("$JS.API.CONSUMER.DURABLE.CREATE.>"),
    arrange: async (server) => {
      await admin(server, (manager) => addStream(manager));
      return undefined;
    },
    found:
      /^Permissions Violation for Publish to "\$JS\.API\.CONSUMER\.DURABLE\.CREATE\.NOETL_COMMANDS\.noetl_worker_pool"$/,
    expected: "noetl_worker_pool can be added",
    also: ["consumer-exists"],
    cure: {
      ...granted("$JS.API.CONSUMER.DURABLE.CREATE.NOETL_COMMANDS.noetl_worker_pool"),
      act: (server) => admin(server, (manager) => addConsumer(manager)),
    },
  },
  {
    rule: "worker-info",
    name: "NoETL's user may not look the consumer up",
    setup: denied("$JS.API.CONSUMER.INFO.>"),
    args: asked,
    found: /^Permissions Violation for Publish to "\$JS\.API\.CONSUMER\.INFO\.NOETL_COMMANDS\.noetl_worker_pool"$/,
    expected:
      "user noetl may publish on $JS.API.STREAM.INFO.NOETL_COMMANDS and $JS.API.CONSUMER.INFO.NOETL_COMMANDS.noetl_worker_pool",
    cure: granted("$JS.API.STREAM.INFO.NOETL_COMMANDS and $JS.API.CONSUMER.INFO.NOETL_COMMANDS.noetl_worker_pool"),
  },
  {
    rule: "worker-lookup",
    name: "NoETL's user may not ask which stream has the subject",
    setup: denied("$JS.API.STREAM.NAMES"),
    args: asked,
    found: /^Permissions Violation for Publish to "\$JS\.API\.STREAM\.NAMES"$/,
    expected: "user noetl may publish on $JS.API.STREAM.NAMES",
    cure: granted("$JS.API.STREAM.NAMES"),
  },
  {
    rule: "worker-fetch",
    name: "the user may not ask for messages",
    setup: denied("$JS.API.CONSUMER.MSG.NEXT.>"),
    found: /^Permissions Violation for Publish to "\$JS\.API\.CONSUMER\.MSG\.NEXT\.NOETL_COMMANDS\.noetl_worker_pool"$/,
    expected: "user noetl may publish on $JS.API.CONSUMER.MSG.NEXT.NOETL_COMMANDS.noetl_worker_pool",
    cure: granted("$JS.API.CONSUMER.MSG.NEXT.NOETL_COMMANDS.noetl_worker_pool"),
  },
  {
    rule: "worker-ack",
    name: "NoETL's user may not acknowledge",
    setup: denied("$JS.ACK.>"),
    args: asked,
    found: /^Permissions Violation for Publish to "\$JS\.ACK\.NOETL_COMMANDS\.noetl_worker_pool\./,
    expected: "user noetl may publish on $JS.ACK.NOETL_COMMANDS.noetl_worker_pool.>",
    cure: granted("$JS.ACK.NOETL_COMMANDS.noetl_worker_pool.>"),
  },
  {
    rule: "worker-ack",
    name: "the workers' own user may not acknowledge, and is the one that is named",
    setup: { ...denied("$JS.ACK.>"), stray: "NOETL" },
    args: {
      user: "admin",
      password: "admin",
      noetlLogin: { user: "stray", password: "stray", worker: { user: "noetl", password: "noetl" } },
    },
    found: /^Permissions Violation for Publish to "\$JS\.ACK\.NOETL_COMMANDS\.noetl_worker_pool\./,
    expected: "user noetl may publish on $JS.ACK.NOETL_COMMANDS.noetl_worker_pool.>",
    cure: { ...granted("$JS.ACK.NOETL_COMMANDS.noetl_worker_pool.>"), reload: { stray: "NOETL" } },
  },
  {
    rule: "worker-remake",
    name: "NoETL's user may not remove the consumer that it would make again",
    since: 10,
    setup: denied("$JS.API.CONSUMER.DELETE.>"),
    arrange: async (server) => {
      await admin(server, async (manager) => {
        await addStream(manager);
        await addConsumer(manager, { max_ack_pending: 7 });
      });
      return undefined;
    },
    args: asked,
    found: /^may not$/,
    expected: `user noetl may publish on $JS.API.CONSUMER.DELETE.${STREAM.name}.${CONSUMER.name}`,
    also: ["consumer-max-ack-pending"],
    cure: {
      ...granted(`$JS.API.CONSUMER.DELETE.${STREAM.name}.${CONSUMER.name}`),
      // As a worker that is started again does, which is what the other rule says.
      act: (server) =>
        admin(server, async (manager) => {
          await manager.consumers.delete(STREAM.name, CONSUMER.name);
          await addConsumer(manager);
        }),
    },
  },
  {
    rule: "worker-reach",
    name: "a mapping leads what workers fetch with to where nobody is",
    setup: { lines: `mappings: {"${FETCHED}": "elsewhere"}` },
    found: pattern(`${FETCHED} gets to nobody`),
    expected: REACHED,
    cure: unmappedFrom(FETCHED),
  },
  {
    rule: "worker-reach",
    name: "a mapping leads half of it elsewhere, and NoETL's login is another than the check's",
    setup: {
      lines: `mappings: {"${FETCHED}": [{dest: "elsewhere", weight: 50%}, {dest: "${FETCHED}", weight: 50%}]}`,
    },
    args: asked,
    found: pattern(`${FETCHED} gets to nobody`),
    expected: REACHED,
    cure: unmappedFrom(FETCHED),
  },
  {
    rule: "worker-reach",
    name: "a mapping leads acknowledgements to an ordinary subscriber",
    setup: { lines: `mappings: {"$JS.ACK.>": "elsewhere.>"}` },
    arrange: async (server) => {
      await noetl(server);
      const subscriber = await natsClient(server, ADMIN);
      subscriber.subscribe("elsewhere.>", { callback: () => undefined });
      await subscriber.flush();
      return subscriber;
    },
    found: pattern(`${ACKNOWLEDGED} gets to somebody who says nothing`),
    expected: REACHED,
    cure: unmappedFrom(ACKNOWLEDGED),
  },
  {
    rule: "worker-reach",
    name: "a mapping leads the question for the stream of a subject to somebody else",
    setup: { lines: `mappings: {"$JS.API.STREAM.NAMES": "elsewhere"}` },
    arrange: async (server) => {
      await noetl(server);
      const service = await natsClient(server, ADMIN);
      service.subscribe("elsewhere", { callback: (_error, message) => void message.respond("{}") });
      await service.flush();
      return service;
    },
    found: pattern("$JS.API.STREAM.NAMES gets to somebody else, who answers"),
    expected: REACHED,
    cure: unmappedFrom("$JS.API.STREAM.NAMES"),
  },
  {
    rule: "worker-ack",
    name: "NoETL's user may acknowledge on the usual subjects alone, and NATS is told to use others",
    since: 15,
    setup: {
      ...ACKNOWLEDGES_OTHERWISE,
      permissions: `publish: {allow: ["$JS.API.>", "noetl.>", "$JS.ACK.${STREAM.name}.>"]}`,
    },
    args: asked,
    found: /^Permissions Violation for Publish to "\$JS\.ACK\._\.pPf2FqF6\.NOETL_COMMANDS\.noetl_worker_pool\./,
    expected: "user noetl may publish on $JS.ACK._.pPf2FqF6.NOETL_COMMANDS.noetl_worker_pool.>",
    cure: {
      ...granted("$JS.ACK._.pPf2FqF6.NOETL_COMMANDS.noetl_worker_pool.>"),
      reload: {
        ...ACKNOWLEDGES_OTHERWISE,
        permissions: `publish: {allow: ["$JS.API.>", "noetl.>", "$JS.ACK._.pPf2FqF6.${STREAM.name}.${CONSUMER.name}.>"]}`,
      },
    },
  },
  {
    rule: "worker-reach",
    name: "a mapping leads acknowledgements to nobody, on the subjects that NATS is told to use",
    since: 15,
    setup: { ...ACKNOWLEDGES_OTHERWISE, lines: `mappings: {"$JS.ACK.*.*.${STREAM.name}.>": "elsewhere.>"}` },
    found: pattern(`$JS.ACK._.pPf2FqF6.${STREAM.name}.${CONSUMER.name}.> gets to nobody`),
    expected: REACHED,
    cure: { ...unmappedFrom(`$JS.ACK._.pPf2FqF6.${STREAM.name}.${CONSUMER.name}.>`), reload: ACKNOWLEDGES_OTHERWISE },
  },
  {
    rule: "worker-listen",
    name: "NoETL's user may hear answers, which come two tokens below _INBOX, and no commands, which come one below",
    setup: { permissions: `subscribe: {allow: ["_INBOX.*.*"]}` },
    found: /^Permissions Violation for Subscription to "_INBOX\.\w+"$/,
    expected: "user noetl may listen for answers and for commands",
    cure: { says: /let user noetl subscribe to _INBOX\.>: add it to .allow. .* reload NATS/, reload: {} },
  },
  {
    ...FEW_SUBSCRIPTIONS,
    name: "a connection may have one subscription, by the server",
    setup: { rest: "max_subscriptions: 1" },
  },
  {
    ...FEW_SUBSCRIPTIONS,
    name: "a connection may have one subscription, by its account, and NoETL's login is another than the check's",
    setup: { lines: "limits: {max_subs: 1}" },
    args: asked,
  },
  {
    rule: "gateway-callbacks",
    name: "a connection may have two subscriptions, and the gateway takes three",
    setup: { rest: "max_subscriptions: 2" },
    arrange: withGateway,
    args: { gateway: {} },
    found: /^maximum subscriptions exceeded$/,
    expected: "may subscribe to noetl.callbacks.>",
    cure: { says: MORE, restart: {}, act: withGateway },
  },
  {
    rule: "noetl-login",
    name: "NoETL has an old password",
    args: { ...asked, noetlLogin: { user: "noetl", password: "old" } },
    found: /^Authorization Violation$/,
    expected: "user noetl is accepted",
    cure: { says: /give NATS and NoETL the same password for user noetl/, args: asked },
  },
  {
    rule: "noetl-account",
    name: "NoETL's user belongs to another account",
    args: { ...asked, noetlLogin: { user: "stray", password: "stray" } },
    found: /^no such stream$/,
    expected: "the stream created <now>",
    also: ["publish-stream"],
    cure: { says: /move user stray to the account that the stream is in/, reload: { stray: "NOETL" } },
  },
];
