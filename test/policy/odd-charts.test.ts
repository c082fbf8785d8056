/** Charts whose YAML a careful reader would not take, and Kubernetes does. */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ensureTools } from "../../embedded/toolchain";
import { problemsOf } from "../../policy/problems";
import type { ResourceView } from "../../policy/resource";
import { RULES } from "../../policy/rules";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-odd-"));
beforeAll(async () => {
  const { helm } = await ensureTools(["helm"]);
  process.env.PATH = [path.dirname(helm), process.env.PATH].join(path.delimiter);
});
afterAll(() => fs.rmSync(folder, { recursive: true }));

/** What the policy says of a chart with one template. */
function saidOf(name: string, template: string, more: object = {}): string[] {
  const chart = path.join(folder, name);
  fs.mkdirSync(path.join(chart, "templates"), { recursive: true });
  fs.writeFileSync(path.join(chart, "Chart.yaml"), `apiVersion: v2\nname: ${name}\nversion: 1.0.0\n`);
  fs.writeFileSync(path.join(chart, "templates", "all.yaml"), template);
  const release: ResourceView = {
    type: "kubernetes:helm.sh/v3:Release",
    name,
    urn: name,
    props: { chart, ...more },
    protect: false,
  };
  return RULES.flatMap((rule) => problemsOf(rule, [release]).map(({ problem }) => `${rule.name}: ${problem}`));
}

const POD =
  "spec: {containers: [{name: a, image: 'a:1', resources: {requests: {cpu: 1, memory: 1}, limits: {memory: 1}}";

it("a key that stands there twice hides nothing", () => {
  const twice = `apiVersion: v1\nkind: Pod\nmetadata: {name: a, name: a}\n${POD}, securityContext: {privileged: false, privileged: true}}]}\n`;
  expect(saidOf("twice", twice)).toEqual([
    "pods-baseline: Pod a, rendered: spec.containers[0].securityContext.privileged",
  ]);
});

it("a list's items are looked at one by one", () => {
  const items = `apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: a}\n  ${POD}, securityContext: {privileged: true}}]}\n`;
  expect(saidOf("items", items)).toEqual([
    "pods-baseline: Pod a, rendered: spec.containers[0].securityContext.privileged",
  ]);
});

it("what cannot be read is said", () => {
  const [said, ...more] = saidOf("torn", 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: "x" y}\n');
  expect(said).toMatch(/^releases-rendered: checked by its values alone: /);
  expect(more).toEqual([]);
});

it("what a release adds that is not rendered here is said", () => {
  const template = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: b}\n";
  expect(saidOf("postrendered", template, { postrender: "./edit.sh", valueYamlFiles: [{}] })).toEqual([
    "releases-rendered: checked without postrender, which may make anything of it",
    "releases-rendered: checked without valueYamlFiles: put them into values",
  ]);
  expect(saidOf("plain", template, { postrender: "", valueYamlFiles: [], version: "1.0.0" })).toEqual([]);
});

it("a chart of a registry is asked for by its digest, one by its URL has none", () => {
  const of = (props: object): string[] =>
    RULES.filter(({ name }) => name === "charts-pinned")
      .flatMap((rule) =>
        problemsOf(
          rule,
          [{ type: "kubernetes:helm.sh/v3:Release", name: "a", urn: "a", props: { ...props }, protect: false }],
          () => [],
        ),
      )
      .map(({ problem }) => problem);
  expect(of({ chart: "oci://registry.example.com/app", version: "1.0.0" })).toEqual([
    "chart oci://registry.example.com/app has no digest",
  ]);
  expect(of({ chart: `oci://registry.example.com/app@sha256:${"0a".repeat(32)}` })).toEqual([]);
  expect(of({ chart: "HTTP://charts.example.com/app-1.0.0.tgz" })).toEqual([
    "chart app by its URL has no pin: nothing says which archive that is",
  ]);
  expect(of({ chart: "https://charts.example.com/app-1.0.0.tgz?token=hunter2" })).toEqual([
    "chart app by its URL has no pin: nothing says which archive that is",
  ]);
  expect(of({ chart: "./charts/app" })).toEqual([]);
});
