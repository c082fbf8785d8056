import { describe, expect, it } from "vitest";
import { type EnvVariable, gatewayValue, variablesOf } from "../../contract/env";
import { REQUIRED } from "./cases";
import {
  type ChartName,
  type KubeObject,
  type Values,
  deployed,
  merged,
  podTemplate,
  render,
  secretData,
} from "./helm";

const DEPLOYMENTS = [
  {
    chart: "noetl",
    deployment: "noetl-server",
    table: variablesOf("server"),
    set: setIn("server"),
    plain: "ConfigMap",
  },
  {
    chart: "noetl",
    deployment: "noetl-worker",
    table: variablesOf("worker"),
    set: setIn("worker"),
    plain: "ConfigMap",
  },
  { chart: "gateway", deployment: "gateway", table: variablesOf("gateway"), set: setEnv, plain: "literal" },
] as const satisfies readonly { chart: ChartName; [key: string]: unknown }[];

function setIn(role: "server" | "worker") {
  return (variables: Values): Values => ({ config: { [role]: variables } });
}

function setEnv(variables: Values): Values {
  return {
    env: Object.fromEntries(Object.entries(variables).map(([name, value]) => [gatewayValue(name), value])),
  };
}

/** A value that is not the default and that every check accepts. */
function another({ name, default: def }: EnvVariable): string {
  if (name === "NATS_URL") return "nats://somebody:something@elsewhere:4223";
  if (name === "CORS_ALLOWED_ORIGINS") return "https://noetl.example.org";
  if (name === "NATS_UPDATES_SUBJECT_PREFIX") return "noetl.events.";
  // Less than half of the timeout, which is 77.
  if (name === "NOETL_WORKER_NATS_FETCH_HEARTBEAT_SECONDS") return "7.5";
  return def !== undefined && /^[0-9]+$/.test(def) ? "77" : "another_value";
}

describe.each(DEPLOYMENTS)("environment of $deployment", ({ chart, deployment, table, set, plain }) => {
  it.each(table.filter((variable) => variable.default !== undefined))("$name has its default", async (variable) => {
    const env = deployed(await render(chart, REQUIRED[chart]), deployment);
    expect(env[variable.name]).toEqual({ value: variable.default, source: variable.secret ? "Secret" : plain });
  });

  it("takes every variable of the specification from the values, credentials by way of a Secret", async () => {
    const wanted = Object.fromEntries(table.map((variable) => [variable.name, another(variable)]));
    const env = deployed(await render(chart, merged(REQUIRED[chart], set(wanted))), deployment);
    expect(Object.fromEntries(table.map(({ name }) => [name, env[name]]))).toEqual(
      Object.fromEntries(
        table.map(({ name, secret }) => [name, { value: wanted[name], source: secret ? "Secret" : plain }]),
      ),
    );
  });

  it("takes numbers as numbers or as text", async () => {
    const numbers = table.filter((variable) => variable.default !== undefined && /^[0-9]+$/.test(variable.default));
    const isHeartbeat = (name: string) => name.endsWith("_HEARTBEAT_SECONDS");
    const wanted = Object.fromEntries(numbers.map(({ name }) => [name, isHeartbeat(name) ? 100000 : 1000000]));
    const env = deployed(await render(chart, merged(REQUIRED[chart], set(wanted))), deployment);
    expect(Object.fromEntries(numbers.map(({ name }) => [name, env[name]?.value]))).toEqual(
      Object.fromEntries(numbers.map(({ name }) => [name, String(wanted[name])])),
    );
  });

  it("gives the container a value as it stands, also where Kubernetes would take a part of it for a variable", async () => {
    const subject = "a$$b.$(NATS_STREAM).$c";
    const variable = chart === "gateway" ? "NATS_CALLBACK_SUBJECT_PREFIX" : "NATS_SUBJECT";
    const env = deployed(await render(chart, merged(REQUIRED[chart], set({ [variable]: subject }))), deployment);
    expect(env[variable]).toEqual({ value: subject, source: plain });
  });

  it("has the connection that the specification requires", async () => {
    const env = deployed(await render(chart, REQUIRED[chart]), deployment);
    expect(env.NATS_URL).toEqual({ value: "nats://nats.nats.svc.cluster.local:4222", source: "Secret" });
  });
});

