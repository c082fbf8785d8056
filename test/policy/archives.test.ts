import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { DEFAULTS } from "../../contract/defaults";
import { projectRoot } from "../../contract/project";
import { ensureTools } from "../../embedded/toolchain";
import { type Pin, pinOf } from "../../policy/archive";
import { rendering } from "../../policy/render";
import { RULES } from "../../policy/rules";
import { problemsOf } from "../../policy/problems";

/** Pins of the tests, in place of those that the project has. */
const { pins } = vi.hoisted(() => ({ pins: [] as Pin[] }));
vi.mock("../../policy/archive", async (original) => {
  const own = await original<typeof import("../../policy/archive")>();
  return {
    ...own,
    pinOf: (...[wanted]: Parameters<typeof own.pinOf>) => own.pinOf(wanted, pins),
    archiveProblem: (...[wanted, file]: Parameters<typeof own.archiveProblem>) =>
      own.archiveProblem(wanted, file, pins),
  };
});

/** Serves a folder on loopback in a process of its own: the rules wait for helm without hearing anything else. */
const SERVER = `
  const fs = require("node:fs"), path = require("node:path");
  const server = require("node:http").createServer((request, response) => {
    const file = path.join(process.argv[1], path.basename(request.url));
    if (!fs.existsSync(file)) return response.writeHead(404).end();
    response.end(fs.readFileSync(file));
  });
  server.listen(0, "127.0.0.1", () => process.stdout.write(String(server.address().port)));`;

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-repository-"));
let server: ChildProcess;
let repository: string;
let sha256: string;

beforeAll(async () => {
  const { helm } = await ensureTools(["helm"]);
  process.env.PATH = [path.dirname(helm), process.env.PATH].join(path.delimiter);
  server = spawn(process.execPath, ["-e", SERVER, folder], { stdio: ["ignore", "pipe", "inherit"] });
  const port = await new Promise((resolve) => server.stdout?.once("data", (text: Buffer) => resolve(text.toString())));
  repository = `http://127.0.0.1:${String(port)}/`;
  const chart = path.join(projectRoot(), "embedded", "charts", "nats");
  execFileSync("helm", ["package", chart, "--version", "1.2.3", "--destination", folder]);
  execFileSync("helm", ["repo", "index", folder, "--url", repository]);
  sha256 = createHash("sha256")
    .update(fs.readFileSync(path.join(folder, "nats-1.2.3.tgz")))
    .digest("hex");
});
afterAll(() => {
  server.kill();
  fs.rmSync(folder, { recursive: true });
});

/** A release of the served chart; each with values of its own, since what helm has rendered is not rendered again. */
const release = (natsBox: object) => ({
  type: "kubernetes:helm.sh/v3:Release",
  name: "nats",
  urn: JSON.stringify(natsBox),
  props: { chart: "nats", version: "1.2.3", repositoryOpts: { repo: repository }, values: { natsBox } },
  protect: false,
});
const problems = (view: ReturnType<typeof release>): string[] =>
  RULES.filter(({ name }) => ["chart-archives", "charts-pinned", "releases-rendered"].includes(name)).flatMap((rule) =>
    problemsOf(rule, [view]).map(({ problem }) => `${rule.name}: ${problem}`),
  );

it("a chart that is not pinned is rendered, with a warning", () => {
  const view = release({ enabled: true });
  expect(problems(view)).toEqual([`charts-pinned: chart nats 1.2.3 of ${repository} is not pinned`]);
  expect(rendering(view).objects.length).toBeGreaterThan(3);
});

it("one that is what its pin says is rendered, whether the repository's address ends with a slash or not", () => {
  pins.push({ chart: "nats", version: "1.2.3", repository: repository.slice(0, -1), sha256 });
  const view = release({ enabled: false });
  expect(problems(view)).toEqual([]);
  expect(rendering(view).objects.length).toBeGreaterThan(2);
});

it("another archive under a pinned version is refused, with both digests, and nothing is made of it", () => {
  pins.splice(0, pins.length, { chart: "nats", version: "1.2.3", repository, sha256: "0".repeat(64) });
  const view = release({ enabled: false, replicas: 2 });
  expect(problems(view)).toEqual([
    `chart-archives: chart nats 1.2.3 of ${repository} has SHA-256 ${sha256}; policy/charts.json has ${"0".repeat(64)}`,
  ]);
  expect(rendering(view).objects).toEqual([]);
});

it("the chart that stacks install where nobody says otherwise is pinned", async () => {
  const own = await vi.importActual<{ pinOf: typeof pinOf }>("../../policy/archive");
  const { natsChart: chart, natsChartRepository, natsChartVersion: version } = DEFAULTS;
  expect(own.pinOf({ chart, repository: natsChartRepository, version })).toMatch(/^[0-9a-f]{64}$/);
});
