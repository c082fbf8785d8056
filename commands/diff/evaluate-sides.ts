import * as fs from "node:fs";
import * as path from "node:path";
import { DiffError, messageOf, type Side } from "./errors";
import { evaluate, type Evaluation } from "./evaluation";
import { Masker } from "../../contract/mask";
import { Placeholders, type PlaceholderKind } from "../../contract/mask/placeholders";
import { compiledFiles } from "./modules";
import type { Renderer } from "./render";
import { releasesOf, secretsOf, type SideResult } from "./side";
import { stackConfig, type StackConfig, type StackConfigOptions } from "./stack-config";

/** A side whose program has run. */
export interface EvaluatedSide {
  readonly root: string;
  readonly config: StackConfig;
  readonly evaluation: Evaluation;
}

const NOTHING: Evaluation = { resources: [], outputs: {}, functions: [], issued: [] };

/** What the sides of one run share: the key of the stand-ins, and all that must not be shown. */
export class Run {
  /** Name of the project, once a side has been read. */
  project = "";
  private readonly issued = new Map<string, PlaceholderKind>();
  private readonly secrets = new Set<string>();
  private readonly folders: Record<string, string> = {};
  private readonly cache = compiledFiles();

  /**
   * @param key secret and random
   * @param home an empty folder that programs take for the home directory; made where it is missing
   */
  constructor(
    private readonly stack: string,
    private readonly key: string,
    private readonly home: string,
  ) {
    fs.mkdirSync(home, { recursive: true });
    this.hide(home, "~");
  }

  /** Shows a word instead of a folder of this machine. */
  hide(folder: string, word: string): void {
    this.folders[folder] = word;
  }

  /** What masks everything that has turned up so far, and the secrets of finished sides. */
  masker(sides: Partial<Record<Side, SideResult>> = {}): Masker {
    const stored = Object.values(sides).flatMap(secretsOf);
    return new Masker(this.issued, [...this.secrets, ...stored], { folders: this.folders });
  }

  private keep(issued: Iterable<readonly [string, PlaceholderKind]>): void {
    for (const [value, kind] of issued) if (this.issued.get(value) !== "secret") this.issued.set(value, kind);
  }

  /** Reads a side's configuration and runs its program. @throws DiffError where either fails. */
  async evaluate(
    side: Side,
    root: string,
    settings: Pick<StackConfigOptions, "overrides" | "isSecretKey">,
  ): Promise<EvaluatedSide> {
    const { stack, key, home, cache } = this;
    const placeholders = new Placeholders(key);
    const config = stackConfig({ project: root, stack, side, placeholders, ...settings });
    if (side === "head" || this.project === "") this.project = config.project;
    this.keep(placeholders.issued);
    for (const name of config.secretKeys) this.secrets.add(config.values[name] ?? "");
    // A stack that is new with the change has nothing deployed yet, least of all what the project's defaults would deploy.
    if (side === "base" && !config.exists) return { root, config, evaluation: NOTHING };
    const evaluation = await evaluate({ side, root, stack, config, key, home, cache });
    this.keep(evaluation.issued);
    return { root, config, evaluation: relative(evaluation, root, home) };
  }

  /**
   * Renders a side's releases. A release that both sides have is rendered as an upgrade on both, so that this makes no
   * difference.
   */
  async render(renderer: Renderer, side: Side, sides: Readonly<Record<Side, EvaluatedSide>>): Promise<SideResult> {
    const own = sides[side];
    const other = sides[side === "base" ? "head" : "base"];
    const others = new Set(releasesOf(other.evaluation).map(({ urn }) => urn));
    const releases = releasesOf(own.evaluation);
    const results = await Promise.allSettled(
      releases.map(async (release) => {
        const rendered = await renderer.render({ side, root: own.root }, release, others.has(release.urn));
        return [release.urn, rendered] as const;
      }),
    );
    const messages = results.flatMap((result) => (result.status === "rejected" ? [messageOf(result.reason)] : []));
    if (messages.length > 0) throw new DiffError([...new Set(messages)].join("\n"), "failed", side);
    return {
      config: own.config,
      evaluation: own.evaluation,
      releases: new Map(results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []))),
    };
  }
}

/** Paths of this machine in inputs become relative: they differ from checkout to checkout. */
function relative(evaluation: Evaluation, root: string, home: string): Evaluation {
  const shorten = (value: unknown): unknown => {
    if (typeof value === "string") {
      return value.includes(root) || value.includes(home)
        ? value.split(`${root}${path.sep}`).join("./").split(root).join(".").split(home).join("~")
        : value;
    }
    if (Array.isArray(value)) return value.map(shorten);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shorten(inner)]));
  };
  return {
    ...evaluation,
    outputs: shorten(evaluation.outputs) as Evaluation["outputs"],
    resources: evaluation.resources.map((resource) => ({
      ...resource,
      inputs: shorten(resource.inputs) as Record<string, unknown>,
    })),
  };
}
