import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { Secret } from "@pulumi/policy";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { STAND_IN_CHART } from "../../embedded/settings";
import { ensureTools } from "../../embedded/toolchain";
import { problemsOf } from "../../policy/problems";
import { rendering } from "../../policy/render";
import type { ResourceView } from "../../policy/resource";
import type { Rule } from "../../policy/rule";
import { RULES } from "../../policy/rules";
import { CONFIGURATIONS, FACTS, FRESH } from "../support/gke/configurations";
import { type Declared, run } from "../support/gke/mocks";

const SIGNATURE = "4dabf18193072939515e22adb298388d";

const { PATH } = process.env;

beforeAll(async () => {
  const { helm } = await ensureTools(["helm"]);
  process.env.PATH = [path.dirname(helm), process.env.PATH].join(path.delimiter);
});
afterAll(() => {
  process.env.PATH = PATH;
});

/** The engine's wrapping of secrets as the policy's. */
function marked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(marked);
  if (value === null || typeof value !== "object") return value;
  if (SIGNATURE in value) return new Secret(marked((value as { value?: unknown }).value));
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, marked(inner)]));
}

/** The chart nats/nats comes from its repository, which is not asked here: its stand-in takes its place. */
const reachable = (props: Record<string, unknown>): Record<string, unknown> =>
  props.chart === "nats" ? { ...props, chart: STAND_IN_CHART } : props;
const nearby = ({ repositoryOpts: _, ...props }: Record<string, unknown>): Record<string, unknown> => reachable(props);

const viewOf = ({ type, name, inputs }: Declared): ResourceView => ({
  type,
  name,
  urn: name,
  props: nearby(marked(inputs) as Record<string, unknown>),
  // Mocks are not told a resource's options; the components' own tests hold them.
  protect: true,
});

describe("every reviewed stack on GKE keeps the rules, with all that its releases render", () => {
  it.each(CONFIGURATIONS)("$name", async ({ raw, facts }) => {
    const resources = (await run(raw, facts)).declared.map(viewOf);
    const releases = resources.filter(({ type }) => type === "kubernetes:helm.sh/v3:Release");
    for (const release of releases) {
      const { objects, failure } = rendering(release);
      expect({ release: release.name, failure, rendered: objects.length > 3 }).toEqual({
        release: release.name,
        failure: undefined,
        rendered: true,
      });
    }
    const problemsBy = (rules: readonly Rule[]) =>
      rules.flatMap((rule) => problemsOf(rule, resources).map(({ urn, problem }) => `${rule.name} ${urn}: ${problem}`));
    // What only warns is what the stack has chosen, and what it is reminded of.
    const hasNats = releases.some(({ props }) => props.chart === STAND_IN_CHART);
    expect(problemsBy(RULES.filter(({ advisory }) => advisory))).toEqual(
      hasNats && (raw.natsTls ?? "off") === "off"
        ? [expect.stringMatching(/^nats-tls \S+: values\.config\.nats\.tls\.enabled is not true/)]
        : [],
    );
    const problems = problemsBy(RULES.filter(({ advisory }) => !advisory));
    const unprotected = raw.deletionProtection === "false";
    expect(problems.filter((problem) => !(unprotected && problem.startsWith("deletion-protection ")))).toEqual([]);
    expect(problems.some((problem) => problem.startsWith("deletion-protection "))).toBe(unprotected);
  });
});