describe("credentials", () => {
  const CANARY = "canary-5f1d";
  const noetl = (): Values =>
    merged(REQUIRED.noetl, {
      config: {
        server: {
          NATS_URL: `nats://noetl:${CANARY}-1@nats:4222`,
          NATS_PASSWORD: `${CANARY}-2`,
          NOETL_INTERNAL_API_TOKEN: `${CANARY}-3`,
          client_secret: `${CANARY}-4`,
          NOETL_ENCRYPTION_KEY: `${CANARY}-5`,
          RESULTS_STORE: `s3://user:${CANARY}-6@store/bucket`,
          SERVICE_ACCOUNT: `{"key": "-----BEGIN PRIVATE KEY-----${CANARY}-7"}`,
          LICENCE: `${CANARY}-8`,
        },
        worker: {
          NATS_URL: `nats://noetl:${CANARY}-9@nats:4222`,
          NOETL_SERVER_URL: `http://worker:${CANARY}-10@api:8082`,
          LICENCE: `${CANARY}-11`,
        },
      },
      secrets: { postgresPassword: `${CANARY}-12`, noetlPassword: `${CANARY}-13`, variables: ["LICENCE"] },
    });
  const gateway = (): Values =>
    merged(REQUIRED.gateway, {
      env: { natsUrl: `nats://noetl:${CANARY}-1@nats:4222`, noetlBaseUrl: `http://gateway:${CANARY}-2@noetl:8082` },
      extraEnv: { NOETL_INTERNAL_API_TOKEN: `${CANARY}-3`, LICENCE: `${CANARY}-4` },
      secrets: { variables: ["LICENCE"] },
    });

  it.each([
    { chart: "noetl", values: noetl(), count: 13 },
    { chart: "gateway", values: gateway(), count: 4 },
  ] as const)("$chart: are in Secrets and nowhere else", async ({ chart, values, count }) => {
    const objects = await render(chart, values);
    const isSecret = (object: KubeObject) => object.kind === "Secret";
    const inSecrets = objects
      .filter(isSecret)
      .flatMap((secret) => Object.values(secretData(secret)))
      .join("\n");
    const planted = Array.from({ length: count }, (_, i) => `${CANARY}-${i + 1}`);
    expect(planted.filter((canary) => !inSecrets.includes(canary))).toEqual([]);
    const elsewhere = JSON.stringify(objects.filter((object) => !isSecret(object)));
    expect(elsewhere).not.toContain(CANARY);
    // In whatever way the canary falls into base64's groups of three.
    for (const shift of ["", "x", "xx"]) {
      expect(elsewhere).not.toContain(Buffer.from(`${shift}${CANARY}`).toString("base64").slice(4, -4));
    }
  });

  it("leave what is not a credential in the ConfigMap", async () => {
    const env = deployed(
      await render("noetl", merged(REQUIRED.noetl, { config: { server: { KEYBOARD: "x", PASSWORD_LENGTH: 8 } } })),
      "noetl-server",
    );
    expect([env.KEYBOARD?.source, env.PASSWORD_LENGTH?.source]).toEqual(["ConfigMap", "ConfigMap"]);
  });

  it("of the database reach the server only", async () => {
    const objects = await render("noetl", REQUIRED.noetl);
    expect(deployed(objects, "noetl-server").POSTGRES_PASSWORD).toEqual({ value: "admin-password", source: "Secret" });
    expect(deployed(objects, "noetl-server").NOETL_PASSWORD).toEqual({ value: "noetl-password", source: "Secret" });
    expect(Object.keys(deployed(objects, "noetl-worker"))).not.toContain("POSTGRES_PASSWORD");
  });

  it("in the server's URL still reach the container that waits for it", async () => {
    const objects = await render("noetl", noetl());
    expect(podTemplate(objects, "noetl-worker").spec.initContainers?.[0]?.env?.[0]).toEqual({
      name: "NOETL_SERVER_URL",
      valueFrom: { secretKeyRef: { name: "noetl-worker-credentials", key: "NOETL_SERVER_URL" } },
    });
  });
});

describe("HOME, which user 1000 of the image does not have", () => {
  it.each([
    ["noetl-server", "noetl-server"],
    ["noetl-worker", "worker"],
  ])("is a folder of its own that %s may write", async (deployment, container) => {
    const objects = await render("noetl", REQUIRED.noetl);
    const home = deployed(objects, deployment).HOME?.value;
    const { spec } = podTemplate(objects, deployment);
    const mounts = spec.containers.find(({ name }) => name === container)?.volumeMounts;
    const mount = (mounts as { name: string; mountPath: string }[]).find(({ mountPath }) => mountPath === home);
    expect(mount).toEqual({ name: "noetl-home", mountPath: "/opt/noetl/home" });
    expect(spec.volumes).toContainEqual({ name: mount?.name, emptyDir: { sizeLimit: "2Gi" } });
    expect(spec.securityContext).toMatchObject({ runAsUser: 1000, fsGroup: 1000 });
  });

  it("can be set to another folder", async () => {
    const config = { worker: { HOME: "/opt/noetl/data" } };
    const env = deployed(await render("noetl", merged(REQUIRED.noetl, { config })), "noetl-worker");
    expect(env.HOME).toEqual({ value: "/opt/noetl/data", source: "ConfigMap" });
  });
});

