import * as fs from "node:fs";
import * as path from "node:path";
import * as grpc from "@grpc/grpc-js";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import { ResourceProviderClient } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as rpc from "@pulumi/pulumi/proto/provider_pb";
import { Status } from "@pulumi/pulumi/proto/status_pb";
import { fromStruct, isObject, type Json, type JsonObject, textAt } from "../../../embedded/plugin/wire";

export const RECORDINGS = path.join(__dirname, "recordings");

/** One recorded call and what the official plugin answered. */
export interface RecordedCall {
  readonly file: string;
  /** Position in its file, from 1. */
  readonly line: number;
  readonly call: string;
  readonly request: JsonObject;
  readonly response: JsonObject | null;
  readonly errors?: string[];
}

export const recordingFiles = (): string[] =>
  fs
    .readdirSync(RECORDINGS)
    .filter((name) => name.endsWith(".jsonl"))
    .sort();

export function recordedCalls(file: string): RecordedCall[] {
  return fs
    .readFileSync(path.join(RECORDINGS, file), "utf8")
    .trim()
    .split("\n")
    .map((text, index) => ({ ...(JSON.parse(text) as Omit<RecordedCall, "file" | "line">), file, line: index + 1 }));
}

/**
 * Everything that may differ between the recorded run and ours without being a difference. An identity is given once
 * and then names the same thing everywhere: where the recording repeats one, ours has to repeat its counterpart.
 */
const VOLATILE: readonly { what: string; pattern: RegExp; identity: boolean }[] = [
  { what: "uid", pattern: /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/, identity: true },
  { what: "field manager", pattern: /pulumi-kubernetes-[0-9a-f]{8}/, identity: true },
  { what: "automatic name", pattern: /\b(?:cm|missing)-[0-9a-f]{8}\b/, identity: true },
  { what: "cluster address", pattern: /\b10\.96\.\d+\.\d+\b/, identity: true },
  { what: "time", pattern: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/, identity: false },
];
/** Keys whose text is volatile as a whole. */
const VOLATILE_KEYS = ["resourceVersion"];
/** Keys of lists whose order is volatile: the API server sorts managers by time, in whole seconds. */
const UNORDERED_KEYS = ["managedFields"];

const ANY_VOLATILE = new RegExp(VOLATILE.map(({ pattern }) => `(${pattern.source})`).join("|"), "g");

/** One place where our answer is not the recorded one. */
export interface Difference {
  /** `03-update-preview.jsonl:12 Create cm` */
  readonly where: string;
  readonly path: string;
  readonly recorded: Json | undefined;
  readonly ours: Json | undefined;
}

export const printed = ({ where, path: at, recorded, ours }: Difference): string =>
  `${where} ${at}\n    recorded ${JSON.stringify(recorded)}\n    ours     ${JSON.stringify(ours)}`;

/** What stands in the recording, and what stands for it in our run. */
export class Counterparts {
  private readonly ours = new Map<string, string>();
  private readonly recorded = new Map<string, string>();

  constructor(
    /** What stands in the recordings as `<dir>`. */
    private readonly dir: string,
  ) {}

  /** Recorded values with the names of our run. */
  translate(value: Json): Json {
    if (typeof value === "string") {
      return value.replaceAll("<dir>", this.dir).replace(ANY_VOLATILE, (token) => this.ours.get(token) ?? token);
    }
    if (Array.isArray(value)) return value.map((item) => this.translate(item));
    if (!isObject(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.translate(item)]));
  }

  /** Every place where `ours` differs from `recorded`; new identities are remembered as counterparts. */
  compare(where: string, recorded: Json | undefined, ours: Json | undefined, at = ""): Difference[] {
    const difference = [{ where, path: at, recorded, ours }];
    if (isObject(recorded) && isObject(ours)) {
      return [...new Set([...Object.keys(recorded), ...Object.keys(ours)])].flatMap((key) =>
        VOLATILE_KEYS.includes(key) && typeof recorded[key] === "string" && typeof ours[key] === "string"
          ? []
          : this.compare(where, recorded[key], ours[key], at ? `${at}.${key}` : key),
      );
    }
    if (Array.isArray(recorded) && Array.isArray(ours)) {
      const unordered = UNORDERED_KEYS.some((key) => at.endsWith(`.${key}`));
      const [left, right] = unordered ? [byManager(recorded), byManager(ours)] : [recorded, ours];
      return Array.from({ length: Math.max(left.length, right.length) }).flatMap((_, index) =>
        this.compare(where, left[index], right[index], `${at}[${index}]`),
      );
    }
    if (typeof recorded === "string" && typeof ours === "string") {
      return this.sameText(recorded, ours) ? [] : difference;
    }
    return recorded === ours ? [] : difference;
  }

  private sameText(recorded: string, ours: string): boolean {
    const split = (text: string) => ({
      rest: text.replace(ANY_VOLATILE, (token) => `<${kindOf(token).what}>`),
      tokens: text.match(ANY_VOLATILE) ?? [],
    });
    const left = split(recorded);
    const right = split(ours.replaceAll(this.dir, "<dir>"));
    if (left.rest !== right.rest) return false;
    return left.tokens.every((token, index) => {
      const mine = right.tokens[index] as string;
      if (!kindOf(token).identity) return true;
      const known = this.ours.get(token);
      if (known !== undefined || this.recorded.has(mine)) return known === mine;
      this.ours.set(token, mine);
      this.recorded.set(mine, token);
      return true;
    });
  }
}

