/**
 * Runs one revision's Pulumi program without an engine and tells the parent process what it declares. The program and
 * its packages come from that revision, this file from the working tree, so a revision that predates it can be read too.
 */
// First, because it concerns how the program's SDK is loaded.
import "../shared/late-libraries";
import { createRequire } from "node:module";
import * as path from "node:path";
import { LOCATIONS } from "../../contract/facts";
import type { DeclaredResource, Evaluation, EvaluationAnswer, EvaluationRequest } from "./evaluation";
import { stateOf } from "./outputs";
import { Placeholders, UNKNOWN } from "../../contract/mask/placeholders";
import { loadTypeScript } from "./typescript";

type Pulumi = typeof import("@pulumi/pulumi");

/** The part of a registration that is read; older SDKs lack some of it. */
interface Registration {
  getType(): string;
  getName(): string;
  getParent(): string;
  getCustom?(): boolean;
  getRemote?(): boolean;
  getObject?(): { toJavaScript(): Record<string, unknown> } | undefined;
  getProperties?(): { toJavaScript(): Record<string, unknown> } | undefined;
  getDependenciesList(): string[];
  getProtect?(): boolean | undefined;
  getReplaceonchangesList?(): string[];
  getIgnorechangesList?(): string[];
  getAliasurnsList?(): string[];
  getAliasesList?(): Alias[];
}

interface Alias {
  hasUrn?(): boolean;
  getUrn(): string;
  getSpec?():
    | {
        getName(): string;
        getType(): string;
        getStack(): string;
        getProject(): string;
        hasParenturn?(): boolean;
        getParenturn(): string;
        getNoparent(): boolean;
      }
    | undefined;
}

type Callback = (error: unknown, response?: { getUrn(): string }) => void;

interface OutputsRegistration {
  getUrn(): string;
  getOutputs(): { toJavaScript(): Record<string, unknown> } | undefined;
}

interface Monitor {
  registerResource: (registration: Registration, callback: Callback) => Promise<void>;
  readResource: (registration: Registration, callback: Callback) => Promise<void>;
  registerResourceOutputs: (
    registration: OutputsRegistration,
    callback: (error: unknown, response?: unknown) => void,
  ) => void;
}

/** Chain of types in a URN; the stack itself is left out of it, as the engine does. */
function typesOf(urn: string): string {
  const types = urn.split("::")[2] ?? "";
  return types === STACK ? "" : types;
}

const STACK = "pulumi:pulumi:Stack";

/** The other URNs that the program says this resource may have had. */
function aliasUrns(registration: Registration, urn: string, real: (mockUrn: string) => string): string[] {
  const [stack = "", project = "", types = "", name = ""] = urn.replace(/^urn:pulumi:/, "").split("::");
  const specs = (registration.getAliasesList?.() ?? []).map((alias) => {
    const spec = alias.getSpec?.();
    if (!spec) return alias.getUrn();
    const parents = spec.getNoparent()
      ? ""
      : spec.getParenturn()
        ? typesOf(real(spec.getParenturn()))
        : types.split("$").slice(0, -1).join("$");
    const type = spec.getType() || (types.split("$").at(-1) ?? "");
    const chain = parents ? `${parents}$${type}` : type;
    return `urn:pulumi:${spec.getStack() || stack}::${spec.getProject() || project}::${chain}::${spec.getName() || name}`;
  });
  return [...(registration.getAliasurnsList?.() ?? []), ...specs].filter(Boolean);
}

/** Key of the guard's program in its ConfigMap. */
const PROGRAM = LOCATIONS.guard.program;

/**
 * What `npm run build` makes of the sources is not known here: of two revisions at most one is built, and a compressed program
 * shows nobody what changed. Its sources are in the pull request.
 */
function withoutProgram(inputs: Record<string, unknown>): Record<string, unknown> {
  const binaryData = inputs.binaryData as Record<string, unknown> | undefined;
  return typeof binaryData === "object" && PROGRAM in binaryData
    ? { ...inputs, binaryData: { ...binaryData, [PROGRAM]: UNKNOWN } }
    : inputs;
}