describe("a stack on GKE with one setting more", () => {
  const found = async (more: Record<string, string>) => {
    const resources = (await run({ ...FRESH, ...more }, FACTS)).declared.map(viewOf);
    return RULES.flatMap((rule) => problemsOf(rule, resources).map(({ problem }) => `${rule.name}: ${problem}`));
  };
  const CLEAR = "nats-tls: values.config.nats.tls.enabled is not true: NATS takes logins in clear";

  it("with TLS of NATS is reminded of nothing", async () => {
    expect(await found({ natsTls: "generated" })).toEqual([]);
  });

  it("with an open control plane is stopped, whatever risks are accepted", async () => {
    const open = { controlPlaneAccess: "public", acceptedRisks: "plain-http,public-control-plane" };
    expect(await found(open)).toEqual([
      "control-plane-closed: the control plane has a public address and no masterAuthorizedNetworksConfig: every address may try it",
      CLEAR,
    ]);
  });

  it("with a NATS elsewhere is reminded of that one's TLS", async () => {
    const elsewhere = { deployNats: "false", natsHost: "nats.acme.dev", natsPassword: "Correct-Horse-Battery-9" };
    expect(await found({ ...elsewhere, acceptedRisks: "plain-http,plain-nats" })).toEqual([
      "nats-tls: values.config.server.NATS_URL asks for no TLS",
      "nats-tls: values.config.worker.NATS_URL asks for no TLS",
    ]);
    expect(await found({ ...elsewhere, natsTls: "provided" })).toEqual([]);
  });
});

describe("a release of any chart is checked by what helm renders", () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-chart-"));
  const chart = path.join(folder, "app");
  fs.mkdirSync(path.join(chart, "templates"), { recursive: true });
  fs.writeFileSync(path.join(chart, "Chart.yaml"), "apiVersion: v2\nname: app\nversion: 1.0.0\n");
  const template = [
    "apiVersion: v1",
    "kind: ConfigMap",
    "metadata: { name: settings }",
    'data: { "url": "host=db key={{ .Values.auth.password }}", "scope": "{{ .Values.scope }}" }',
    "---",
    "apiVersion: rbac.authorization.k8s.io/v1",
    "kind: ClusterRoleBinding",
    "metadata: { name: app }",
    "roleRef: { name: cluster-admin }",
    "---",
    '{{ if .Values.fails }}{{ fail (printf "no %s" .Values.auth.password) }}{{ end }}',
  ];
  fs.writeFileSync(path.join(chart, "templates", "app.yaml"), template.join("\n"));
  afterAll(() => fs.rmSync(folder, { recursive: true }));

  const CANARY = "Canary-7f3a";
  const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
  const problems = (values: object, more: object = {}): string[] => {
    const props = { chart, values: { auth: { password: new Secret(CANARY) }, ...values }, ...more };
    const view = {
      type: "kubernetes:helm.sh/v3:Release",
      name: "app",
      urn: JSON.stringify(values),
      props,
      protect: false,
    };
    return RULES.flatMap((rule) => problemsOf(rule, [view]).map(({ problem }) => `${rule.name}: ${problem}`));
  };

  it("what the chart makes of values is found", () => {
    expect(problems({})).toEqual([
      "no-plaintext-credentials: ConfigMap settings, rendered: data.url holds a secret of the program: have the chart use a Secret",
      "no-cluster-admin: ClusterRoleBinding app, rendered: roleRef is cluster-admin",
    ]);
  });
  it("a value that a preview does not know is not taken for a credential", () => {
    expect(problems({ auth: { password: UNKNOWN }, scope: `nats://u:${UNKNOWN}@nats` })).toEqual([
      "no-cluster-admin: ClusterRoleBinding app, rendered: roleRef is cluster-admin",
    ]);
  });
  it("a chart that refuses its values is said, without the values", () => {
    const refused = "releases-rendered: checked by its values alone: helm refuses the chart or these values";
    expect(problems({ fails: true })).toEqual([refused]);
    expect(problems({ fails: true, auth: { password: UNKNOWN } })).toEqual([]);
  });
  it("so is a machine without helm", () => {
    const before = process.env.PATH;
    process.env.PATH = folder;
    try {
      expect(problems({ scope: "x" })).toEqual(["releases-rendered: checked by its values alone: helm is not on PATH"]);
    } finally {
      process.env.PATH = before;
    }
  });
});