function byManager(entries: readonly Json[]): Json[] {
  const rank = (entry: Json) =>
    `${textAt(entry, "manager")} ${textAt(entry, "operation")} ${textAt(entry, "subresource")}`;
  return [...entries].sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
}

const kindOf = (token: string) =>
  VOLATILE.find(({ pattern }) => token.match(pattern)?.[0] === token) as (typeof VOLATILE)[number];

const REQUESTS = {
  CheckConfig: rpc.CheckRequest,
  DiffConfig: rpc.DiffRequest,
  Configure: rpc.ConfigureRequest,
  Check: rpc.CheckRequest,
  Diff: rpc.DiffRequest,
  Create: rpc.CreateRequest,
  Read: rpc.ReadRequest,
  Update: rpc.UpdateRequest,
  Delete: rpc.DeleteRequest,
  Cancel: Empty,
} as const;
type CallName = keyof typeof REQUESTS;

/** The request as the engine sends it. @throws Error for a property that the protocol does not know. */
function toMessage(call: CallName, request: JsonObject): object {
  const message = new REQUESTS[call]();
  const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(message));
  for (const [key, value] of Object.entries(request)) {
    const method = methods.find((name) => name.toLowerCase() === `set${key}`.toLowerCase());
    const map = methods.find((name) => name.toLowerCase() === `get${key}map`.toLowerCase());
    const call = (name: string, ...args: unknown[]): unknown =>
      (message as unknown as Record<string, (...args: unknown[]) => unknown>)[name]?.(...args);
    if (map && isObject(value)) {
      const entries = call(map) as Map<string, Json>;
      for (const [name, item] of Object.entries(value)) entries.set(name, item);
    } else if (method) {
      call(method, isObject(value) ? Struct.fromJavaScript(value) : value);
    } else {
      throw new Error(`the protocol has no ${key} in a request of ${call.name}`);
    }
  }
  return message;
}

const DIFF_CHANGES = ["DIFF_UNKNOWN", "DIFF_NONE", "DIFF_SOME"];
const DIFF_KINDS = ["ADD", "ADD_REPLACE", "DELETE", "DELETE_REPLACE", "UPDATE", "UPDATE_REPLACE"];

/** Without what a recording leaves out: default values of the protocol. */
function withoutDefaults(value: Record<string, Json | undefined>): JsonObject {
  return Object.fromEntries(
    Object.entries(value).filter(
      (entry): entry is [string, Json] =>
        entry[1] !== undefined && entry[1] !== "" && entry[1] !== false && entry[1] !== 0 && !isEmptyList(entry[1]),
    ),
  );
}
const isEmptyList = (value: Json): boolean => Array.isArray(value) && value.length === 0;

/** An answer in the form of the recordings. */
function fromMessage(message: unknown): JsonObject {
  const struct = (value: Struct | undefined): JsonObject | undefined => value && fromStruct(value);
  if (message instanceof rpc.CheckResponse) {
    const failures = message
      .getFailuresList()
      .map((each) => withoutDefaults({ property: each.getProperty(), reason: each.getReason() }));
    return withoutDefaults({ inputs: struct(message.getInputs()), failures });
  }
  if (message instanceof rpc.DiffResponse) {
    const detailedDiff: JsonObject = {};
    message.getDetaileddiffMap().forEach((detail: rpc.PropertyDiff, at: string) => {
      const kind = DIFF_KINDS[detail.getKind()] as string;
      detailedDiff[at] = withoutDefaults({ kind: kind === "ADD" ? "" : kind, inputDiff: detail.getInputdiff() });
    });
    return withoutDefaults({
      changes: DIFF_CHANGES[message.getChanges()],
      deleteBeforeReplace: message.getDeletebeforereplace(),
      detailedDiff: Object.keys(detailedDiff).length > 0 ? detailedDiff : undefined,
      diffs: [...message.getDiffsList()],
      hasDetailedDiff: message.getHasdetaileddiff(),
      replaces: [...message.getReplacesList()],
      stables: [...message.getStablesList()],
    });
  }
  if (message instanceof rpc.ConfigureResponse) {
    return withoutDefaults({
      acceptOutputs: message.getAcceptoutputs(),
      acceptResources: message.getAcceptresources(),
      acceptSecrets: message.getAcceptsecrets(),
      supportsAutonamingConfiguration: message.getSupportsAutonamingConfiguration(),
      supportsPreview: message.getSupportspreview(),
    });
  }
  if (message instanceof rpc.CreateResponse) {
    return withoutDefaults({ id: message.getId(), properties: struct(message.getProperties()) });
  }
  if (message instanceof rpc.ReadResponse) {
    return withoutDefaults({
      id: message.getId(),
      inputs: struct(message.getInputs()),
      properties: struct(message.getProperties()),
    });
  }
  if (message instanceof rpc.UpdateResponse) return withoutDefaults({ properties: struct(message.getProperties()) });
  if (message instanceof Empty) return {};
  throw new Error("an answer of an unknown kind");
}

