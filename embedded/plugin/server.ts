/** The protocol: the engine's requests in, a stand-in's answers and errors out. */
import * as grpc from "@grpc/grpc-js";
import { Any } from "google-protobuf/google/protobuf/any_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import * as plugin from "@pulumi/pulumi/proto/plugin_pb";
import * as rpc from "@pulumi/pulumi/proto/provider_pb";
import { ResourceProviderService } from "@pulumi/pulumi/proto/provider_grpc_pb";
import { Status } from "@pulumi/pulumi/proto/status_pb";
import { formatPath } from "../../commands/diff/path";
import type { DiffAnswer } from "./diff";
import { type Call, InitFailed, type Resource, type StandIn } from "./stand-in";
import { fromStruct, type JsonObject, toStruct, unwrap } from "./wire";

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

/**
 * Which configuration a request means. Every provider resource of a program attaches to the same port by a connection of its
 * own, and requests do not say which provider they mean: the connection tells.
 */
class Sessions {
  private readonly byPeer = new Map<string, Session>();
  private latest: Session | undefined;

  constructor(private readonly standIn: StandIn) {}

  configure(peer: string, args: JsonObject): void {
    this.latest = { resources: this.standIn.configure(args), abort: new AbortController() };
    this.byPeer.set(peer, this.latest);
  }

  cancel(peer: string): void {
    this.byPeer.get(peer)?.abort.abort(new Error("cancelled by the engine"));
    this.byPeer.delete(peer);
  }

  stop(): void {
    for (const { abort } of this.byPeer.values()) abort.abort(new Error("the plugin is being stopped"));
  }

  /** The resource that a request is about. */
  addressed(peer: string, request: Addressed): { call: Call; resource: Resource } {
    const session = this.byPeer.get(peer) ?? this.latest;
    if (!session) throw new Error(`the ${this.standIn.name} plugin was asked before it was configured`);
    const urn = request.getUrn();
    const type = request.getType() || (urn.split("::")[2] ?? "").split("$").at(-1) || "";
    const name = request.getName() || (urn.split("::").at(-1) ?? "");
    return { call: { urn, type, name, signal: session.abort.signal }, resource: session.resources(type) };
  }
}

/** Wraps what answers a request. */
type Unary = <Q, A>(name: string, handler: (request: Q, peer: string) => Promise<A> | A) => grpc.handleUnaryCall<Q, A>;

const unaryOf =
  (standIn: StandIn, log: (line: string) => void): Unary =>
  (name, handler) =>
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

/** Requests about the plugin itself, and its functions. */
const pluginHandlers = (standIn: StandIn, sessions: Sessions, unary: Unary) => ({
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
    sessions.configure(peer, unwrap(fromStruct(request.getArgs())));
    return new rpc.ConfigureResponse()
      .setAcceptsecrets(true)
      .setSupportspreview(true)
      .setSupportsAutonamingConfiguration(true);
  }),
  cancel: unary("Cancel", (_: Empty, peer) => {
    sessions.cancel(peer);
    return new Empty();
  }),
  invoke: unary("Invoke", async (request: rpc.InvokeRequest) => {
    const token = request.getTok();
    if (!standIn.call)
      throw new Error(`the stand-in for the ${standIn.name} plugin does not know the function ${token}`);
    const result = await standIn.call(token, unwrap(fromStruct(request.getArgs())));
    return new rpc.InvokeResponse().setReturn(toStruct(result));
  }),
});

/** Requests about a resource that ask. */
const questionHandlers = (sessions: Sessions, unary: Unary) => ({
  check: unary("Check", async (request: rpc.CheckRequest, peer) => {
    const { call, resource } = sessions.addressed(peer, request);
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
    const { call, resource } = sessions.addressed(peer, request);
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
  read: unary("Read", async (request: rpc.ReadRequest, peer) => {
    const { call, resource } = sessions.addressed(peer, request);
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
});

const milliseconds = (seconds: number): number | undefined => (seconds > 0 ? seconds * 1000 : undefined);

/** Requests about a resource that change something. */
const changeHandlers = (sessions: Sessions, unary: Unary) => ({
  create: unary("Create", async (request: rpc.CreateRequest, peer) => {
    const { call, resource } = sessions.addressed(peer, request);
    const { id, properties } = await resource.create({
      ...call,
      preview: request.getPreview(),
      timeoutMs: milliseconds(request.getTimeout()),
      inputs: fromStruct(request.getProperties()),
    });
    return new rpc.CreateResponse().setId(id).setProperties(toStruct(properties));
  }),
  update: unary("Update", async (request: rpc.UpdateRequest, peer) => {
    const { call, resource } = sessions.addressed(peer, request);
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
    const { call, resource } = sessions.addressed(peer, request);
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

/** Serves one plugin on a free port of the loopback interface. */
export async function serve(standIn: StandIn, log: (line: string) => void): Promise<{ port: number; stop(): void }> {
  const sessions = new Sessions(standIn);
  const unary = unaryOf(standIn, log);
  const server = new grpc.Server({ "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 });
  server.addService(ResourceProviderService, {
    ...pluginHandlers(standIn, sessions, unary),
    ...questionHandlers(sessions, unary),
    ...changeHandlers(sessions, unary),
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return {
    port,
    stop() {
      sessions.stop();
      server.forceShutdown();
    },
  };
}
