/** What the rules look at, what they answer, and how they name things. */
import type { ContractInputs } from "../../../contract/inputs";
import type { RawChange } from "../compare";
import { keysOf, nameOf, type Step } from "../path";
import type { DeclaredResource } from "../evaluation";
import type { Masker } from "../../../contract/mask";
import { titleOf, type KubeObject } from "../objects";
import { touches } from "../replacement";
import type { ContractReport, Level, Operation, Risk, SettingChange } from "../report";
import { resourceTitle } from "../wording";

/** A resource that changes, with the raw differences of its inputs. */
export interface ResourceDelta {
  readonly op: Operation;
  readonly old?: DeclaredResource;
  readonly new?: DeclaredResource;
  readonly changes: readonly RawChange[];
  readonly because: readonly string[];
}

/** An object that changes, with its raw differences. */
export interface ObjectDelta {
  readonly op: Operation;
  readonly old?: KubeObject;
  readonly new?: KubeObject;
  readonly rendered: boolean;
  readonly restarts: boolean;
  readonly changes: readonly RawChange[];
}

export interface ReleaseDelta {
  readonly name: string;
  readonly oldVersion?: string;
  readonly newVersion?: string;
}

/** Everything that the rules look at. */
export interface Facts {
  readonly resources: readonly ResourceDelta[];
  readonly objects: readonly ObjectDelta[];
  readonly releases: readonly ReleaseDelta[];
  readonly settings: readonly SettingChange[];
  readonly contract: ContractReport;
  readonly oldContract?: ContractInputs;
  readonly newContract?: ContractInputs;
  /** All objects of the working tree. */
  readonly newObjects: readonly KubeObject[];
  readonly masker: Masker;
}

/** What a rule finds. */
export type Finding = Omit<Risk, "rule">;

/** One rule of the table. */
export interface RiskRule {
  readonly id: string;
  /** What it warns of. */
  readonly warns: string;
  readonly find: (facts: Facts) => readonly Finding[];
}

const finding =
  (level: Level) =>
  (subject: string, text: string): Finding => ({ level, subject, text });
export const danger = finding("danger");
export const warning = finding("warning");
export const notice = finding("notice");

export const objectName = (delta: { old?: KubeObject; new?: KubeObject }): string => {
  const object = delta.new ?? delta.old;
  return object ? titleOf(object) : "?";
};
export const kindOf = (delta: { old?: KubeObject; new?: KubeObject }): string => (delta.new ?? delta.old)?.kind ?? "";
export const resourceName = (delta: ResourceDelta): string => {
  const resource = delta.new ?? delta.old;
  return resource ? resourceTitle(resource) : "?";
};
export const typeOf = (delta: ResourceDelta): string => (delta.new ?? delta.old)?.type ?? "";
/** True where the change lies at, below or above one of the dotted prefixes. */
export const at = (change: RawChange, ...prefixes: string[]): boolean => touches(keysOf(change.path), prefixes);

/** The field that changed. */
export const lastKey = (path: readonly Step[]): string => String(keysOf(path).at(-1) ?? "");
/** The field, or the variable whose value it is. */
export const nameOfPath = (path: readonly Step[]): string => nameOf(path) || lastKey(path);
