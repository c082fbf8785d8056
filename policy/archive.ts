/** Archives of charts: what a repository hands out, and what it has to be (`charts.json`). */
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { projectRoot } from "../contract/project";

/** A chart of a repository, in one version. */
export interface ChartVersion {
  readonly chart: string;
  readonly repository: string;
  readonly version: string;
}

/** What the archive of a chart has to be: its SHA-256, as the repository's index has it. */
export interface Pin extends ChartVersion {
  readonly sha256: string;
}

/** File of the pins, from the project's root. */
export const PINS = "policy/charts.json";

const plainUrl = (url: string): string => url.replace(/\/+$/, "");

const knownPins = (): readonly Pin[] =>
  JSON.parse(fs.readFileSync(path.join(projectRoot(), PINS), "utf8")) as readonly Pin[];

/** SHA-256 that a chart's archive has to have; undefined where nobody has pinned it. */
export function pinOf(wanted: ChartVersion, pins: readonly Pin[] = knownPins()): string | undefined {
  return pins.find(
    ({ chart, repository, version }) =>
      chart === wanted.chart && version === wanted.version && plainUrl(repository) === plainUrl(wanted.repository),
  )?.sha256;
}

/** What is wrong with an archive that a repository handed out; undefined where nothing is. */
export function archiveProblem(wanted: ChartVersion, file: string, pins?: readonly Pin[]): string | undefined {
  const pinned = pinOf(wanted, pins);
  const found = createHash("sha256").update(fs.readFileSync(file)).digest("hex");
  return pinned === undefined || pinned === found
    ? undefined
    : `chart ${wanted.chart} ${wanted.version} of ${wanted.repository} has SHA-256 ${found}; ${PINS} has ${pinned}`;
}
