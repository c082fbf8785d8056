import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { CHART_INFLIGHT, CHART_POOLS, CHART_RESOURCES } from "../../config/resources";
import { DEFAULT_STOP_SECONDS } from "../../contract/defaults";
import { quantityBytes, quantityMillis } from "../../contract/validate";
import { REQUIRED } from "./cases";
import { type ChartName, type Values, chartFolder, merged, podTemplate, refusal, render } from "./helm";

const CANARY = "canary-77ab";

describe("values that are refused, with a message that names the key", () => {
  it.each([
    ["noetl", { confg: {} }, /additional properties 'confg' not allowed/],
    ["noetl", { worker: { replica: 2 } }, /'\/worker'.*'replica' not allowed/],
    ["noetl", { worker: { replicas: -1 } }, /'\/worker\/replicas': minimum: got -1, want 0/],
    ["noetl", { worker: { replicas: "many" } }, /'\/worker\/replicas': 'many' does not match/],
    ["noetl", { image: { tag: 2.8 } }, /'\/image\/tag': got number, want string/],
    ["noetl", { image: { digest: "latest" } }, /'\/image\/digest'/],
    ["noetl", { image: { pullPolicy: "Sometimes" } }, /'\/image\/pullPolicy': value must be one of/],
    ["noetl", { config: { server: { NATS_STREAM: "a.b" } } }, /'\/config\/server\/NATS_STREAM': 'a.b' does not match/],
    ["noetl", { config: { worker: { NATS_SUBJECT: "noetl.>" } } }, /'\/config\/worker\/NATS_SUBJECT'/],
    ["noetl", { config: { worker: { NATS_CONSUMER: "pool one" } } }, /'\/config\/worker\/NATS_CONSUMER'/],
    [
      "noetl",
      { config: { worker: { NOETL_WORKER_NATS_MAX_DELIVER: 0 } } },
      /'\/config\/worker\/NOETL_WORKER_NATS_MAX_DELIVER'/,
    ],
    [
      "noetl",
      { config: { worker: { NOETL_WORKER_NATS_MAX_ACK_PENDING: "6.5" } } },
      /NOETL_WORKER_NATS_MAX_ACK_PENDING': '6.5'/,
    ],
    [
      "noetl",
      { config: { worker: { NOETL_WORKER_NATS_FETCH_TIMEOUT_SECONDS: 0 } } },
      /FETCH_TIMEOUT_SECONDS': exclusiveMinimum/,
    ],
    ["noetl", { config: { worker: { NOETL_WORKER_NATS_FETCH_HEARTBEAT_SECONDS: "0.0" } } }, /FETCH_HEARTBEAT_SECONDS/],
    ["noetl", { config: { server: { LIST: ["a"] } } }, /'\/config\/server\/LIST': got array/],
    ["noetl", { config: { server: { "NOT-A-NAME": "a" } } }, /invalid propertyName 'NOT-A-NAME'/],
    ["noetl", { config: { server: { NATS_URL: null } } }, /config\.server\.NATS_URL is not a NATS URL/],
    ["noetl", { service: { type: "Internal" } }, /'\/service\/type': value must be one of/],
    [
      "noetl",
      { externalService: { enabled: true, nodePort: 30082 } },
      /externalService\.nodePort needs externalService\.type/,
    ],
    ["noetl", { ingress: { enabled: true } }, /ingress\.host is not set/],
    ["noetl", { ingress: { enabled: true, host: "https://a.example.org/" } }, /'\/ingress\/host'/],
    ["noetl", { persistence: { data: { size: "ten" } } }, /'\/persistence\/data\/size': 'ten'/],
    ["noetl", { server: { resources: { limits: { memory: "1 Gi" } } } }, /'\/server\/resources\/limits\/memory'/],
    ["noetl", { server: { strategy: { type: "Rolling" } } }, /'\/server\/strategy\/type': value must be one of/],
    ["noetl", { secrets: { noetlPassword: "" } }, /secrets\.noetlPassword is not set/],
    ["noetl", { workerPool: { enabled: true } }, /workerPool\.enabled: this chart installs the Python workers only/],
    ["noetl", { image: { repository: "" } }, /image\.repository is not set/],
    [
      "noetl",
      { config: { worker: { NOETL_WORKER_NATS_FETCH_TIMEOUT_SECONDS: "10" } } },
      /FETCH_HEARTBEAT_SECONDS is 5: not less than half of NOETL_WORKER_NATS_FETCH_TIMEOUT_SECONDS \(10\)/,
    ],
    [
      "noetl",
      { config: { worker: { NOETL_WORKER_MAX_INFLIGHT_COMMANDS: 2 } } },
      /MAX_INFLIGHT_DB_COMMANDS is 3: more than NOETL_WORKER_MAX_INFLIGHT_COMMANDS \(2\)/,
    ],
    ["noetl", { worker: { probe: { restartAfterSeconds: 0 } } }, /'\/worker\/probe\/restartAfterSeconds'/],
    ["noetl", { server: { probe: { restartAfterSeconds: "soon" } } }, /'\/server\/probe\/restartAfterSeconds'/],
    ["gateway", { image: { repository: "" } }, /image\.repository is not set/],
    ["gateway", { env: { natsUpdatesSubjectPrefix: "noetl.events" } }, /'\/env\/natsUpdatesSubjectPrefix'/],
    ["gateway", { env: { natsurl: "x" } }, /'\/env'.*'natsurl' not allowed/],
    ["gateway", { env: { noetlBaseUrl: "noetl:8082" } }, /env\.noetlBaseUrl is not an http or https URL/],
    ["gateway", { env: { natsUrl: "nats://a:4222,nats://b:4222" } }, /env\.natsUrl .* a single server/],
    [
      "gateway",
      { env: { corsAllowedOrigins: "example.org" } },
      /'\/env\/corsAllowedOrigins': 'example.org' does not match/,
    ],
    ["gateway", { env: { natsSessionBucket: "a.b" } }, /'\/env\/natsSessionBucket'/],
    ["gateway", { env: { natsRequestTtlSecs: "soon" } }, /'\/env\/natsRequestTtlSecs': 'soon'/],
    ["gateway", { env: { natsSessionCacheTtlSecs: 0 } }, /'\/env\/natsSessionCacheTtlSecs': minimum: got 0, want 1/],
    ["gateway", { env: { natsUpdatesSubjectPrefix: "a..b" } }, /'\/env\/natsUpdatesSubjectPrefix'/],
    ["gateway", { env: { authBypass: "yes" } }, /'\/env\/authBypass': 'yes'/],
    ["gateway", { env: { routerPort: 70000 } }, /'\/env\/routerPort': maximum/],
    ["gateway", { service: { nodePort: 30090 } }, /service\.nodePort needs service\.type/],
    ["gateway", { ingress: { enabled: true } }, /ingress\.host is not set/],
    ["nats", { config: { websocket: { enabled: true } } }, /'\/config': additional properties 'websocket' not allowed/],
    ["nats", { config: { jetstream: { fileStore: { pvc: { sise: "1Gi" } } } } }, /'sise' not allowed/],
    ["nats", { container: { env: { A: 1 } } }, /env var "A" must be string or map, got float64/],
    [
      "nats",
      { service: { patch: [{ op: "move", from: "/a", path: "/b" }] } },
      /knows add, replace, remove and copy, not move/,
    ],
    [
      "nats",
      { service: { patch: [{ op: "replace", path: "/spec/ports/7", value: 1 }] } },
      /patch: replace \/spec\/ports\/7: there is no "7"/,
    ],
  ] as [ChartName, Values, RegExp][])("%s: %j", async (chart, values, message) => {
    expect(await refusal(chart, merged(REQUIRED[chart], values))).toMatch(message);
  });

  it("names all problems at once", async () => {
    const message = await refusal("noetl", { ingress: { enabled: true }, workerPool: { enabled: true } });
    expect(message.match(/^- /gm)).toHaveLength(3);
  });
});

