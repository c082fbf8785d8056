import * as fs from "node:fs";
import * as https from "node:https";
import * as os from "node:os";
import * as path from "node:path";
import { KubeConfig } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
// The compiled one: it starts compiled files of its own.
import { type Cluster, startCluster } from "../../dist/embedded/cluster";
import { ensureTools, TOOLS, type ToolName } from "../../embedded/toolchain";
import { NATS_POD_SECURITY, type NatsPodSecurity } from "../../components/nats-jetstream/security";
import { natsValues } from "../../components/nats-jetstream/values";
import { CASES, REQUIRED } from "./cases";
import { type KubeObject, type PodSpec, type Values, merged, podTemplate, rehearsal, render } from "./helm";

/** Where the API server serves the kinds that the charts render. */
const PATHS: Record<string, string> = {
  ConfigMap: "api/v1/configmaps",
  Secret: "api/v1/secrets",
  Service: "api/v1/services",
  ServiceAccount: "api/v1/serviceaccounts",
  PersistentVolumeClaim: "api/v1/persistentvolumeclaims",
  Pod: "api/v1/pods",
  Deployment: "apis/apps/v1/deployments",
  StatefulSet: "apis/apps/v1/statefulsets",
  Role: "apis/rbac.authorization.k8s.io/v1/roles",
  RoleBinding: "apis/rbac.authorization.k8s.io/v1/rolebindings",
  Ingress: "apis/networking.k8s.io/v1/ingresses",
  PodDisruptionBudget: "apis/policy/v1/poddisruptionbudgets",
  ManagedCertificate: "apis/networking.gke.io/v1/managedcertificates",
};

/** Pod Security level of the namespaces, as the program labels them. */
const LEVEL = { noetl: "restricted", gateway: "restricted", nats: "baseline" } as const;

let dir: string;
let cluster: Cluster;
let kubeconfig: KubeConfig;

beforeAll(async () => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-charts-"));
  cluster = await startCluster({
    dir,
    tools: await ensureTools(Object.keys(TOOLS) as ToolName[]),
  });
  kubeconfig = new KubeConfig();
  kubeconfig.loadFromString(cluster.kubeconfig);
  for (const [chart, level] of [
    ...Object.entries(LEVEL),
    ["noetl-prod", "restricted"],
    ["noetl-jobs", "baseline"],
    ...NATS_POD_SECURITY.map((each) => [`nats-${each}`, each]),
  ]) {
    const labels = { "pod-security.kubernetes.io/enforce": level };
    await send("POST", "/api/v1/namespaces", {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: chart, labels },
    });
  }
  // GKE brings this kind along; the fields are those the charts use.
  await send("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: {
      name: "managedcertificates.networking.gke.io",
      annotations: { "api-approved.kubernetes.io": "https://github.com/GoogleCloudPlatform/gke-managed-certs" },
    },
    spec: {
      group: "networking.gke.io",
      names: { kind: "ManagedCertificate", plural: "managedcertificates" },
      scope: "Namespaced",
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: {
              type: "object",
              properties: {
                spec: { type: "object", properties: { domains: { type: "array", items: { type: "string" } } } },
              },
            },
          },
        },
      ],
    },
  });
  await vi.waitFor(
    async () => expect((await send("GET", `/${PATHS.ManagedCertificate}`)).status, "ManagedCertificate").toBe(200),
    { timeout: 120_000, interval: 200 },
  );
});

afterAll(async () => {
  await cluster?.stop();
  fs.rmSync(dir, { recursive: true, force: true });
});

interface Answer {
  status: number;
  message: string;
  /** Of a SubjectAccessReview. */
  allowed: boolean | undefined;
  warnings: string[];
}