/** What the engine would keep of a resource whose change failed half-way. */
function partialState(error: grpc.ServiceError): JsonObject | undefined {
  const [bytes] = error.metadata.get("grpc-status-details-bin");
  if (!bytes) return undefined;
  const [any] = Status.deserializeBinary(Buffer.from(bytes as Uint8Array)).getDetailsList();
  const detail = any?.unpack(
    (value) => rpc.ErrorResourceInitFailed.deserializeBinary(value),
    "pulumirpc.ErrorResourceInitFailed",
  );
  if (!detail) return undefined;
  const inputs = detail.getInputs();
  return { properties: fromStruct(detail.getProperties()), ...(inputs && { inputs: fromStruct(inputs) }) };
}

/** A plugin that listens on an address, for one run of the engine. */
export interface Session {
  readonly address: string;
  close(): void;
}

/** Sends recorded calls to a plugin and compares what it answers. */
export class Replay {
  readonly differences: Difference[] = [];
  /** Calls replayed so far, by file. */
  readonly counts: Record<string, number> = {};
  private session: (Session & { client: ResourceProviderClient }) | undefined;
  /** What our answer leaves of resources whose change failed, by URN, until the recording shows what was kept. */
  private readonly leftBehind = new Map<string, { where: string; state: Json }>();

  /** `open` gives a session at the first call and after each Cancel, the last call of a run of the engine. */
  constructor(
    private readonly open: () => Promise<Session>,
    private readonly counterparts: Counterparts,
  ) {}

  private async client(): Promise<ResourceProviderClient> {
    if (!this.session) {
      const session = await this.open();
      const client = new ResourceProviderClient(session.address, grpc.credentials.createInsecure(), {
        "grpc.max_receive_message_length": -1,
      });
      this.session = { ...session, client };
    }
    return this.session.client;
  }

  async call(recorded: RecordedCall): Promise<void> {
    const { file, line, call, request } = recorded;
    const where = `${file}:${line} ${call}${textAt(request, "name") ? ` ${textAt(request, "name")}` : ""}`;
    this.counts[file] = (this.counts[file] ?? 0) + 1;
    this.compareLeftBehind(request);
    const { response, errors, state } = await this.send(call as CallName, request);
    if (call === "Cancel") this.close();
    if (recorded.errors && (call === "Create" || call === "Update")) {
      // Without inputs in the answer the engine keeps those it had.
      const inputs = state?.inputs ?? this.counterparts.translate(request.oldInputs ?? null);
      this.leftBehind.set(textAt(request, "urn") ?? "", { where, state: { ...state, inputs } });
    }
    const expected = withoutDefaults({ response: recorded.response ?? undefined, errors: recorded.errors ?? [] });
    this.differences.push(
      ...this.counterparts.compare(where, expected, withoutDefaults({ response, errors: errors ?? [] })),
    );
  }

  private compareLeftBehind(request: JsonObject): void {
    const urn = textAt(request, "urn") ?? "";
    const left = this.leftBehind.get(urn);
    // Only a request that names an id carries the whole state.
    if (!left || request.id === undefined) return;
    const kept = { properties: request.olds ?? request.properties ?? null, inputs: request.oldInputs ?? null };
    this.leftBehind.delete(urn);
    this.differences.push(...this.counterparts.compare(`${left.where} (state kept)`, kept, left.state));
  }

  private async send(
    call: CallName,
    request: JsonObject,
  ): Promise<{ response?: JsonObject; errors?: string[]; state?: JsonObject }> {
    const message = toMessage(call, this.counterparts.translate(request) as JsonObject);
    const method = (call.charAt(0).toLowerCase() + call.slice(1)) as "create";
    const client = await this.client();
    return new Promise((resolve) => {
      client[method](message as rpc.CreateRequest, (error: grpc.ServiceError | null, answer: unknown) =>
        resolve(
          error
            ? {
                errors: [`rpc error: code = ${codeName(error.code)} desc = ${error.details}`],
                state: partialState(error),
              }
            : { response: fromMessage(answer) },
        ),
      );
    });
  }

  close(): void {
    this.session?.client.close();
    this.session?.close();
    this.session = undefined;
  }
}

/** `DEADLINE_EXCEEDED` -> `DeadlineExceeded`, as Go prints it. */
function codeName(code: grpc.status): string {
  return grpc.status[code]
    .toLowerCase()
    .split("_")
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join("");
}
