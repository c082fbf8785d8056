import * as fs from "node:fs";
import { createRequire } from "node:module";
import * as path from "node:path";
import type { EngineEvent, PulumiCommand, PulumiFn, Stack, StepEventMetadata } from "@pulumi/pulumi/automation";
import { projectRoot } from "../../contract/project";
import { hintFor } from "../shared/engine";
import { requireBinary } from "../shared/binaries";
import { rawChanges, shownChange } from "./compare";
import { isContract } from "./contract-changes";
import { DiffError, messageOf } from "./errors";
import type { Masker } from "../../contract/mask";
import type { LiveReport, LiveStep } from "./report";

/** Steps that only carry another one out, or that change nothing. */
const SILENT = new Set(["same", "read", "refresh", "create-replacement", "delete-replaced", "discard"]);

/** Words of the engine's for what a report calls by its own. */
const shownOp = (op: string): string => op.replace(/-replaced$|-replacement$/, "");

/** A dynamic provider gives no detailed difference: the inputs tell, which a refresh sets to what it found. */
function inputDifferences({ type, old, new: now }: StepEventMetadata, masker: Masker): LiveStep["differences"] {
  if (!old || !now) return [];
  return rawChanges(old.inputs, now.inputs)
    .filter(({ path: [first] }) => first !== "__provider")
    .map((change) => {
      const { path: at, op, old: before, new: after } = shownChange(change, masker);
      const kind = op === "change" ? "update" : op === "remove" ? "delete" : op;
      // Of the stream contract the values are what it is about.
      return { path: at, kind, ...(isContract(type) ? { old: before, new: after } : {}) };
    });
}

function stepOf(metadata: StepEventMetadata, masker: Masker): LiveStep {
  const { urn, type, op } = metadata;
  const detailed = Object.entries(metadata.detailedDiff ?? {}).map(([at, { diffKind }]) => ({
    path: masker.text(at),
    kind: String(diffKind),
  }));
  // Without a detailed difference the provider names properties only, or nothing at all.
  const named = (metadata.diffs ?? []).map((at) => ({ path: masker.text(at), kind: "update" }));
  const differences = [detailed, named].find((list) => list.length > 0) ?? inputDifferences(metadata, masker);
  return {
    urn: masker.urn(urn),
    type,
    name: masker.text(urn.split("::").at(-1) ?? urn),
    op: shownOp(op),
    differences: [...differences].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0)),
    replaceReasons: (metadata.keys ?? []).map((key) => masker.text(key)).sort(),
  };
}

/** A provider that the engine itself declares for resources without one. */
const isDefaultProvider = (urn: string): boolean => /::pulumi:providers:[^:]+::default/.test(urn);

/** What changes, once per resource, sorted by URN. */
function stepsOf(metadata: readonly StepEventMetadata[], masker: Masker): LiveStep[] {
  const steps = metadata
    .filter(({ op, urn }) => !SILENT.has(op) && !isDefaultProvider(urn))
    .map((each) => stepOf(each, masker));
  return [...new Map(steps.map((step) => [step.urn, step])).values()].sort((a, b) => (a.urn < b.urn ? -1 : 1));
}

/** What the engine would do, from the events of a preview. Values are not taken over: paths and kinds are enough. */
function previewSteps(events: readonly EngineEvent[], masker: Masker): LiveStep[] {
  return stepsOf(
    events.flatMap(({ resourcePreEvent }) => resourcePreEvent?.metadata ?? []),
    masker,
  );
}

/** What differs from the state, from the events of a refresh preview: there the result of a step is in its outputs. */
function driftSteps(events: readonly EngineEvent[], masker: Masker): LiveStep[] {
  return stepsOf(
    events.flatMap(({ resOutputsEvent }) => resOutputsEvent?.metadata ?? []),
    masker,
  );
}

/** The engine's remark on every launcher that it finds on PATH, where {@link openLiveStack} has put it. */
const LAUNCHER = /^using pulumi-\S+ from \$PATH at /;

/** Warnings and errors of the engine on one line each, without colours and repetitions. */
function diagnosticsOf(events: readonly EngineEvent[], masker: Masker): string[] {
  const lines = events.flatMap(({ diagnosticEvent: event }) => {
    if (!event || event.ephemeral || (event.severity !== "warning" && event.severity !== "error")) return [];
    const text = event.message.replace(/<\{%.*?%\}>/g, "").trim();
    return text === "" || LAUNCHER.test(text) ? [] : [masker.text(`${event.severity}: ${text}`)];
  });
  return [...new Set(lines)];
}