/** Sends an object to the API server. */
async function send(method: string, target: string, body?: unknown, type = "application/json"): Promise<Answer> {
  const url = new URL(target, kubeconfig.getCurrentCluster()?.server);
  const options: https.RequestOptions = { method, timeout: 60_000, headers: { "Content-Type": type } };
  await kubeconfig.applyToHTTPSOptions(options);
  return new Promise((resolve, reject) => {
    const request = https.request(url, options, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      response.on("end", () => {
        // A path that is not served yet is answered in plain text.
        const isJson = response.headers["content-type"]?.includes("json") ?? false;
        const { message = "", status } = isJson
          ? (JSON.parse(text) as { message?: string; status?: { allowed?: boolean } })
          : { message: text };
        const warnings = [response.headers.warning ?? []].flat();
        resolve({ status: response.statusCode ?? 0, message, allowed: status?.allowed, warnings });
      });
    });
    request.on("timeout", () => request.destroy(new Error(`${method} ${target}: no answer within 60 s`)));
    request.on("error", reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** Whether the API server would take an object: every check and admission, strict about unknown fields, nothing stored. */
function tryOut(object: KubeObject, namespace: string): Promise<Answer> {
  const served = PATHS[object.kind];
  if (!served) throw new Error(`no path for ${object.kind}`);
  const [group, plural] = [path.posix.dirname(served), path.posix.basename(served)];
  const query = "dryRun=All&fieldValidation=Strict&fieldManager=test&force=true";
  const target = `/${group}/namespaces/${namespace}/${plural}/${object.metadata.name}?${query}`;
  return send("PATCH", target, object, "application/apply-patch+yaml");
}

/** The form of an Ingress that GKE acts on, though Kubernetes calls it deprecated. */
const EXPECTED_WARNING = /annotation \\"kubernetes.io\/ingress.class\\" is deprecated/;

/** A pod as the controller of a workload creates it. */
function podOf(objects: readonly KubeObject[], workload: KubeObject): KubeObject & { spec: PodSpec } {
  const { name, namespace } = workload.metadata;
  const { metadata, spec: template } = podTemplate(objects, name, workload.kind);
  const claims = (workload.spec?.volumeClaimTemplates ?? []) as KubeObject[];
  const claimed = claims.map((claim) => ({
    name: claim.metadata.name,
    persistentVolumeClaim: { claimName: `${claim.metadata.name}-${name}-0` },
  }));
  const spec = { ...template, volumes: [...(template.volumes ?? []), ...claimed] };
  return { apiVersion: "v1", kind: "Pod", metadata: { ...metadata, name, ...(namespace ? { namespace } : {}) }, spec };
}

describe.each(CASES)("$name", ({ chart, values }) => {
  const refused = async (objects: readonly KubeObject[]) => {
    const answers = await Promise.all(
      objects.map(async (object) => ({
        object: `${object.kind}/${object.metadata.name}`,
        ...(await tryOut(object, object.metadata.namespace ?? chart)),
      })),
    );
    return answers.filter(
      ({ status, warnings }) =>
        ![200, 201].includes(status) || warnings.some((warning) => !EXPECTED_WARNING.test(warning)),
    );
  };

  it("is accepted by the API server, without a warning", async () => {
    expect(await refused(await render(chart, values))).toEqual([]);
  });

  it(`has pods that a namespace enforcing ${LEVEL[chart]} admits`, async () => {
    const objects = await render(chart, values);
    const workloads = objects.filter(({ kind }) => kind === "Deployment" || kind === "StatefulSet");
    expect(workloads.length).toBeGreaterThan(0);
    expect(await refused(workloads.map((workload) => podOf(objects, workload)))).toEqual([]);
  });
});

describe("NATS with the program's values", () => {
  const pods = async (podSecurity: NatsPodSecurity, more: object = {}) => {
    const values = natsValues({
      usersSecret: "nats-users",
      box: { user: "noetl", secret: "nats-box-1a2b3c4" },
      fileStoreSize: "5Gi",
      memoryStoreSize: "1Gi",
      memoryLimit: "1792Mi",
      replicas: 3,
      podSecurity,
    });
    const objects = await render("nats", merged(values, { promExporter: { enabled: true } }, more as Values));
    const workloads = objects.filter(({ kind }) => kind === "Deployment" || kind === "StatefulSet");
    expect(workloads.map(({ metadata }) => metadata.name).sort()).toEqual(["nats", "nats-box"]);
    return workloads.map((workload) => podOf(objects, workload));
  };
  const refusals = async (where: NatsPodSecurity, of: readonly KubeObject[]) =>
    (await Promise.all(of.map((each) => tryOut(each, `nats-${where}`))))
      .filter(({ status }) => ![200, 201].includes(status))
      .map(({ message }) => message);

  it.each(NATS_POD_SECURITY)("%s: its namespace admits every pod", async (level) => {
    expect(await refusals(level, await pods(level))).toEqual([]);
  });

  it("the step that runs as root is what restricted does not admit, and nothing else", async () => {
    const refused = await refusals("restricted", await pods("baseline"));
    expect(refused).toEqual([expect.stringMatching(/violates PodSecurity "restricted.*volume-owner/)]);
    expect(refused[0]).not.toMatch(/container(s)? "(nats|reloader|nats-box|prom-exporter)"/);
  });

  it.each<[string, (pod: KubeObject & { spec: PodSpec }) => void, RegExp]>([
    ["seccomp", ({ spec }) => delete spec.securityContext.seccompProfile, /seccompProfile/],
    ["runAsNonRoot", ({ spec }) => delete spec.securityContext.runAsNonRoot, /runAsNonRoot/],
    ["a user that is not root", ({ spec }) => (spec.securityContext.runAsUser = 0), /runAsUser/],
    ["no capabilities", ({ spec }) => delete spec.containers[0]?.securityContext, /unrestricted capabilities/],
  ])("and would refuse each without %s", async (_, spoil, why) => {
    const spoilt = await pods("restricted");
    for (const pod of spoilt) spoil(pod);
    const refused = await refusals("restricted", spoilt);
    expect(refused).toHaveLength(2);
    for (const message of refused) expect(message).toMatch(why);
  });

  it.each(NATS_POD_SECURITY)(
    "%s: no token, no account of others, nothing of its file system can be written",
    async (level) => {
      for (const { metadata, spec } of await pods(level)) {
        expect(spec).toMatchObject({ automountServiceAccountToken: false, serviceAccountName: metadata.name });
        for (const { name, securityContext } of [...spec.containers, ...(spec.initContainers ?? [])])
          expect(securityContext, name).toMatchObject({
            readOnlyRootFilesystem: true,
            allowPrivilegeEscalation: false,
          });
        expect(spec.initContainers?.map(({ name }) => name) ?? []).toEqual(
          level === "baseline" && metadata.name === "nats" ? ["volume-owner"] : [],
        );
        // Its image is the server's, which has a shell.
        for (const { image } of spec.initContainers ?? []) expect(image).toBe(spec.containers[0]?.image);
      }
    },
  );
});

/** A pod as NoETL's tool `script` (2.8.9) has its job make it. */
const jobPod = (namespace: string): KubeObject => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "script-load-1", namespace, labels: { job: "script-load-1" } },
  spec: {
    restartPolicy: "Never",
    containers: [
      {
        name: "script-runner",
        image: "python:3.11-slim",
        command: ["sh", "-c", "python3 -u /scripts/script.py '{}'"],
        volumeMounts: [{ name: "script-volume", mountPath: "/scripts" }],
      },
    ],
    volumes: [{ name: "script-volume", configMap: { name: "script-load-1-script" } }],
  },
});

describe("what a worker may do in the cluster", () => {
  const GROUPS = { jobs: "batch" } as Record<string, string>;
  const may = async (who: string, namespace: string, [verb, resource, subresource]: readonly string[]) => {
    const group = GROUPS[resource ?? ""] ?? "";
    const resourceAttributes = { namespace, verb, group, resource, ...(subresource ? { subresource } : {}) };
    const { allowed } = await send("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SubjectAccessReview",
      spec: {
        user: `system:serviceaccount:noetl:${who}`,
        groups: ["system:serviceaccounts", "system:serviceaccounts:noetl", "system:authenticated"],
        resourceAttributes,
      },
    });
    expect(allowed).toBeTypeOf("boolean");
    return allowed;
  };
  const VERBS = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];
  const RESOURCES = ["secrets", "configmaps", "pods", "jobs", "serviceaccounts", "services", "pods/exec", "pods/log"];
  const rights = async (who: string, namespace: string) => {
    const asked = RESOURCES.flatMap((resource) => VERBS.map((verb) => [verb, ...resource.split("/")]));
    const answers = await Promise.all(asked.map((each) => may(who, namespace, each)));
    return asked.filter((_, index) => answers[index]).map(([verb, ...resource]) => `${verb} ${resource.join("/")}`);
  };
  const clear = async () => {
    for (const namespace of ["noetl", "noetl-jobs"])
      for (const kind of ["rolebindings", "roles"])
        await send("DELETE", `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/${kind}`);
  };
  afterAll(clear);
  /** The rights of a rendered chart, and none of another. */
  const install = async (jobs: object) => {
    await clear();
    for (const object of await render("noetl", merged(REQUIRED.noetl, { worker: { jobs } }))) {
      if (!["Role", "RoleBinding"].includes(object.kind)) continue;
      const served = PATHS[object.kind] ?? "";
      const [group, plural] = [path.posix.dirname(served), path.posix.basename(served)];
      const target = `/${group}/namespaces/${object.metadata.namespace}/${plural}/${object.metadata.name}?fieldManager=test`;
      const { status, message } = await send("PATCH", target, object, "application/apply-patch+yaml");
      expect([200, 201], message).toContain(status);
    }
  };
  /** What NoETL's tools container and script (2.8.9) call. */
  const CALLED = [
    "create secrets",
    "delete secrets",
    "create configmaps",
    "delete configmaps",
    "get pods",
    "list pods",
    "watch pods",
    "get jobs",
    "list jobs",
    "watch jobs",
    "create jobs",
    "delete jobs",
    "get pods/log",
    "list pods/log",
  ];
  /** The authorizer takes its rules from a cache. */
  const eventually = (namespace: string, expected: string[]) =>
    vi.waitFor(async () => expect(await rights("noetl-worker", namespace)).toEqual(expected), {
      timeout: 90_000,
      interval: 200,
    });

  it("by default what jobs need, in NoETL's namespace, and to read no Secret", async () => {
    await install({});
    await eventually("noetl", CALLED);
    expect(await rights("noetl-worker", "noetl-jobs")).toEqual([]);
  });

  it("with a namespace for jobs the same there, and nothing in NoETL's", async () => {
    await install({ namespace: "noetl-jobs" });
    await eventually("noetl-jobs", CALLED);
    await eventually("noetl", []);
  });

  it("without jobs nothing anywhere, and its pods have no token", async () => {
    await install({ enabled: false });
    await eventually("noetl-jobs", []);
    await eventually("noetl", []);
    const template = podTemplate(
      await render("noetl", merged(REQUIRED.noetl, { worker: { jobs: { enabled: false } } })),
      "noetl-worker",
    );
    expect(template.spec.automountServiceAccountToken).toBe(false);
  });

  it("a server nothing in any case", async () => {
    await install({});
    await eventually("noetl", CALLED);
    for (const namespace of ["noetl", "noetl-jobs"]) expect(await rights("noetl-server", namespace)).toEqual([]);
  });

  it("and a job of NoETL's tools has a pod where the namespace is its own, not in NoETL's", async () => {
    expect(await tryOut(jobPod("noetl-jobs"), "noetl-jobs")).toMatchObject({ status: 201 });
    expect(await tryOut(jobPod("noetl"), "noetl")).toMatchObject({
      status: 403,
      message: expect.stringMatching(/violates PodSecurity "restricted/) as string,
    });
  });
});

it("would be refused if one of the settings for Pod Security were missing", async () => {
  const objects = await render("noetl", REQUIRED.noetl);
  const worker = objects.find(({ kind, metadata }) => kind === "Deployment" && metadata.name === "noetl-worker");
  if (!worker) throw new Error("no worker");
  const pod = podOf(objects, worker);
  const { seccompProfile: _, ...securityContext } = pod.spec.securityContext;
  const answer = await tryOut({ ...pod, spec: { ...pod.spec, securityContext } }, "noetl");
  expect(answer).toMatchObject({
    status: 403,
    message: expect.stringMatching(/violates PodSecurity "restricted.*seccompProfile/) as string,
  });
});

it("would be refused with a field that Kubernetes does not know", async () => {
  const [object] = (await render("gateway", REQUIRED.gateway)).filter(({ kind }) => kind === "Service");
  const answer = await tryOut({ ...object, spec: { ...object?.spec, colour: "red" } } as KubeObject, "gateway");
  expect(answer.message).toContain(".spec.colour: field not declared in schema");
});

it.each([
  [
    "noetl",
    {
      config: { worker: { NATS_URL: "nats://noetl:canary-c0de@nats:4222" } },
      secrets: { postgresPassword: "canary-c0de" },
    },
  ],
  ["gateway", { env: { natsUrl: "nats://noetl:canary-c0de@nats:4222" } }],
] as ["noetl" | "gateway", Values][])("helm shows no credential of %s, in the notes neither", async (chart, values) => {
  const shown = await rehearsal(chart, merged(REQUIRED[chart], values), cluster.kubeconfigPath);
  expect(shown).toContain("NOTES:");
  expect(shown).not.toContain("canary-c0de");
});