describe("a refusal never shows a credential", () => {
  const url = `nats://noetl:${CANARY}%21@nats:4222`;
  it.each([
    ["noetl", { config: { server: { NATS_URL: url }, worker: { NATS_URL: `http://a:${CANARY}@b` } } }],
    ["noetl", { config: { server: { NATS_URL: [url] }, worker: { NATS_PASSWORD: { value: CANARY } } } }],
    ["noetl", { config: { server: { NATS_URL: url } }, secrets: { postgresPassword: [CANARY] } }],
    ["noetl", { worker: { replicas: -1 }, config: { server: { NATS_URL: url } }, secrets: { noetlPassword: CANARY } }],
    ["gateway", { env: { natsUrl: url, noetlBaseUrl: `htp://a:${CANARY}@b` } }],
    ["gateway", { env: { natsUrl: { url } }, extraEnv: { A_TOKEN: [CANARY] } }],
  ] as [ChartName, Values][])("%s: %#", async (chart, values) => {
    expect(await refusal(chart, merged(REQUIRED[chart], values))).not.toContain(CANARY);
  });
});

describe("schema and values", () => {
  /** Keys of values that no schema entry describes. */
  function undescribed(values: unknown, schema: Schema, root: Schema, at = ""): string[] {
    const target = schema.$ref ? root.$defs?.[schema.$ref.replace("#/$defs/", "")] : schema;
    if (typeof values !== "object" || values === null || Array.isArray(values)) {
      return schema.description || target?.description || target?.enum ? [] : [at];
    }
    return Object.entries(values).flatMap(([key, value]) => {
      const property = target?.properties?.[key];
      if (property) return undescribed(value, property, root, `${at}/${key}`);
      return typeof target?.additionalProperties === "object" ? [] : [`${at}/${key}`];
    });
  }
  interface Schema {
    description?: string;
    enum?: unknown[];
    $ref?: string;
    properties?: Record<string, Schema>;
    additionalProperties?: boolean | Schema;
    $defs?: Record<string, Schema>;
  }

  it.each(["noetl", "gateway"] as const)("of %s: every value has a description", (chart) => {
    const read = (file: string) => fs.readFileSync(path.join(chartFolder(chart), file), "utf8");
    const schema = JSON.parse(read("values.schema.json")) as Schema;
    expect(undescribed(parse(read("values.yaml")), schema, schema)).toEqual([]);
  });
});

