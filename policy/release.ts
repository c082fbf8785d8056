import * as fs from "node:fs";
import * as path from "node:path";
import { parse } from "yaml";
import { projectRoot, RELEASE } from "../contract/project";
import { at, type ResourceView } from "./resource";
import { isRecord } from "../contract/records";

/** What this project knows of the charts that it installs, by the chart's name. Paths are those of the values. */
interface KnownChart {
  /** Maps with `requests` and `limits`, one for each container. */
  readonly resources: readonly {
    readonly path: string;
    /** Switch that says whether there is such a container at all, and what it is where nobody sets it. */
    readonly onlyIf?: { readonly path: string; readonly standard: boolean };
  }[];
  /** Switches that take a container's probes away when they are false. */
  readonly probeSwitches: readonly string[];
  /** Seconds that drive a probe; null or 0 would take it away. */
  readonly probeSeconds: readonly string[];
  /** Maps of an image whose empty `tag` the chart takes for `latest`. */
  readonly latestByDefault: readonly string[];
}

const KNOWN_CHARTS: Readonly<Record<string, KnownChart>> = {
  // The chart's probes ask the monitoring port, and it sets no resources by itself (nats/nats 2.14).
  nats: {
    resources: [
      { path: "container.merge.resources" },
      { path: "reloader.merge.resources", onlyIf: { path: "reloader.enabled", standard: true } },
      { path: "promExporter.merge.resources", onlyIf: { path: "promExporter.enabled", standard: false } },
      { path: "natsBox.container.merge.resources", onlyIf: { path: "natsBox.enabled", standard: true } },
    ],
    probeSwitches: ["config.monitor.enabled"],
    probeSeconds: [],
    latestByDefault: [],
  },
  noetl: {
    resources: [{ path: "server.resources" }, { path: "worker.resources" }],
    probeSwitches: [],
    probeSeconds: ["worker.probe.notReadyAfterSeconds", "worker.probe.restartAfterSeconds"],
    latestByDefault: [],
  },
  gateway: { resources: [{ path: "resources" }], probeSwitches: [], probeSeconds: [], latestByDefault: ["image"] },
};

/** A Helm release with the values that its chart gets. */
export interface Release {
  /** Last part of the chart's name or path. */
  readonly chart: string;
  readonly known: KnownChart | undefined;
  /** The release's values over the chart's own, which are read where the chart is a folder. */
  readonly values: Readonly<Record<string, unknown>>;
  /** The chart's own values; undefined where they are out of reach: then only what the release says itself can be checked. */
  readonly defaults: Readonly<Record<string, unknown>> | undefined;
}

/** A chart's name without its folder, registry or repository, its version, the ending of an archive, and a URL's query: `https://x/nats-2.14.2.tgz?token=x`. */
const chartName = (source: string): string =>
  path
    .basename(source.replace(/[?#].*$/s, ""))
    .replace(/[:@].*$/, "")
    .replace(/(?:-v?\d+\.\d[\w.+-]*)?\.tgz$/, "");

/** The release behind a resource; undefined for every other resource. */
export function releaseOf(resource: Pick<ResourceView, "type" | "props">): Release | undefined {
  if (resource.type !== RELEASE) return undefined;
  const source = at(resource.props, "chart");
  const given = at(resource.props, "values");
  const chart = typeof source === "string" ? chartName(source) : "";
  const defaults = typeof source === "string" ? chartValues(source) : undefined;
  return {
    chart,
    known: KNOWN_CHARTS[chart],
    values: merged(defaults ?? {}, isRecord(given) ? given : {}),
    defaults,
  };
}

/** What texts of `values.yaml` say: each rule asks for them again. */
const PARSED = new Map<string, unknown>();

function chartValues(source: string): Record<string, unknown> | undefined {
  const file = path.join(path.resolve(projectRoot(), source), "values.yaml");
  if (!fs.existsSync(file)) return undefined;
  const text = fs.readFileSync(file, "utf8");
  if (!PARSED.has(text)) PARSED.set(text, parse(text));
  const values = PARSED.get(text);
  return isRecord(values) ? values : {};
}

/** `values` without the parts that they switch off, which the chart does not roll out. */
export function switchedOn(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values)
      .filter(([, value]) => !isRecord(value) || value.enabled !== false)
      .map(([key, value]) => [key, isRecord(value) ? switchedOn(value) : value]),
  );
}

/** Helm's merge: maps key by key, everything else replaced, null removed. */
function merged(base: Record<string, unknown>, over: Record<string, unknown>): Record<string, unknown> {
  const result = { ...base };
  for (const [key, value] of Object.entries(over)) {
    if (value === null) delete result[key];
    else {
      const below = result[key];
      result[key] = isRecord(value) && isRecord(below) ? merged(below, value) : value;
    }
  }
  return result;
}
