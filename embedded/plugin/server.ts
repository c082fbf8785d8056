import * as grpc from "@grpc/grpc-js";
import { Any } from "google-protobuf/google/protobuf/any_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import * as plugin from "@pulumi/pulumi/proto/plugin_pb";
import * as rpc from "@pulumi/pulumi/proto/provider_pb";
import { ResourceProviderService } from "@pulumi/pulumi/proto/provider_grpc_pb";
import { Status } from "@pulumi/pulumi/proto/status_pb";
import { type DiffAnswer, formatPath } from "./diff";
import { fromStruct, isObject, type JsonObject, toStruct, unwrap } from "./wire";

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

function asServiceError(error: unknown): grpc.ServerErrorResponse {
  const message = error instanceof Error ? error.message : String(error);
  const metadata = new grpc.Metadata();
  if (error instanceof InitFailed) {
    const detail = new rpc.ErrorResourceInitFailed();
    detail.setId(error.id).setProperties(toStruct(error.properties));
    detail.setReasonsList([message]);
    const any = new Any();
    any.pack(detail.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
    const status = new Status();
    status.setCode(grpc.status.UNKNOWN).setMessage(message).addDetails(any);
    metadata.add("grpc-status-details-bin", Buffer.from(status.serializeBinary()));
  }
  return Object.assign(new Error(message), { code: grpc.status.UNKNOWN, details: message, metadata });
}

function diffResponse(answer: DiffAnswer): rpc.DiffResponse {
  const response = new rpc.DiffResponse();
  const { NONE, SOME } = {
    NONE: rpc.DiffResponse.DiffChanges.DIFF_NONE,
    SOME: rpc.DiffResponse.DiffChanges.DIFF_SOME,
  };
  response.setChanges(answer.changes.length > 0 ? SOME : NONE).setHasdetaileddiff(answer.detailed ?? true);
  const kinds = rpc.PropertyDiff.Kind;
  for (const { path, kind, replace } of answer.changes) {
    const detail = new rpc.PropertyDiff();
    detail.setKind(replace ? kinds[`${kind}_REPLACE`] : kinds[kind]);
    response.getDetaileddiffMap().set(formatPath(path), detail);
    if (replace) response.addReplaces(formatPath(path));
  }
  response.setDeletebeforereplace(answer.deleteBeforeReplace ?? false).setDiffsList([...(answer.diffs ?? [])]);
  return response;
}

interface Session {
  resources: (type: string) => Resource;
  abort: AbortController;
}

/** What all requests about a resource have in common. */
interface Addressed {
  getUrn(): string;
  getType(): string;
  getName(): string;
}

/** Serves one plugin on a free port of the loopback interface. */
export async function serve(standIn: StandIn, log: (line: string) => void): Promise<{ port: number; stop(): void }> {
  // Every provider resource of a program attaches to the same port by a connection of its own, and requests do not say
  // which provider they mean: the connection tells.
  const sessions = new Map<string, Session>();
  let latest: Session | undefined;

  function sessionOf(peer: string): Session {
    const session = sessions.get(peer) ?? latest;
    if (!session) throw new Error(`the ${standIn.name} plugin was asked before it was configured`);
    return session;
  }

  function addressed(peer: string, request: Addressed): { call: Call; resource: Resource } {
    const session = sessionOf(peer);
    const urn = request.getUrn();
    const type = request.getType() || (urn.split("::")[2] ?? "").split("$").at(-1) || "";
    const name = request.getName() || (urn.split("::").at(-1) ?? "");
    return { call: { urn, type, name, signal: session.abort.signal }, resource: session.resources(type) };
  }

  type Handler<Q, A> = (request: Q, peer: string) => Promise<A> | A;
  const unary =
    <Q, A>(name: string, handler: Handler<Q, A>): grpc.handleUnaryCall<Q, A> =>
    (call, callback) => {
      Promise.resolve()
        .then(() => handler(call.request, call.getPeer()))
        .then(
          (answer) => callback(null, answer),
          (error: unknown) => {
            const failure = asServiceError(error);
            log(`${standIn.name}: ${name}: ${failure.message}`);
            callback(failure);
          },
        );
    };
  const milliseconds = (seconds: number): number | undefined => (seconds > 0 ? seconds * 1000 : undefined);

  const server = new grpc.Server({ "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 });
  server.addService(ResourceProviderService, {
    attach: unary("Attach", () => new Empty()),
    getPluginInfo: unary("GetPluginInfo", () => new plugin.PluginInfo().setVersion(standIn.version)),
    checkConfig: unary("CheckConfig", (request: rpc.CheckRequest) =>
      new rpc.CheckResponse().setInputs(request.getNews()),
    ),
    diffConfig: unary("DiffConfig", (request: rpc.DiffRequest) => {
      const olds = fromStruct(request.getOldInputs() ?? request.getOlds());
      const news = fromStruct(request.getNews());
      const changed = JSON.stringify(unwrap(olds)) !== JSON.stringify(unwrap(news));
      const { DIFF_NONE, DIFF_SOME } = rpc.DiffResponse.DiffChanges;
      return new rpc.DiffResponse().setChanges(changed ? DIFF_SOME : DIFF_NONE);
    }),
    configure: unary("Configure", (request: rpc.ConfigureRequest, peer) => {
      const resources = standIn.configure(unwrap(fromStruct(request.getArgs())));
      latest = { resources, abort: new AbortController() };
      sessions.set(peer, latest);
      return new rpc.ConfigureResponse()
        .setAcceptsecrets(true)
        .setSupportspreview(true)
        .setSupportsAutonamingConfiguration(true);
    }),
    cancel: unary("Cancel", (_: Empty, peer) => {
      const session = sessions.get(peer);
      session?.abort.abort(new Error("cancelled by the engine"));
      sessions.delete(peer);
      return new Empty();
    }),
    invoke: unary("Invoke", async (request: rpc.InvokeRequest) => {
      const token = request.getTok();
      if (!standIn.call)
        throw new Error(`the stand-in for the ${standIn.name} plugin does not know the function ${token}`);
      const result = await standIn.call(token, unwrap(fromStruct(request.getArgs())));
      return new rpc.InvokeResponse().setReturn(toStruct(result));
    }),
    check: unary("Check", async (request: rpc.CheckRequest, peer) => {
      const { call, resource } = addressed(peer, request);
      const { inputs, failures } = await resource.check({
        ...call,
        olds: fromStruct(request.getOlds()),
        news: fromStruct(request.getNews()),
        seed: request.getRandomseed_asU8(),
        proposedName: request.getAutonaming()?.getProposedName() || undefined,
      });
      const response = new rpc.CheckResponse().setInputs(toStruct(inputs));
      for (const { property, reason } of failures ?? []) {
        response.addFailures(new rpc.CheckFailure().setProperty(property).setReason(reason));
      }
      return response;
    }),
    diff: unary("Diff", async (request: rpc.DiffRequest, peer) => {
      const { call, resource } = addressed(peer, request);
      const olds = fromStruct(request.getOlds());
      return diffResponse(
        await resource.diff({
          ...call,
          id: request.getId(),
          olds,
          oldInputs: fromStruct(request.getOldInputs()),
          news: fromStruct(request.getNews()),
        }),
      );
    }),
    create: unary("Create", async (request: rpc.CreateRequest, peer) => {
      const { call, resource } = addressed(peer, request);
      const { id, properties } = await resource.create({
        ...call,
        preview: request.getPreview(),
        timeoutMs: milliseconds(request.getTimeout()),
        inputs: fromStruct(request.getProperties()),
      });
      return new rpc.CreateResponse().setId(id).setProperties(toStruct(properties));
    }),
    read: unary("Read", async (request: rpc.ReadRequest, peer) => {
      const { call, resource } = addressed(peer, request);
      const found = await resource.read({
        ...call,
        id: request.getId(),
        inputs: fromStruct(request.getInputs()),
        properties: fromStruct(request.getProperties()),
      });
      if (!found) return new rpc.ReadResponse();
      const { id, inputs, properties } = found;
      return new rpc.ReadResponse().setId(id).setInputs(toStruct(inputs)).setProperties(toStruct(properties));
    }),
    update: unary("Update", async (request: rpc.UpdateRequest, peer) => {
      const { call, resource } = addressed(peer, request);
      const properties = await resource.update({
        ...call,
        id: request.getId(),
        preview: request.getPreview(),
        timeoutMs: milliseconds(request.getTimeout()),
        olds: fromStruct(request.getOlds()),
        oldInputs: fromStruct(request.getOldInputs()),
        news: fromStruct(request.getNews()),
      });
      return new rpc.UpdateResponse().setProperties(toStruct(properties));
    }),
    delete: unary("Delete", async (request: rpc.DeleteRequest, peer) => {
      const { call, resource } = addressed(peer, request);
      await resource.delete({
        ...call,
        id: request.getId(),
        timeoutMs: milliseconds(request.getTimeout()),
        olds: fromStruct(request.getProperties()),
        inputs: fromStruct(request.getOldInputs()),
      });
      return new Empty();
    }),
  });

  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return {
    port,
    stop() {
      for (const session of sessions.values()) session.abort.abort(new Error("the plugin is being stopped"));
      server.forceShutdown();
    },
  };
}