it("both charts carry the same shared templates", () => {
  const shared = (chart: ChartName) => fs.readFileSync(path.join(chartFolder(chart), "templates/_shared.tpl"), "utf8");
  expect(shared("gateway")).toBe(shared("noetl"));
});

it("what the charts ask for where nothing is set is what the configuration takes it for", () => {
  const read = (chart: ChartName) =>
    parse(fs.readFileSync(path.join(chartFolder(chart), "values.yaml"), "utf8")) as {
      resources?: ChartResources;
      server?: { resources: ChartResources };
      worker?: { resources: ChartResources; terminationGracePeriodSeconds: number };
    };
  type ChartResources = Record<"requests" | "limits", { cpu: string; memory: string }>;
  const size = (of: { cpu: string; memory: string } | undefined) => ({
    cpu: quantityMillis(of?.cpu ?? ""),
    memory: (quantityBytes(of?.memory ?? "") ?? NaN) / 1024 ** 2,
  });
  const sizes = (of: ChartResources | undefined) => ({ request: size(of?.requests), limit: size(of?.limits) });
  const [noetl, gateway] = [read("noetl"), read("gateway")];
  expect({
    server: sizes(noetl.server?.resources),
    worker: sizes(noetl.worker?.resources),
    gateway: sizes(gateway.resources),
  }).toEqual(CHART_RESOURCES);
  expect(noetl.worker?.terminationGracePeriodSeconds).toBe(DEFAULT_STOP_SECONDS);
});

