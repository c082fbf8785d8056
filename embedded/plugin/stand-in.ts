/** What a stand-in for a plugin is: resources, and what the engine asks about them. */
import type { DiffAnswer } from "./diff";
import { isObject, type JsonObject, unwrap } from "./wire";

/** What every call about a resource says. */
export interface Call {
  readonly urn: string;
  readonly type: string;
  /** Name within the program: the last part of the URN. */
  readonly name: string;
  /** Ends when the engine cancels. */
  readonly signal: AbortSignal;
}

export interface CheckCall extends Call {
  readonly olds: JsonObject;
  readonly news: JsonObject;
  /** Same for the same resource and run, so that an automatic name can be repeated. */
  readonly seed: Uint8Array;
  readonly proposedName?: string;
}

export interface DiffCall extends Call {
  readonly id: string;
  readonly oldInputs: JsonObject;
  readonly olds: JsonObject;
  readonly news: JsonObject;
}

/** Inputs of the last attempt to change the resource; the state's own inputs are those of the last success. */
export function lastInputs(call: DiffCall): JsonObject {
  const { __inputs } = unwrap(call.olds);
  return isObject(__inputs) ? __inputs : unwrap(call.oldInputs);
}

export interface ChangeCall extends Call {
  readonly preview: boolean;
  /** Milliseconds from `customTimeouts`, undefined where none is set. */
  readonly timeoutMs: number | undefined;
}

export type CreateCall = ChangeCall & { readonly inputs: JsonObject };
export type UpdateCall = ChangeCall & {
  readonly id: string;
  readonly olds: JsonObject;
  readonly oldInputs: JsonObject;
  readonly news: JsonObject;
};
export type DeleteCall = Omit<ChangeCall, "preview"> & {
  readonly id: string;
  readonly olds: JsonObject;
  readonly inputs: JsonObject;
};
export type ReadCall = Call & { readonly id: string; readonly inputs: JsonObject; readonly properties: JsonObject };

type Awaitable<T> = T | Promise<T>;

/** How one kind of resource is managed. */
export interface Resource {
  check(
    call: CheckCall,
  ): Awaitable<{ inputs: JsonObject; failures?: readonly { readonly property: string; readonly reason: string }[] }>;
  diff(call: DiffCall): Awaitable<DiffAnswer>;
  create(call: CreateCall): Awaitable<{ id: string; properties: JsonObject }>;
  /** Undefined where the resource is gone. */
  read(call: ReadCall): Awaitable<{ id: string; inputs: JsonObject; properties: JsonObject } | undefined>;
  update(call: UpdateCall): Awaitable<JsonObject>;
  delete(call: DeleteCall): Awaitable<void>;
}

/** One plugin: what the engine configures once and then asks about resources. */
export interface StandIn {
  readonly name: string;
  readonly version: string;
  /** Resources under one configuration. Called once per provider resource and run; must not touch a cluster. */
  configure(args: JsonObject): (type: string) => Resource;
  /** Functions of the plugin by token; none by default. */
  call?(token: string, args: JsonObject): Awaitable<JsonObject>;
}

/**
 * The change happened, but the resource is not what it should be: the engine reports the error, keeps `properties` and
 * changes the resource again in the next run. The inputs in its state stay those of the last success, as the official
 * plugin leaves them; `__inputs` in the properties are the new ones.
 */
export class InitFailed extends Error {
  constructor(
    message: string,
    readonly id: string,
    readonly properties: JsonObject,
  ) {
    super(message);
  }
}

/** The error for a resource type that a stand-in does not know. */
export const unknownType = (plugin: string, type: string): Error =>
  new Error(`the stand-in for the ${plugin} plugin does not know resources of type ${type}`);