/**
 * The engine's preview of a stack, and what a refresh would find where `refresh` asks for it.
 *
 * @throws DiffError with the engine's errors where it refuses.
 */
export async function livePreview(
  stack: Stack,
  options: { refresh: boolean; signal?: AbortSignal },
  masker: Masker,
): Promise<LiveReport> {
  const collect = async (work: (onEvent: (event: EngineEvent) => void) => Promise<unknown>): Promise<EngineEvent[]> => {
    const events: EngineEvent[] = [];
    try {
      await work((event) => void events.push(event));
    } catch (error) {
      const said = diagnosticsOf(events, masker).filter((line) => line.startsWith("error"));
      const reason = said.length > 0 ? said.join("\n") : masker.text(commandErrors(error));
      const message = `--live: the engine's preview of the stack ${stack.name} failed:\n${reason}`;
      throw new DiffError([message, hintFor(reason, stack.name)].filter(Boolean).join("\n"), "failed", "head");
    }
    return events;
  };
  const { refresh, signal } = options;
  const events = await collect((onEvent) => stack.preview({ onEvent, refresh, signal }));
  const refreshed = refresh ? await collect((onEvent) => stack.previewRefresh({ onEvent, signal })) : undefined;
  const counts = events.flatMap(({ summaryEvent }) => summaryEvent?.resourceChanges ?? []).at(-1) ?? {};
  return {
    steps: previewSteps(events, masker),
    drift: refreshed ? driftSteps(refreshed, masker) : undefined,
    counts: Object.fromEntries(Object.entries(counts).sort()),
    diagnostics: diagnosticsOf([...events, ...(refreshed ?? [])], masker),
  };
}

/**
 * Selects the real stack, with the backend and the credentials of the environment, and runs this project's program in it.
 *
 * @param folder for the link through which the automation interface finds the pulumi command
 * @throws DiffError where pulumi or the stack is missing.
 */
export async function openLiveStack(args: {
  root: string;
  project: string;
  stack: string;
  folder: string;
}): Promise<Stack> {
  const { root, project, stack, folder } = args;
  if (fs.realpathSync(projectRoot()) !== root) {
    throw new DiffError("--live previews the project that the command belongs to: run it there.", "usage");
  }
  // Loaded here only: the comparison itself does without the SDK in this process.
  const { LocalWorkspace, PulumiCommand: Command } =
    require("@pulumi/pulumi/automation") as typeof import("@pulumi/pulumi/automation");
  // What is previewed is the project's program, as it is compiled there: no part of this command.
  const { main } = createRequire(path.join(root, "package.json"))("./dist/program") as { main: PulumiFn };
  try {
    const pulumiCommand = await commandAt(Command, folder, requireBinary("pulumi"));
    return await LocalWorkspace.selectStack(
      { stackName: stack, projectName: project, program: main },
      {
        workDir: root,
        pulumiCommand,
        envVars: {
          PULUMI_SKIP_UPDATE_CHECK: "true",
          // The SDK's package holds the launcher of dynamic providers.
          PATH: [path.dirname(require.resolve("@pulumi/pulumi/package.json")), process.env.PATH].join(path.delimiter),
        },
      },
    );
  } catch (error) {
    const reason = commandErrors(error);
    const hint = hintFor(reason, stack) || "See that `pulumi stack ls`, run here, names it.";
    throw new DiffError(`--live: the stack ${stack} cannot be opened:\n${reason}\n${hint}`, "usage", "head");
  }
}

/** What the command said went wrong; the automation interface puts its arguments and an empty output around it, twice. */
function commandErrors(error: unknown): string {
  const message = messageOf(error);
  const lines = message.split("\n").filter((line) => line.startsWith("error: "));
  return lines.length > 0 ? [...new Set(lines)].slice(0, 4).join("\n") : message.slice(0, 600);
}

/** The automation interface looks for `bin/pulumi` under a folder. */
function commandAt(command: typeof PulumiCommand, folder: string, pulumi: string): Promise<PulumiCommand> {
  const link = path.join(folder, "cli", "bin", "pulumi");
  fs.mkdirSync(path.dirname(link), { recursive: true });
  fs.symlinkSync(pulumi, link);
  return command.get({ root: path.join(folder, "cli"), skipVersionCheck: true });
}
