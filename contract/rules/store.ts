/** The rule about the buckets and the object store that NoETL itself makes beside its stream. */
import { replicasWords, type Contract, type Rule } from "./rule";

/** Streams behind what NoETL's server and workers make in JetStream for states and results. Source: NoETL 2.8 to 4.26. */
export const NOETL_STORES = ["KV_noetl_execution_state", "KV_noetl_result_store", "OBJ_noetl_result_objects"] as const;

/** What line 2.8 reserves of the file store for the last of them, when it is made. Source: `NATSObjectBackend` of NoETL 2.8.9. */
export const RESULT_OBJECTS_BYTES = 1024 ** 3;

/** Those of them that are asked for: where they are to have copies, and NoETL makes them. */
export const storesAsked = ({ expect, noetlLine }: Pick<Contract, "expect" | "noetlLine">): readonly string[] =>
  expect.replicas === 1 || noetlLine === "rust" ? [] : NOETL_STORES;

export const STORE_RULES: readonly Rule[] = [
  {
    id: "store-replicas",
    severity: "drift",
    effect: "differs",
    about: "store",
    checks: "NoETL's own buckets and object store have as many replicas as are asked of the stream (`num_replicas`)",
    why: "while its one server is away, states and results of executions cannot be written or read; its loss takes them with it",
    remedy: "let mode ensure raise them: NoETL makes them with one, and takes what it finds",
    expected: ({ expect }) => replicasWords(expect.replicas),
    found: ({ store }) => String(store.config.num_replicas ?? 1),
    holds: ({ store }, { expect }) => (store.config.num_replicas ?? 1) >= expect.replicas,
    fix: ({ expect }, { store }) => ({
      action: "advise",
      advice: `set ${store.config.name} to ${expect.replicas} replicas: contractMode ensure does at the next update`,
    }),
    ensure: ({ expect }, { store }) => ({
      action: "edit-store",
      store: store.config.name,
      patch: { num_replicas: expect.replicas },
    }),
  },
];
