/**
 * What a stack consists of that this project has not written, as CycloneDX 1.5: `npm run sbom > sbom.cdx.json`.
 *
 * Packages are those of package-lock.json that are not for development alone, images and charts those of an unset configuration; what a
 * stack sets itself it knows best. The text depends on nothing else, so that two of them can be compared.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { SETTINGS } from "../config/schema";
import { DEFAULTS } from "../contract/defaults";
import { EXIT } from "../commands/shared/exit";
import { projectRoot } from "../contract/project";

export interface Component {
  readonly type: "library" | "container" | "application";
  readonly "bom-ref": string;
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
  readonly licenses?: readonly { readonly expression: string }[];
  readonly properties?: readonly { readonly name: string; readonly value: string }[];
}

/** Images of the chart nats/nats in the version {@link DEFAULTS.natsChartVersion}, of the parts that a stack may switch on. Source: its values. */
export const NATS_CHART_IMAGES = [
  "nats:2.14.2-alpine",
  "natsio/nats-server-config-reloader:0.23.0",
  "natsio/nats-box:0.19.7",
  "natsio/prometheus-nats-exporter:0.20.1",
] as const;

interface Locked {
  readonly version?: string;
  readonly dev?: boolean;
  readonly link?: boolean;
  readonly name?: string;
  readonly integrity?: string;
  readonly license?: string;
}

const ALGORITHMS: Readonly<Record<string, string>> = {
  sha512: "SHA-512",
  sha384: "SHA-384",
  sha256: "SHA-256",
  sha1: "SHA-1",
};

/** `sha512-BASE64`, one or several, as hashes. */
const hashesOf = (integrity: string): { alg: string; content: string }[] =>
  integrity.split(/\s+/).flatMap((each) => {
    const [algorithm = "", digest = ""] = each.split(/-(.*)/s);
    const alg = ALGORITHMS[algorithm];
    return alg ? [{ alg, content: Buffer.from(digest, "base64").toString("hex") }] : [];
  });

/** Packages of a lock file that are installed for use, each once. */
export function packagesOf(lock: { readonly packages: Readonly<Record<string, Locked>> }): Component[] {
  const found = Object.entries(lock.packages).flatMap(([place, { version, dev, link, name, integrity, license }]) => {
    if (place === "" || dev || link || version === undefined) return [];
    const own = name ?? place.slice(place.lastIndexOf("node_modules/") + "node_modules/".length);
    const purl = `pkg:npm/${own.replace(/^@/, "%40")}@${version}`;
    const component: Component = {
      type: "library",
      "bom-ref": purl,
      name: own,
      version,
      purl,
      hashes: integrity ? hashesOf(integrity) : undefined,
      licenses: license ? [{ expression: license }] : undefined,
    };
    return [[purl, component] as const];
  });
  return [...new Map(found).values()];
}

/** An image by its reference: `registry/repository:tag@digest`. */
export function imageComponent(reference: string, origin: string): Component {
  const [named = "", digest] = reference.split("@");
  const [, name = named, tag = "latest"] = /^(.*?)(?::([^/:]+))?$/.exec(named) ?? [];
  const version = digest ?? tag;
  const query = new URLSearchParams({ repository_url: name, tag }).toString();
  return {
    type: "container",
    "bom-ref": reference,
    name,
    version,
    purl: `pkg:oci/${name.split("/").at(-1) ?? name}@${encodeURIComponent(version)}?${query}`,
    properties: [{ name: "noetl-nats:origin", value: origin }],
  };
}

/** Images of an unset configuration: those that settings name, and those of the chart nats/nats. */
const images = (): Component[] => [
  ...Object.entries(SETTINGS).flatMap(([key, { default: standard }]) =>
    /Image$/.test(key) && typeof standard === "string" && standard !== ""
      ? [imageComponent(standard, `setting ${key}`)]
      : [],
  ),
  ...NATS_CHART_IMAGES.map((each) => imageComponent(each, `chart nats ${DEFAULTS.natsChartVersion}`)),
];

const charts = (): Component[] => {
  const { natsChart: name, natsChartVersion: version, natsChartRepository } = DEFAULTS;
  const purl = `pkg:helm/${name}@${version}?${new URLSearchParams({ repository_url: natsChartRepository }).toString()}`;
  return [
    {
      type: "application",
      "bom-ref": purl,
      name,
      version,
      purl,
      properties: [{ name: "noetl-nats:origin", value: "setting natsChart" }],
    },
  ];
};

const byReference = (a: Component, b: Component): number => (a["bom-ref"] < b["bom-ref"] ? -1 : 1);

export function sbom(): object {
  const read = (name: string): unknown => JSON.parse(fs.readFileSync(path.join(projectRoot(), name), "utf8"));
  const own = read("package.json") as { name: string; version: string; license: string };
  const lock = read("package-lock.json") as Parameters<typeof packagesOf>[0];
  return {
    $schema: "http://cyclonedx.org/schema/bom-1.5.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: {
      component: {
        type: "application",
        "bom-ref": own.name,
        name: own.name,
        version: own.version,
        licenses: [{ expression: own.license }],
      },
    },
    components: [...packagesOf(lock), ...images(), ...charts()].sort(byReference),
  };
}

const USAGE =
  "usage: npm run sbom\n\nPrints what this project consists of, packages, images and charts, as CycloneDX 1.5.";

function main(argv: readonly string[]): number {
  const isHelp = argv.some((word) => word === "--help" || word === "-h");
  if (!isHelp && argv.length > 0) {
    console.error(`cannot read ${argv.map((word) => JSON.stringify(word)).join(", ")}\n\n${USAGE}`);
    return EXIT.usage.code;
  }
  console.log(isHelp ? USAGE : JSON.stringify(sbom(), null, 2));
  return EXIT.ok.code;
}

if (require.main === module) process.exitCode = main(process.argv.slice(2));