/** The registrations with the URNs that the engine would give them: the stand-in's leave out all but the nearest parent. */
function declared(
  registrations: readonly { urn: string; registration: Registration; read: boolean }[],
  { stack, project }: EvaluationRequest,
): DeclaredResource[] {
  const urns = new Map<string, string>();
  const real = (urn: string): string => urns.get(urn) ?? urn;
  // A parent registers before its children do.
  for (const { urn, registration } of registrations) {
    const parents = typesOf(real(registration.getParent()));
    const types = parents ? `${parents}$${registration.getType()}` : registration.getType();
    urns.set(urn, `urn:pulumi:${stack}::${project}::${types}::${registration.getName()}`);
  }
  return registrations
    .map(({ urn, registration, read }) => ({
      urn: real(urn),
      type: registration.getType(),
      name: registration.getName(),
      parent: real(registration.getParent()),
      custom: registration.getCustom?.() ?? true,
      inputs: withoutProgram((registration.getObject?.() ?? registration.getProperties?.())?.toJavaScript() ?? {}),
      dependencies: registration.getDependenciesList().map(real).sort(),
      aliases: aliasUrns(registration, real(urn), real),
      protect: registration.getProtect?.() ?? false,
      replaceOnChanges: registration.getReplaceonchangesList?.() ?? [],
      ignoreChanges: registration.getIgnorechangesList?.() ?? [],
      read,
      remote: registration.getRemote?.() ?? false,
    }))
    .sort((a, b) => (a.urn < b.urn ? -1 : 1));
}

async function evaluate(request: EvaluationRequest): Promise<Evaluation> {
  const { root } = request;
  loadTypeScript(root, request.cache);
  const fromProject = createRequire(path.join(root, "package.json"));
  const pulumi = fromProject("@pulumi/pulumi") as Pulumi;
  const placeholders = new Placeholders(request.key);
  const functions = new Set<string>();
  await pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, inputs, id }) => ({
        id: id || placeholders.text("generated", "id", type, name, inputs),
        state: stateOf({ type, name, inputs: inputs as Record<string, unknown> }, placeholders),
      }),
      call: ({ token, inputs }) => {
        functions.add(token);
        return inputs as Record<string, unknown>;
      },
    },
    request.project,
    request.stack,
    // As in a preview, an output that nobody supplies is unknown instead of missing.
    true,
    "organization",
  );
  pulumi.runtime.setAllConfig({ ...request.config }, [...request.secretKeys]);

  const registrations: { urn: string; registration: Registration; read: boolean }[] = [];
  let outputs: Record<string, unknown> = {};
  const monitor = pulumi.runtime.getMonitor() as unknown as Monitor;
  const { registerResource, readResource, registerResourceOutputs } = monitor;
  const recorded = (read: boolean, original: Monitor["registerResource"]) =>
    function (this: void, registration: Registration, callback: Callback): Promise<void> {
      return original.call(monitor, registration, (error, response) => {
        if (response) registrations.push({ urn: response.getUrn(), registration, read });
        callback(error, response);
      });
    };
  monitor.registerResource = recorded(false, registerResource);
  monitor.readResource = recorded(true, readResource);
  monitor.registerResourceOutputs = (registration, callback) => {
    if (registration.getUrn().includes("::pulumi:pulumi:Stack::")) {
      outputs = registration.getOutputs()?.toJavaScript() ?? {};
    }
    registerResourceOutputs.call(monitor, registration, callback);
  };

  await pulumi.runtime.runInPulumiStack(async () => {
    const loaded = fromProject(path.resolve(root, request.main)) as unknown;
    const program: unknown = await loaded;
    return (typeof program === "function" ? await (program as () => unknown)() : program) as Record<string, unknown>;
  });
  await pulumi.runtime.disconnect();
  const resources = declared(registrations, request);
  return { resources, outputs, functions: [...functions].sort(), issued: [...placeholders.issued] };
}

/** What went wrong, with the frames that lie in the program and without the machine's paths. */
function describe(error: unknown, root: string): string {
  if (!(error instanceof Error)) return String(error);
  const frames = (error.stack ?? "")
    .split("\n")
    .filter((line) => /^\s+at /.test(line) && line.includes(root) && !line.includes("node_modules"))
    .slice(0, 3);
  const isDescribed = error.name === "ConfigError" || error.name === "RunError" || error.name === "ResourceError";
  const text = `the program failed: ${error.message}${isDescribed || frames.length === 0 ? "" : `\n${frames.join("\n")}`}`;
  return text.split(`${root}${path.sep}`).join("").split(root).join(".");
}

function answer(message: EvaluationAnswer): void {
  process.send?.(message, undefined, undefined, () => process.exit(0));
}

process.once("message", (message) => {
  const request = message as EvaluationRequest;
  const fail = (error: unknown): void => answer({ failure: describe(error, request.root) });
  // An error in an apply that nobody awaits must fail the evaluation, as it fails the engine's.
  process.once("uncaughtException", fail);
  process.once("unhandledRejection", fail);
  evaluate(request).then((evaluation) => answer({ evaluation }), fail);
});
