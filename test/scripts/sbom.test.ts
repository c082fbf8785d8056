import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { DEFAULTS } from "../../contract/defaults";
import { projectRoot } from "../../contract/project";
import { type Component, imageComponent, NATS_CHART_IMAGES, packagesOf, sbom } from "../../scripts/sbom";
import { projectFiles, readProject } from "../support/markdown";

interface Listed {
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, Listed>>;
}

const { components } = sbom() as { components: Component[] };
const ofType = (type: Component["type"]): Component[] => components.filter((each) => each.type === type);

describe("the bill of materials", () => {
  it("has every package that npm says is installed for use, and no other", async () => {
    // Not `npm sbom --omit dev`: that leaves out what is for use and for development (npm 11.19).
    const args = ["ls", "--all", "--json", "--omit", "dev", "--package-lock-only"];
    const { stdout } = await promisify(execFile)("npm", args, { cwd: projectRoot(), maxBuffer: 64 * 1024 * 1024 });
    const found = new Set<string>();
    const look = ({ dependencies = {} }: Listed): void => {
      for (const [name, each] of Object.entries(dependencies)) {
        if (each.version !== undefined) found.add(`${name}@${each.version}`);
        look(each);
      }
    };
    look(JSON.parse(stdout) as Listed);
    expect(found.size).toBeGreaterThan(50);
    expect(
      ofType("library")
        .map(({ name, version }) => `${name}@${version}`)
        .sort(),
    ).toEqual([...found].sort());
  }, 60_000);

  it("has the digest and the licence of each package", () => {
    for (const { name, hashes, licenses } of ofType("library")) {
      expect({ name, alg: hashes?.[0]?.alg, length: hashes?.[0]?.content.length }).toEqual({
        name,
        alg: "SHA-512",
        length: 128,
      });
      expect({ name, licence: licenses?.[0]?.expression }).toEqual({
        name,
        licence: expect.stringMatching(/./) as string,
      });
    }
  });

  it("has every image that a reviewed stack or chart runs, but those that its settings name", () => {
    const named = new Set(ofType("container").map((each) => each["bom-ref"]));
    const golden = projectFiles().filter((file) => /^test\/(?:charts|stacks\/gke)\/golden\/.*\.yaml$/.test(file));
    const run = golden.flatMap((file) =>
      [...readProject(file).matchAll(/\bimage: (\S+)/g)].map(([, image = ""]) => image),
    );
    const own = /^(?:registry\.example\.org|europe-docker\.pkg\.dev)\/|:(?:latest|dev)$/;
    const missing = [...new Set(run)].filter((image) => !own.test(image) && !named.has(image));
    expect(run.length).toBeGreaterThan(20);
    expect(missing).toEqual([]);
    for (const image of [
      DEFAULTS.noetlImage,
      DEFAULTS.gatewayImage,
      DEFAULTS.postgresImage,
      DEFAULTS.contractGuardImage,
    ])
      expect(named).toContain(image);
  });

  it("has the images of the chart's version that is installed", () => {
    const folder = path.join(projectRoot(), "embedded", "charts", "nats");
    const chart = parse(fs.readFileSync(path.join(folder, "Chart.yaml"), "utf8")) as { version: string };
    const values = parse(fs.readFileSync(path.join(folder, "values.yaml"), "utf8"), { merge: true }) as Record<
      string,
      unknown
    >;
    const images: string[] = [];
    const look = (value: unknown): void => {
      if (typeof value !== "object" || value === null) return;
      const { repository, tag } = value as { repository?: unknown; tag?: unknown };
      if (typeof repository === "string") images.push(`${repository}:${String(tag)}`);
      Object.values(value).forEach(look);
    };
    look(values);
    expect(chart.version).toBe(DEFAULTS.natsChartVersion);
    expect([...new Set(images)].sort()).toEqual([...NATS_CHART_IMAGES].sort());
    expect(ofType("application").map(({ name, version }) => `${name} ${version}`)).toEqual([
      `nats ${DEFAULTS.natsChartVersion}`,
    ]);
  });

  it("names each thing once, and says the same every time", () => {
    const references = components.map((each) => each["bom-ref"]);
    expect(new Set(references).size).toBe(references.length);
    expect(JSON.stringify(sbom())).toBe(JSON.stringify(sbom()));
  });

  it("leaves out what is for development alone, and counts an installed twice as one", () => {
    const lock = {
      packages: {
        "": { version: "1.0.0" },
        "node_modules/a": { version: "1.0.0" },
        "node_modules/b/node_modules/a": { version: "1.0.0" },
        "node_modules/b/node_modules/@x/a": { version: "2.0.0" },
        "node_modules/c": { version: "1.0.0", dev: true },
      },
    };
    expect(packagesOf(lock).map(({ purl }) => purl)).toEqual(["pkg:npm/a@1.0.0", "pkg:npm/%40x/a@2.0.0"]);
  });

  it("names an image by its digest where it has one", () => {
    const digest = `sha256:${"a".repeat(64)}`;
    expect(imageComponent(`localhost:5000/x/noetl:v1@${digest}`, "test")).toMatchObject({
      name: "localhost:5000/x/noetl",
      version: digest,
      purl: expect.stringMatching(/^pkg:oci\/noetl@sha256%3Aa+\?.*tag=v1$/) as string,
    });
  });
});

describe("who looks at what", () => {
  const owners = readProject(".github/CODEOWNERS")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split(/\s+/));

  it("every path of CODEOWNERS is there, and has an owner", () => {
    for (const [place = "", ...who] of owners) {
      expect({ place, there: place === "*" || fs.existsSync(path.join(projectRoot(), place)) }).toEqual({
        place,
        there: true,
      });
      expect(who.every((each) => each.startsWith("@")) && who.length > 0).toBe(true);
    }
  });

  it("what decides who may deploy, and what, has one", () => {
    const places = owners.map(([place]) => place);
    for (const place of [
      "*",
      "/.github/",
      "/scripts/",
      "/policy/",
      "/charts/",
      "/package-lock.json",
      "/Pulumi.gke.yaml",
    ])
      expect(places).toContain(place);
  });

  it("SECURITY.md says where to report, and leads to pages that are there", () => {
    const page = readProject("SECURITY.md");
    expect(page).toContain("Report a vulnerability");
    for (const [, target = ""] of page.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g))
      expect({ target, there: fs.existsSync(path.join(projectRoot(), target)) }).toEqual({ target, there: true });
  });
});