it("a pool that no setting sizes is as large as the configuration takes it for", () => {
  const { config } = parse(fs.readFileSync(path.join(chartFolder("noetl"), "values.yaml"), "utf8")) as {
    config: Record<keyof typeof CHART_POOLS, Record<string, string>>;
  };
  for (const [part, size] of Object.entries(CHART_POOLS) as [keyof typeof CHART_POOLS, number][])
    expect(config[part].NOETL_POSTGRES_POOL_MAX_SIZE).toBe(String(size));
  expect(config.worker.NOETL_WORKER_MAX_INFLIGHT_COMMANDS).toBe(String(CHART_INFLIGHT.commands));
  expect(config.worker.NOETL_WORKER_MAX_INFLIGHT_DB_COMMANDS).toBe(String(CHART_INFLIGHT.dbCommands));
});

describe("a pod's own folders", () => {
  const folders = async (chart: ChartName, values: Values) => {
    const objects = await render(chart, merged(REQUIRED[chart], values));
    return objects
      .filter(({ kind }) => kind === "Deployment")
      .flatMap(({ metadata }) =>
        (podTemplate(objects, metadata.name).spec.volumes ?? []).flatMap(({ name, emptyDir }) =>
          emptyDir
            ? [[`${metadata.name} ${String(name)}`, (emptyDir as { sizeLimit?: string }).sizeLimit] as const]
            : [],
        ),
      );
  };

  it("have a limit, each of them: a pod that writes more is evicted alone", async () => {
    expect(Object.fromEntries([...(await folders("noetl", {})), ...(await folders("gateway", {}))])).toEqual({
      "noetl-server noetl-data": "10Gi",
      "noetl-server noetl-logs": "5Gi",
      "noetl-server noetl-home": "2Gi",
      "noetl-server tmp": "2Gi",
      "noetl-worker noetl-data": "10Gi",
      "noetl-worker noetl-logs": "5Gi",
      "noetl-worker noetl-home": "2Gi",
      "noetl-worker tmp": "2Gi",
      "gateway tmp": "64Mi",
    });
  });

  it("have the limit that is set, and what is a claim has none", async () => {
    const persistence = {
      data: { enabled: true },
      logs: { enabled: true, size: "1Gi" },
      home: { size: 100000000 },
      tmp: { size: "3Gi" },
    };
    expect(Object.fromEntries(await folders("noetl", { persistence }))).toEqual({
      "noetl-server noetl-home": "100000000",
      "noetl-server tmp": "3Gi",
      "noetl-worker noetl-logs": "1Gi",
      "noetl-worker noetl-home": "100000000",
      "noetl-worker tmp": "3Gi",
    });
  });

  it.each<[ChartName, Values, readonly string[]]>([
    ["noetl", {}, ["noetl-server", "noetl-worker"]],
    ["gateway", {}, ["gateway"]],
    ["gateway", { maskLogs: { enabled: false } }, ["gateway"]],
  ])("are, with /tmp, all that containers of the chart %s can write to: %j", async (chart, values, deployments) => {
    const objects = await render(chart, merged(REQUIRED[chart], values));
    for (const name of deployments) {
      const { containers, initContainers = [] } = podTemplate(objects, name).spec;
      for (const { securityContext } of [...containers, ...initContainers])
        expect(securityContext).toMatchObject({ readOnlyRootFilesystem: true });
      for (const { volumeMounts } of containers)
        expect(volumeMounts).toContainEqual({ name: "tmp", mountPath: "/tmp" });
    }
  });

  it.each<[ChartName, readonly string[]]>([
    ["noetl", ["noetl-server", "noetl-worker"]],
    ["gateway", ["gateway"]],
  ])("may be more, for an image that writes elsewhere: chart %s", async (chart, deployments) => {
    const objects = await render(chart, merged(REQUIRED[chart], { readOnlyRootFilesystem: false }));
    for (const name of deployments)
      for (const { securityContext } of podTemplate(objects, name).spec.containers)
        expect(securityContext).toMatchObject({ readOnlyRootFilesystem: false, allowPrivilegeEscalation: false });
  });
});