describe("NATS_USER and NATS_PASSWORD, which win over the URL where NoETL opens its buckets", () => {
  it.each([
    ["nats://somebody:some-password@nats:4222", {}, "somebody", "some-password"],
    ["nats://nats:4222", {}, "noetl", undefined],
    ["nats://a:4222, nats://somebody:some-password@b:4222", {}, "somebody", "some-password"],
    ["nats://somebody:some-password@nats:4222", { NATS_USER: "somebody" }, "somebody", "some-password"],
    ["nats://somebody:some-password@nats:4222", { NATS_USER: "another" }, "another", undefined],
    ["nats://somebody:x@nats:4222", { NATS_USER: "another", NATS_PASSWORD: "own" }, "another", "own"],
    ["nats://somebody:x@nats:4222", { NATS_PASSWORD: "own" }, "somebody", "own"],
  ] as const)("of %s with %j", async (url, set, user, password) => {
    const config = { server: { NATS_URL: url, ...set }, worker: { NATS_URL: url, ...set } };
    const objects = await render("noetl", merged(REQUIRED.noetl, { config }));
    for (const name of ["noetl-server", "noetl-worker"]) {
      const env = deployed(objects, name);
      expect(env.NATS_USER, name).toEqual({ value: user, source: "ConfigMap" });
      expect(env.NATS_PASSWORD, name).toEqual(
        password === undefined ? undefined : { value: password, source: "Secret" },
      );
    }
  });
});

describe("what restarts pods", () => {
  const base = merged(REQUIRED.noetl, { secrets: { revision: "r1" }, chartDigest: "a" });
  const templates = async (values: Values) => {
    const objects = await render("noetl", merged(base, values));
    return { server: podTemplate(objects, "noetl-server"), worker: podTemplate(objects, "noetl-worker") };
  };
  const changed = async (values: Values) => {
    const [before, after] = await Promise.all([templates({}), templates(values)]);
    return (["server", "worker"] as const).filter(
      (role) => JSON.stringify(before[role]) !== JSON.stringify(after[role]),
    );
  };

  it.each([
    ["a setting of the worker", { config: { worker: { NOETL_WORKER_NATS_MAX_ACK_PENDING: "65" } } }, ["worker"]],
    ["a setting of the server", { config: { server: { LOG_LEVEL: "DEBUG" } } }, ["server"]],
    ["a new setting", { config: { server: { NEW: "x" } } }, ["server"]],
    ["a removed setting", { config: { worker: { NOETL_DEFAULT_STORAGE_TIER: null } } }, ["worker"]],
    ["the revision of the credentials", { secrets: { revision: "r2" } }, ["server", "worker"]],
    ["a further credential", { config: { worker: { API_TOKEN: "x" } } }, ["worker"]],
    ["the image", { image: { tag: "v2.9.0" } }, ["server", "worker"]],
  ] as [string, Values, string[]][])("%s does", async (_, values, roles) => {
    expect(await changed(values)).toEqual(roles);
  });

  it.each([
    ["nothing", {}],
    // The revision says so instead; a hash of a password in an annotation could be tried out against a list.
    [
      "a credential by itself",
      { config: { worker: { NATS_URL: "nats://u:other@nats:4222", NATS_PASSWORD: "other" } } },
    ],
    ["the chart's digest", { chartDigest: "b" }],
    ["the number of workers", { worker: { replicas: 9 } }],
  ] as [string, Values][])("%s does not", async (_, values) => {
    const first = { config: { worker: { NATS_URL: "nats://u:some@nats:4222" } } };
    const [before, after] = await Promise.all([templates(first), templates(merged(first, values))]);
    expect(after).toEqual(before);
  });

  it("is the release's revision where no revision of the credentials is given", async () => {
    const objects = await render("noetl", REQUIRED.noetl);
    expect(podTemplate(objects, "noetl-server").metadata.annotations?.["secrets/revision"]).toBe("1");
  });

  it.each([
    ["a setting", { env: { natsSessionBucket: "others" } }],
    ["the revision of the credentials", { secrets: { revision: "r2" } }],
  ] as [string, Values][])("of the gateway: %s does", async (_, values) => {
    const template = async (more: Values) =>
      podTemplate(await render("gateway", merged(REQUIRED.gateway, { secrets: { revision: "r1" } }, more)), "gateway");
    expect(await template(values)).not.toEqual(await template({}));
  });
});
