/** The result of a comparison, which every format presents. Its JSON is the `--format json` output. */
import type { FieldChange, Scalar } from "./compare";
import type { Side } from "./errors";

export type { FieldChange, Scalar } from "./compare";

/** What happens to a resource or an object. */
export type Operation = "create" | "update" | "replace" | "delete";
export const OPERATIONS: readonly Operation[] = ["create", "update", "replace", "delete"];

export type Counts = Record<Operation, number>;

/** `danger`: data, credentials or the deployment itself may be lost. `warning`: look twice. `notice`: good to know. */
export type Level = "danger" | "warning" | "notice";
export const LEVELS: readonly Level[] = ["danger", "warning", "notice"];

/** A change that deserves a second look. */
export interface Risk {
  /** Which rule found it, for example `volume-claim-template`. */
  readonly rule: string;
  readonly level: Level;
  /** The resource or object it is about. */
  readonly subject: string;
  /** What changes and what that means. */
  readonly text: string;
}

/** One term of the contract between NoETL and NATS that changes. */
export interface ContractChange {
  /** `stream`, `subject`, `consumer`, `retention`, ... */
  readonly term: string;
  readonly old: string;
  readonly new: string;
  /** What follows for a running NoETL. */
  readonly consequence: string;
}

/** A rule of the contract that the stream of the base revision would break after the change. */
export interface BrokenRule {
  readonly rule: string;
  /** What the rule looks at. */
  readonly checks: string;
  readonly severity: "violation" | "drift";
  readonly found: string;
  readonly expected: string;
  readonly why: string;
}

export interface ContractReport {
  readonly changes: readonly ContractChange[];
  /** Judged against the stream and consumer that the base revision left behind. */
  readonly broken: readonly BrokenRule[];
  /** Commands that fix the broken rules, in order: after the deployment, or before it where it is refused. */
  readonly fix: readonly string[];
  /** True where mode `ensure` fails the update before it changes anything. */
  readonly refused: boolean;
}

/** A changed setting of the stack. */
export interface SettingChange extends Pick<FieldChange, "op" | "old" | "new" | "note"> {
  readonly key: string;
}

export interface EnvironmentRow {
  readonly name: string;
  readonly old?: Scalar;
  readonly new?: Scalar;
  /** Where the container gets it from: `ConfigMap noetl-server-config`, `Secret ...`, `literal`. */
  readonly source: string;
  readonly changed: boolean;
  readonly note?: string;
}

/** The environment of one workload's container, both sides. */
export interface EnvironmentTable {
  /** `server`, `worker` or `gateway`. */
  readonly workload: string;
  /** `Deployment noetl/noetl-server` */
  readonly object: string;
  readonly rows: readonly EnvironmentRow[];
}

export interface ResourceChange {
  readonly op: Operation;
  readonly urn: string;
  readonly type: string;
  readonly name: string;
  /** The part of the installation it belongs to; see {@link PartName}. */
  readonly part: PartName;
  /** Paths that force the replacement. */
  readonly because: readonly string[];
  /** The URN that it had before, where the program says so. */
  readonly was?: string;
  readonly protected?: boolean;
  /** Changed inputs. Empty for an object of Kubernetes, whose fields stand in `objects`. */
  readonly changes: readonly FieldChange[];
}

export interface ObjectChange {
  readonly op: Operation;
  readonly apiVersion: string;
  readonly kind: string;
  /** Undefined for kinds that have none. */
  readonly namespace?: string;
  readonly name: string;
  readonly part: PartName;
  /** Resource of the program that brings it. */
  readonly owner: string;
  /** True where Helm makes it. */
  readonly rendered: boolean;
  /** True for a hook of the chart. */
  readonly hook?: boolean;
  /** True where the pods of a workload restart. */
  readonly restarts?: boolean;
  readonly changes: readonly FieldChange[];
}

/** Parts of the installation, in the order in which they are shown. */
export const PARTS = ["cloud", "nats", "database", "server", "worker", "gateway", "contract", "stack"] as const;
export type PartName = (typeof PARTS)[number];

/** A part in the picture. */
export interface Part {
  readonly name: PartName;
  readonly title: string;
  /** Undefined where nothing of it changes. */
  readonly change?: Operation;
  /** Resources and objects of it that change. */
  readonly touched: number;
  /** Workloads of it whose pods restart. */
  readonly restarts: number;
}

/** A path that differs, the engine's word for how, and of the stream contract the masked values. */
export interface LiveDifference extends Pick<FieldChange, "old" | "new"> {
  readonly path: string;
  /** `add`, `update`, `delete`, or one of these with `-replace`. */
  readonly kind: string;
}

/** One step of the engine's own preview. */
export interface LiveStep {
  readonly urn: string;
  readonly type: string;
  readonly name: string;
  readonly op: string;
  /** What the engine says differs, sorted by path. */
  readonly differences: readonly LiveDifference[];
  readonly replaceReasons: readonly string[];
}

/** The engine's preview of the deployed stack (`--live`). */
export interface LiveReport {
  readonly steps: readonly LiveStep[];
  /** What a refresh found to differ from the state; undefined where none was asked for. */
  readonly drift?: readonly LiveStep[];
  readonly counts: Readonly<Record<string, number>>;
  /** Warnings and errors of the engine, masked. */
  readonly diagnostics: readonly string[];
}

export interface Failure {
  readonly side?: Side;
  readonly message: string;
}

interface Header {
  /** Grows when a field changes its meaning or goes. */
  readonly schemaVersion: 1;
  readonly project: string;
  readonly stack: string;
  readonly base: { readonly ref: string; readonly commit: string };
  readonly head: { readonly commit: string; readonly uncommitted: readonly string[] };
}

export interface ChangeReport extends Header {
  readonly status: "ok";
  /** One sentence. */
  readonly summary: string;
  readonly counts: {
    readonly resources: Counts;
    readonly objects: Counts;
    readonly risks: Record<Level, number>;
  };
  readonly risks: readonly Risk[];
  readonly contract: ContractReport;
  readonly settings: readonly SettingChange[];
  readonly environment: readonly EnvironmentTable[];
  readonly resources: readonly ResourceChange[];
  readonly objects: readonly ObjectChange[];
  /** Outputs of the stack. */
  readonly outputs: readonly FieldChange[];
  readonly parts: readonly Part[];
  /** Workloads whose pods restart. */
  readonly restarts: readonly string[];
  /** What the comparison could not see, and fields that change at every rendering. */
  readonly notes: readonly string[];
  readonly live?: LiveReport;
}

/** The comparison did not come about; never mixed with half a comparison. */
export interface FailureReport extends Header {
  readonly status: "failed";
  readonly summary: string;
  readonly failures: readonly Failure[];
}

export type Report = ChangeReport | FailureReport;
