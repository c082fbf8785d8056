import { gunzipSync } from "node:zlib";
import * as fs from "node:fs";
import * as path from "node:path";
import type * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { beforeAll, describe, expect, it } from "vitest";
import type * as Components from "../../components/index.js";
import { fileStoreLimit } from "../../contract/nats/file-store";
import { splitImage } from "../../components/shared";
import { gatewayValue, variablesOf } from "../../contract/env";
import { projectRoot } from "../../contract/project";
import { type Declared, recordResources, settled, unwrap, valueOf } from "../support/mocks";
import { reversed } from "../support/reversed";

type Values = Record<string, Record<string, never>>;

let declared: Declared[];
let library: typeof Components;

const read = (file: string) => fs.readFileSync(path.join(projectRoot(), file), "utf8");

beforeAll(async () => {
  declared = await recordResources();
  library = await import("../../components/index.js");
});

const of = (type: string, name: string): Declared => {
  const found = declared.find((each) => each.type === type && each.name === name);
  if (!found) throw new Error(`no ${type} ${name} among ${declared.map((each) => each.name).join(", ")}`);
  return found;
};
const release = (name: string) => unwrap(of("kubernetes:helm.sh/v3:Release", name).inputs) as Record<string, unknown>;

type ReleaseArgs = k8s.helm.v3.ReleaseArgs;

describe("pure values", () => {
  it("leave a tenth of the volume free", () => expect(fileStoreLimit("5Gi")).toBe("4608Mi"));
  it.each([
    ["postgres:17.4", "postgres", "17.4"],
    ["localhost:5000/noetl", "localhost:5000/noetl", "latest"],
    ["registry.example.com:5000/a/b:v1", "registry.example.com:5000/a/b", "v1"],
    ["a/b@sha256:00ff", "a/b@sha256", "00ff"],
  ])("split %s", (reference, repository, tag) => expect(splitImage(reference)).toEqual({ repository, tag }));
});

describe("NatsJetStream", () => {
  it("installs the pinned chart with the documented defaults and no password in the values", async () => {
    const nats = new library.NatsJetStream("nats", { password: pulumi.secret("canary-password") });
    expect(await valueOf(nats.host)).toBe("nats.nats.svc.cluster.local");
    expect(await valueOf(nats.url)).toBe("nats://noetl:canary-password@nats.nats.svc.cluster.local:4222");
    expect(await pulumi.isSecret(nats.url)).toBe(true);
    expect(await valueOf(nats.revision)).toBe(3);

    const args = release("nats-release");
    expect(args).toMatchObject({
      chart: "nats",
      version: "2.14.2",
      name: "nats",
      namespace: "nats",
      values: {
        config: {
          cluster: { enabled: false },
          jetstream: {
            fileStore: { maxSize: "4608Mi", pvc: { size: "5Gi" } },
            memoryStore: { enabled: true, maxSize: "1Gi" },
          },
          merge: { authorization: { users$include: "../nats-users/users.conf" } },
        },
        container: { merge: { resources: { limits: { memory: "1792Mi" } } } },
        podTemplate: { patch: [{ value: { name: "users", secret: { secretName: "nats-users" } } }, { op: "copy" }] },
        natsBox: { enabled: false },
      },
    });
    expect(declared.filter(({ name }) => name === "nats-box")).toEqual([]);
    expect(JSON.stringify(args)).not.toContain("canary");
    const users = of("kubernetes:core/v1:Secret", "nats-users").inputs;
    expect(unwrap(users.stringData)).toEqual({
      "users.conf": 'users: [\n  {"user":"noetl","password":"canary-password"}\n]\n',
    });
    expect(JSON.stringify(users.stringData)).toContain("4dabf18193072939515e22adb298388d");
  });

  it("has nats-box where it is asked for, logged in as NoETL's user or as one of its own", async () => {
    const extraUsers = [{ name: "operator", password: "canary-operator", permissions: { publish: ["$JS.API.>"] } }];
    const more = { password: "canary-password", extraUsers };
    new library.NatsJetStream("shared", { ...more, box: true });
    new library.NatsJetStream("own", { ...more, box: { user: "operator", inbox: "_INBOX_operator" } });
    await settled(declared);
    const boxOf = (name: string) => {
      const { stringData } = of("kubernetes:core/v1:Secret", `${name}-box`).inputs;
      expect(JSON.stringify(stringData)).toContain("4dabf18193072939515e22adb298388d");
      const { natsBox } = release(`${name}-release`).values as { natsBox: Record<string, never> };
      expect(JSON.stringify(natsBox)).not.toContain("canary");
      return { natsBox, stringData: unwrap(stringData) };
    };
    const login = (name: string, user: string) => ({
      NATS_USER: user,
      NATS_PASSWORD: { valueFrom: { secretKeyRef: { name: `${name}-box`, key: "password" } } },
    });
    const shared = boxOf("shared");
    expect(shared).toMatchObject({
      stringData: { password: "canary-password" },
      natsBox: { container: { env: login("shared", "noetl") } },
    });
    expect(shared.natsBox).not.toHaveProperty("contexts");
    expect(boxOf("own")).toMatchObject({
      stringData: { password: "canary-operator" },
      natsBox: {
        container: { env: login("own", "operator") },
        contexts: { default: { merge: { inbox_prefix: "_INBOX_operator" } } },
      },
    });
    expect(() => new library.NatsJetStream("other", { ...more, box: { user: "somebody" } })).toThrow(
      'box.user is "somebody", which extraUsers has not; allowed: operator, or box true',
    );
  });

  it("changes its users in two steps where it knows the way to the cluster, every password a secret", async () => {
    const extraUsers = [{ name: "watcher", password: "canary-watcher" }];
    const cluster = { kubeconfig: "canary-kubeconfig", context: "kind-noetl" };
    const nats = new library.NatsJetStream("steps", { password: "canary-password", extraUsers, cluster });
    nats.retireOldLogins([]);
    await settled(declared);
    expect(declared.filter(({ name, type }) => name === "steps-users" && type.includes("kubernetes"))).toEqual([]);
    const shared = {
      namespace: "nats",
      secretName: "nats-users",
      user: "noetl",
      password: "canary-password",
      extraUsers: [{ user: "watcher", password: "canary-watcher" }],
      ...cluster,
    };
    for (const [name, step] of [
      ["steps-users", "admit"],
      ["steps-users-settled", "retire"],
    ] as const) {
      const { inputs } = of("pulumi-nodejs:dynamic/noetl-nats:NatsUsers", name);
      expect(unwrap(inputs)).toMatchObject({ ...shared, step });
      for (const secret of [inputs.password, inputs.kubeconfig, inputs.extraUsers]) {
        expect(JSON.stringify(secret), name).toContain("4dabf18193072939515e22adb298388d");
      }
    }
    expect(release("steps-release").values).toMatchObject({
      podTemplate: { patch: [{ value: { secret: { secretName: "nats-users" } } }, { op: "copy" }] },
    });
  });

  it("gives a user of its own to each part that is to have one, and its login to that part alone", async () => {
    const extraUsers = [
      { name: "noetl-server", password: "canary-server", rotates: true },
      { name: "noetl-worker", password: "canary-worker", rotates: true },
    ];
    const nats = new library.NatsJetStream("parts", { password: "canary-operator", extraUsers, namespace: "parts" });
    const database = { host: "db", port: 5432, database: "noetl", user: "noetl", password: "x" };
    const natsLogins = { server: nats.loginOf("noetl-server"), worker: nats.loginOf("noetl-worker") };
    new library.Noetl("parts-noetl", { nats, natsLogins, database, namespace: "parts-noetl" });
    await settled(declared);
    const { config } = unwrap(release("parts-noetl-release").values) as {
      config: Record<"server" | "worker", Record<string, string>>;
    };
    for (const part of ["server", "worker"] as const) {
      expect(config[part]).toMatchObject({
        NATS_URL: `nats://noetl-${part}:canary-${part}@nats.parts.svc.cluster.local:4222`,
        NATS_USER: `noetl-${part}`,
        NATS_PASSWORD: `canary-${part}`,
        NATS_INBOX_PREFIX: `_INBOX_noetl_${part}`,
      });
    }
    expect(JSON.stringify(config)).not.toContain("canary-operator");
    expect(() => nats.loginOf("nobody")).toThrow("extraUsers has no nobody");
  });

  it("has its namespace enforce what its pods were made for", async () => {
    new library.NatsJetStream("handed", { password: "x", namespace: "handed" });
    new library.NatsJetStream("strict", { password: "x", namespace: "strict", podSecurity: "restricted" });
    await settled(declared);
    const enforced = (name: string) =>
      of("kubernetes:core/v1:Namespace", `${name}-namespace`).inputs.metadata as { labels: Record<string, string> };
    // The Kubernetes that the charts' tests ask: what it admits is what is enforced.
    const [tested] = /(?<=k8s\.io\/kubernetes )v1\.\d+/.exec(read("embedded/toolchain/stack/go.mod")) ?? [];
    expect(enforced("handed").labels).toMatchObject({
      "pod-security.kubernetes.io/enforce": "baseline",
      "pod-security.kubernetes.io/enforce-version": tested,
    });
    expect(enforced("strict").labels).toMatchObject({ "pod-security.kubernetes.io/enforce": "restricted" });
    for (const name of ["handed", "strict"])
      expect(release(`${name}-release`).values).toMatchObject({
        podTemplate: {
          merge: { spec: { automountServiceAccountToken: false, securityContext: { runAsNonRoot: true } } },
        },
      });
    expect(JSON.stringify(release("handed-release").values)).toContain("volume-owner");
    expect(JSON.stringify(release("strict-release").values)).not.toContain("volume-owner");
  });

  it("draws another password for another revision, and none for the first", async () => {
    new library.NatsJetStream("drawn", {});
    new library.NatsJetStream("again", { passwordRevision: 2 });
    await settled(declared);
    const RANDOM = "random:index/randomPassword:RandomPassword";
    expect(of(RANDOM, "drawn-password").inputs).not.toHaveProperty("keepers");
    expect(of(RANDOM, "again-password").inputs).toMatchObject({ keepers: { revision: "2" } });
  });

  it("opens NodePorts, names a storage class and forms a cluster on demand", async () => {
    new library.NatsJetStream("kind", {
      password: "x",
      replicas: 3,
      storageClass: "fast",
      clientNodePort: 30422,
      monitorNodePort: 30822,
    });
    await settled(declared);
    expect(release("kind-release").values).toMatchObject({
      config: {
        cluster: { enabled: true, replicas: 3 },
        jetstream: { fileStore: { pvc: { storageClassName: "fast" } } },
      },
      service: {
        merge: { spec: { type: "NodePort" } },
        ports: { nats: { nodePort: 30422 }, monitor: { enabled: true, nodePort: 30822 } },
      },
    });
  });

  it("has the routes of a cluster authenticated, with a password that only a Secret holds", async () => {
    new library.NatsJetStream("trio", { password: "x", replicas: 3 });
    new library.NatsJetStream("lone", { password: "x" });
    await settled(declared);
    const fromSecret = (key: string) => ({ valueFrom: { secretKeyRef: { name: "trio-routes", key } } });
    expect(release("trio-release").values).toMatchObject({
      config: {
        cluster: {
          merge: {
            authorization: { user: "route", password: "<< $NATS_ROUTE_PASSWORD >>" },
            routes: "<< $NATS_ROUTES >>",
          },
        },
      },
      container: {
        env: { NATS_ROUTE_PASSWORD: fromSecret("password.conf"), NATS_ROUTES: fromSecret("routes.conf") },
      },
    });
    const { stringData } = of("kubernetes:core/v1:Secret", "trio-routes").inputs;
    const password = "generated-trio-route-password";
    expect(JSON.stringify(stringData)).toContain("4dabf18193072939515e22adb298388d");
    const keys = unwrap(stringData) as Record<string, string>;
    expect(keys["password.conf"]).toBe(`"${password}"`);
    expect(JSON.parse(keys["routes.conf"] ?? "")).toEqual(
      [0, 1, 2].map((index) => `nats://route:${password}@nats-${index}.nats-headless:6222`),
    );
    expect(declared.filter(({ name }) => name.startsWith("lone-rout"))).toEqual([]);
  });

  it("adds users, each with its permissions and a password of its own in the Secret", async () => {
    const permissions = { subscribe: ["noetl.>"], publish: { deny: [">"] } };
    new library.NatsJetStream("more", { password: "x", extraUsers: [{ name: "watcher", password: "y", permissions }] });
    await settled(declared);
    const { stringData } = of("kubernetes:core/v1:Secret", "more-users").inputs;
    expect((unwrap(stringData) as Record<string, string>)["users.conf"]).toContain(
      `{"user":"watcher","password":"y","permissions":${JSON.stringify(permissions)}}`,
    );
  });

  it("has another revision of its servers exactly where their pods restart", async () => {
    const revision = (name: string, args: Components.NatsJetStreamArgs) =>
      valueOf(new library.NatsJetStream(name, { password: "x", ...args }).serversRevision);
    const first = await revision("same", {});
    expect(first).toMatch(/^[0-9a-f]{64}$/);
    const resources = { requests: { cpu: "10m", memory: "32Mi" }, limits: { memory: "32Mi" } };
    const beside: Components.NatsJetStreamArgs[] = [
      { clientNodePort: 30422 },
      { boxResources: resources },
      { timeoutSeconds: 30 },
    ];
    for (const args of beside) expect(await revision("same", args), JSON.stringify(args)).toBe(first);
    const theirs: Components.NatsJetStreamArgs[] = [
      { replicas: 3 },
      { memoryStoreSize: "2Gi" },
      { reloaderResources: resources },
      { chart: { ...library.NATS_CHART, version: "2.14.1" } },
      { transform: (args) => ({ ...args, values: { tlsCA: { enabled: true } } }) },
    ];
    for (const args of theirs) expect(await revision("same", args), JSON.stringify(args)).not.toBe(first);
    const written: Components.NatsJetStreamArgs[] = [{}, ...theirs.slice(0, 3)];
    for (const args of written) {
      const otherwise = { ...args, transform: (made: ReleaseArgs) => reversed(made) as ReleaseArgs };
      expect(await revision("same", otherwise), JSON.stringify(args)).toBe(await revision("same", args));
    }
  });

  it("refuses servers and users that cannot work, all at once", () => {
    const extraUsers = [
      { name: "noetl", password: "x" },
      { name: "a b", password: "p@ss" },
    ];
    expect(() => new library.NatsJetStream("odd", { replicas: 2, extraUsers, namespace: "My NATS" })).toThrow(
      new RegExp(
        [
          "namespace is not a Kubernetes name; allowed: lower-case letters, digits and -, at most 63; for example nats;\n",
          String.raw`extraUsers\[1\].name is .+; for example operator;` + "\n",
          String.raw`extraUsers\[1\].password is .+; for example .+;` + "\n",
          "replicas is 2; allowed: 1, 3 or 5; for example 3;\n",
          String.raw`extraUsers\[0\].name is another user's; allowed: a name of its own; for example operator$`,
        ].join("(?:.*\n)*"),
      ),
    );
    expect(() => new library.NatsJetStream("secret", { extraUsers })).not.toThrow(/p@ss/);
  });

  it("refuses sizes that cannot work", () => {
    expect(() => new library.NatsJetStream("bad", { fileStoreSize: "5GB" })).toThrow(
      /fileStoreSize is not a Kubernetes/,
    );
    expect(() => new library.NatsJetStream("small", { memoryStoreSize: "2Gi", memoryLimit: "2049Mi" })).toThrow(
      /memoryStoreSize 2Gi does not fit into memoryLimit 2049Mi; allowed: unset, or at least 2560Mi/,
    );
    const resources = { requests: { cpu: "10m", memory: "64Mi" }, limits: { memory: "1Gi" } };
    expect(() => new library.NatsJetStream("container", { resources })).toThrow(
      /resources.limits.memory 1Gi is less than memoryLimit 1792Mi/,
    );
  });

  it("writes sizes as nats.conf takes them: whole numbers with a unit", async () => {
    new library.NatsJetStream("sizes", { password: "x", memoryStoreSize: "1.5Gi", fileStoreSize: "2.5Gi" });
    await settled(declared);
    expect(release("sizes-release").values).toMatchObject({
      config: { jetstream: { memoryStore: { maxSize: "1536Mi" }, fileStore: { maxSize: "2304Mi" } } },
      container: { env: { GOMEMLIMIT: "2176MiB" }, merge: { resources: { limits: { memory: "2560Mi" } } } },
    });
  });
});

const database = { host: "db", port: 5432, database: "noetl", user: "noetl", password: "pn", adminPassword: "pa" };
const nats = { host: "nats.nats.svc.cluster.local", port: 4222, user: "noetl", password: pulumi.secret("canary-nats") };

describe("Noetl", () => {
  it("rolls its pods where NATS's servers restart", async () => {
    new library.Noetl("rolls", { nats: { ...nats, serversRevision: "abc" }, database });
    await settled(declared);
    const podAnnotations = { "noetl-nats/nats-servers-revision": "abc" };
    expect(release("rolls-release").values).toMatchObject({ server: { podAnnotations }, worker: { podAnnotations } });
  });

  it("names the size of /tmp to the chart where it is another than the chart's", async () => {
    new library.Noetl("wide", { nats, database, tmpSize: "20Gi" });
    await settled(declared);
    expect(release("wide-release").values).toMatchObject({ persistence: { tmp: { size: "20Gi" } } });
    expect(() => new library.Noetl("odd", { nats, database, tmpSize: "much" })).toThrow(/tmpSize/);
  });

  it.each([
    ["host", { host: "nats.acme.dev" }],
    ["port", { port: 4223 }],
    ["user", { user: "other" }],
    ["password", { password: pulumi.secret("other") }],
  ])("rolls its pods for another %s of NATS, which stands in a Secret", async (what, change) => {
    const keepers = (name: string) =>
      declared.find((each) => each.name === `${name}-credentials`)?.inputs.keepers as object | undefined;
    const gateway = { image: "g:v1", corsAllowedOrigins: ["https://a.example.org"] };
    for (const [name, connection] of [
      [`before-${what}`, nats],
      [`after-${what}`, { ...nats, ...change }],
    ] as const) {
      new library.Noetl(name, { nats: connection, database });
      new library.Gateway(`${name}-gateway`, { nats: connection, ...gateway });
    }
    await settled(declared);
    for (const part of ["", "-gateway"]) {
      const [before, after] = [keepers(`before-${what}${part}`), keepers(`after-${what}${part}`)];
      expect(before).toBeDefined();
      expect(after).not.toEqual(before);
    }
  });

  it("passes every variable of the specification's tables that it decides, credentials as secrets", async () => {
    new library.Noetl("noetl", { nats, database, names: { stream: "S" }, tuning: { maxDeliver: 7 } });
    await settled(declared);
    const values = release("noetl-release").values as { config: Record<"server" | "worker", Record<string, string>> };
    for (const each of variablesOf("server")) expect(values.config.server, each.name).toHaveProperty(each.name);
    for (const each of variablesOf("worker")) expect(values.config.worker, each.name).toHaveProperty(each.name);
    expect(values.config.worker).toMatchObject({
      NATS_URL: "nats://noetl:canary-nats@nats.nats.svc.cluster.local:4222",
      NATS_STREAM: "S",
      NATS_SUBJECT: "noetl.commands",
      NOETL_WORKER_NATS_MAX_DELIVER: "7",
      NOETL_WORKER_NATS_MAX_ACK_PENDING: "64",
    });
    expect((values as unknown as Values).secrets?.revision).toBe("revision-of-noetl-credentials");
    expect(release("noetl-release").chart).toBe("./charts/noetl");
  });

  it("gives playbooks' jobs a namespace of their own where it is asked to, or none, and says so to the chart", async () => {
    const deny = { name: "default-deny", spec: { podSelector: {} } };
    new library.Noetl("with-jobs", { nats, database });
    new library.Noetl("own-jobs", { nats, database, jobs: { namespace: "acme-jobs", networkPolicies: [deny] } });
    new library.Noetl("no-jobs", { nats, database, jobs: false });
    await settled(declared);
    const jobs = (name: string) => (release(`${name}-release`).values as Values).worker?.jobs;
    expect([jobs("with-jobs"), jobs("own-jobs"), jobs("no-jobs")]).toEqual([
      undefined,
      { enabled: true, namespace: "acme-jobs" },
      { enabled: false },
    ]);
    expect(of("kubernetes:core/v1:Namespace", "own-jobs-jobs-namespace").inputs.metadata).toMatchObject({
      name: "acme-jobs",
      labels: { "pod-security.kubernetes.io/enforce": "baseline" },
    });
    expect(of("kubernetes:networking.k8s.io/v1:NetworkPolicy", "own-jobs-jobs-namespace-default-deny")).toBeDefined();
    const made = declared.filter(({ name }) => /^(with-jobs|no-jobs)-jobs/.test(name));
    expect(made).toEqual([]);
    const bad = (jobs: object) => () => new library.Noetl("bad-jobs", { nats, database, jobs });
    expect(bad({ namespace: "Jobs" })).toThrow(/jobs.namespace is/);
    expect(bad({ namespace: "noetl" })).toThrow(/jobs.namespace is NoETL's/);
  });

  it("refuses names that NATS refuses", () => {
    expect(() => new library.Noetl("bad", { nats, database, names: { subject: "a..b" } })).toThrow(/subject is/);
  });

  it("refuses a heartbeat that NATS refuses, also where only the timeout is given, and an empty image", () => {
    expect(() => new library.Noetl("half", { nats, database, tuning: { fetchTimeoutSeconds: 10 } })).toThrow(
      /tuning.fetchHeartbeatSeconds is not less than half of the fetch timeout \(10 s\)/,
    );
    expect(() => new library.Noetl("empty", { nats, database, image: "" })).toThrow(/image is empty/);
    expect(() => new library.Noetl("fits", { nats, database, tuning: { fetchTimeoutSeconds: 10.5 } })).not.toThrow();
  });

  it("gives workers that stop the time that commands take", async () => {
    new library.Noetl("patient", { nats, database, workerStopSeconds: 900 });
    new library.Noetl("usual", { nats, database });
    await settled(declared);
    const seconds = (name: string) =>
      (release(name).values as { worker: { terminationGracePeriodSeconds: number } }).worker
        .terminationGracePeriodSeconds;
    expect([seconds("patient-release"), seconds("usual-release")]).toEqual([900, 240]);
  });
});

describe("Gateway", () => {
  it("passes all variables of its table", async () => {
    new library.Gateway("gateway", { nats, image: "g:v1", corsAllowedOrigins: ["https://a.example.org"] });
    await settled(declared);
    const env = (release("gateway-release").values as { env: Record<string, string> }).env;
    expect(env).toMatchObject({
      natsUrl: "nats://noetl:canary-nats@nats.nats.svc.cluster.local:4222",
      natsUpdatesSubjectPrefix: "playbooks.executions.",
      natsCallbackSubjectPrefix: "noetl.callbacks",
      natsSessionBucket: "sessions",
      natsSessionCacheTtlSecs: "300",
      natsRequestBucket: "requests",
      natsRequestTtlSecs: "1800",
      corsAllowedOrigins: "https://a.example.org",
      authBypass: "false",
    });
    for (const each of variablesOf("gateway")) expect(env, each.name).toHaveProperty(gatewayValue(each.name));
  });

  it("gives the URL of its own chart's Service, and of the one that another chart makes", async () => {
    const args = { nats, image: "g:v1", corsAllowedOrigins: ["https://a.example.org"] };
    expect(await valueOf(new library.Gateway("own", args).url)).toBe("http://gateway.gateway.svc.cluster.local:8090");
    const other = new library.Gateway("other", {
      ...args,
      chart: { chart: "gateway", repository: "https://c.example" },
    });
    expect(await valueOf(other.url)).toBe("http://gateway.gateway.svc.cluster.local:80");
  });

  it("hands further variables on, and refuses an empty image", async () => {
    const args = { nats, image: "g:v1", corsAllowedOrigins: ["https://a.example.org"] };
    new library.Gateway("varied", { ...args, env: { RUST_BACKTRACE: "1" } });
    await settled(declared);
    expect((release("varied-release").values as { extraEnv: object }).extraEnv).toEqual({ RUST_BACKTRACE: "1" });
    expect(() => new library.Gateway("none", { ...args, image: "" })).toThrow(/image is empty/);
  });

  it("refuses a prefix of updates without its dot, which matches nothing", () => {
    const args = { nats, image: "g:v1", corsAllowedOrigins: ["https://a.example.org"] };
    expect(() => new library.Gateway("dot", { ...args, subjects: { updatesSubjectPrefix: "noetl.events" } })).toThrow(
      /updatesSubjectPrefix is a prefix without the dot at its end/,
    );
  });

  it("refuses an origin without scheme", () => {
    expect(() => new library.Gateway("bad", { nats, image: "g:v1", corsAllowedOrigins: ["a.example.org"] })).toThrow(
      /no scheme/,
    );
  });
});

describe("Postgres", () => {
  it("loads the schema after the server is there, with every password from the Secret", async () => {
    const postgres = new library.Postgres("postgres", { adminPassword: "canary-admin", noetlPassword: "canary-noetl" });
    expect(await valueOf(postgres.host)).toBe("postgres.postgres.svc.cluster.local");
    const schemaJob = unwrap(of("kubernetes:batch/v1:Job", "postgres-schema").inputs);
    expect(schemaJob).toMatchObject({
      // The Kubernetes provider names it, and replaces it where its template changes.
      metadata: expect.not.objectContaining({ name: expect.anything() as unknown }) as unknown,
      spec: {
        template: {
          spec: {
            containers: [
              {
                securityContext: { readOnlyRootFilesystem: true },
                volumeMounts: [{ mountPath: "/schema" }, { name: "tmp", mountPath: "/tmp" }],
              },
            ],
            volumes: [{ name: "schema" }, { name: "tmp", emptyDir: { sizeLimit: "64Mi" } }],
          },
        },
      },
    });
    const job = schemaJob as {
      metadata: { annotations: Record<string, string> };
      spec: { template: { spec: { containers: { env: { name: string; valueFrom?: object }[] }[] } } };
    };
    expect(job.metadata.annotations).toMatchObject({ "pulumi.com/replaceUnready": "true" });
    const env = job.spec.template.spec.containers[0]?.env ?? [];
    for (const name of ["PGPASSWORD", "NOETL_PASSWORD"])
      expect(env.find((each) => each.name === name)?.valueFrom).toMatchObject({
        secretKeyRef: { name: "postgres-auth" },
      });
    for (const each of declared.filter(
      (one) => one.name.startsWith("postgres-") && !/:(Secret|DatabaseLogin)$/.test(one.type),
    ))
      expect(JSON.stringify(each.inputs), each.name).not.toContain("canary");
  });

  it("lets an image of NoETL that writes elsewhere do so in both Jobs", async () => {
    const open = new library.Postgres("open", { loginPerPassword: true, readOnlyRootFilesystem: false });
    open.retireOldLogins([]);
    await settled(declared);
    for (const name of ["open-schema", "open-logins"])
      expect(unwrap(of("kubernetes:batch/v1:Job", name).inputs), name).toMatchObject({
        spec: { template: { spec: { containers: [{ securityContext: { readOnlyRootFilesystem: false } }] } } },
      });
  });

  it("does not restart its server for a password: the Secret keeps its name, and the Job has what was valid before", async () => {
    new library.Postgres("kept", { adminPassword: "canary-admin", noetlPassword: "canary-noetl" });
    await settled(declared);
    const server = JSON.stringify(unwrap(of("kubernetes:apps/v1:StatefulSet", "kept-server").inputs));
    expect(server).toContain('"secretKeyRef":{"key":"POSTGRES_PASSWORD","name":"postgres-admin"}');
    expect(server).not.toContain("kept-");
    const { metadata, stringData } = of("kubernetes:core/v1:Secret", "kept-admin").inputs;
    expect(metadata).toEqual({ name: "postgres-admin", namespace: "postgres" });
    expect(unwrap(stringData)).toEqual({ POSTGRES_PASSWORD: "canary-admin" });
    expect(unwrap(of("kubernetes:core/v1:Secret", "kept-auth").inputs.stringData)).toEqual({
      POSTGRES_PASSWORD: "canary-admin",
      NOETL_PASSWORD: "canary-noetl",
      POSTGRES_FORMER_PASSWORDS: "[]",
    });
    const login = of("pulumi-nodejs:dynamic/noetl-nats:DatabaseLogin", "kept-admin-login").inputs;
    expect(unwrap(login)).toMatchObject({ user: "postgres", password: "canary-admin" });
    for (const secret of [login.password, login.logins]) {
      expect(JSON.stringify(secret)).toContain("4dabf18193072939515e22adb298388d");
    }
  });

  it("gives each password of NoETL's role a login where it is asked to, and refuses the old ones in the end", async () => {
    const env = (name: string) => {
      const { spec } = unwrap(of("kubernetes:batch/v1:Job", name).inputs) as {
        spec: { template: { spec: { containers: { env: { name: string; value?: string }[]; command: string[] }[] } } };
      };
      const [container] = spec.template.spec.containers;
      const variables = Object.fromEntries(container?.env.map((each) => [each.name, each.value ?? "a secret"]) ?? []);
      return { ...variables, command: container?.command.at(-1) };
    };
    const plain = new library.Postgres("at-once");
    plain.retireOldLogins([]);
    const steps = new library.Postgres("login", { noetlUser: "flows", loginPerPassword: true });
    expect(await valueOf(steps.noetlUser)).toBe("flows");
    steps.retireOldLogins([]);
    await settled(declared);
    expect(of("pulumi-nodejs:dynamic/noetl-nats:DatabaseLogin", "login-noetl-login").inputs.user).toBe("flows");
    const known = { NOETL_USER: "flows", NOETL_ROLE: "flows", NOETL_PASSWORD: "a secret", PGPASSWORD: "a secret" };
    expect(env("login-schema")).toMatchObject({
      ...known,
      command: "/schema/load_schema.py",
      NOETL_LEAVES_CONNECTIONS: "5",
    });
    expect(env("login-logins")).toMatchObject({ ...known, command: "/schema/retire_logins.py" });
    expect(env("at-once-schema")).not.toHaveProperty("NOETL_ROLE");
    expect(declared.filter(({ name }) => name === "at-once-logins" || name === "at-once-noetl-login")).toEqual([]);
  });

  it("installs nothing for an external server, and then wants its password", async () => {
    new library.Postgres("external", { external: { host: "10.1.2.3" }, adminPassword: "x" });
    await settled(declared);
    expect(declared.filter((each) => each.name === "external-server")).toEqual([]);
    // Its owner changes its administrator's password: a wrong one must not be made the right one.
    const own = declared.filter(({ name }) => name.startsWith("external-") && !name.endsWith("-script"));
    expect(JSON.stringify(own)).not.toContain("FORMER");
    // How many connections somebody else's server has left is not known.
    expect(JSON.stringify(own)).not.toContain("LEAVES_CONNECTIONS");
    expect(JSON.stringify(unwrap(of("kubernetes:batch/v1:Job", "external-schema").inputs))).toContain("10.1.2.3");
    expect(() => new library.Postgres("bad", { external: { host: "h" } })).toThrow(/adminPassword/);
  });
});

describe("ContractGuard", () => {
  const guard = (name: string, args: object = {}) =>
    new library.ContractGuard(name, {
      nats: { host: "nats.nats.svc.cluster.local", port: 4222, user: "contract-guard", password: "canary-guard" },
      contract: { gateway: {} },
      namespace: "nats",
      ...args,
    });
  const deploymentOf = (name: string) =>
    unwrap(of("kubernetes:apps/v1:Deployment", `${name}-deployment`).inputs) as Values;

  it("brings its whole program in a ConfigMap that Kubernetes takes, and its password in a Secret alone", async () => {
    guard("whole");
    await settled(declared);
    const { data, binaryData } = of("kubernetes:core/v1:ConfigMap", "whole-config").inputs as {
      data: Record<string, string>;
      binaryData: Record<string, string>;
    };
    expect([Object.keys(data), Object.keys(binaryData)]).toEqual([["contract.json"], ["guard.js.gz"]]);
    // Each preview sends it through the engine several times.
    const bytes = Buffer.byteLength(binaryData["guard.js.gz"] ?? "");
    expect(bytes).toBeGreaterThan(100_000);
    expect(bytes).toBeLessThan(200_000);
    expect(gunzipSync(Buffer.from(binaryData["guard.js.gz"] ?? "", "base64")).length).toBeGreaterThan(400_000);
    expect(JSON.parse(data["contract.json"] ?? "")).toEqual({
      contract: { gateway: {}, connection: { servers: ["nats.nats.svc.cluster.local:4222"] } },
    });
    const own = declared.filter(({ name }) => name.startsWith("whole"));
    const telling = own.filter(({ inputs }) => JSON.stringify(inputs).includes("canary-guard"));
    expect(telling.map(({ name }) => name)).toEqual(["whole-auth"]);
  });

  it("runs restricted, without a token, and is asked whether it works", async () => {
    guard("restricted");
    await settled(declared);
    const { spec } = (deploymentOf("restricted").spec as Values).template as unknown as { spec: Values };
    expect(spec).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: "RuntimeDefault" } },
      containers: [
        {
          image: "docker.io/library/node:22.20.0-alpine3.22",
          command: ["node", "--eval", expect.stringContaining("gunzipSync"), "/guard/guard.js.gz"],
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ["ALL"] },
          },
          readinessProbe: { httpGet: { path: "/healthz", port: "http" } },
          livenessProbe: { httpGet: { path: "/healthz", port: "http" } },
          resources: { requests: { cpu: "50m", memory: "64Mi" }, limits: { memory: "128Mi" } },
        },
      ],
    });
  });

  it("has a namespace of its own where none is given, with the strictest Pod Security", async () => {
    guard("alone", { namespace: undefined });
    await settled(declared);
    expect(of("kubernetes:core/v1:Namespace", "alone-namespace").inputs).toMatchObject({
      metadata: { name: "contract-guard", labels: { "pod-security.kubernetes.io/enforce": "restricted" } },
    });
  });

  it("is found by Prometheus as asked: not at all, by annotations, by the operator's objects", async () => {
    const kinds = (name: string) =>
      declared
        .filter((each) => each.name.startsWith(`${name}-`) && each.type.includes("monitoring.coreos.com"))
        .map(({ inputs }) => inputs.kind)
        .sort();
    const annotations = (name: string) =>
      ((deploymentOf(name).spec as Values).template as unknown as { metadata: Values }).metadata.annotations;
    for (const monitoring of ["off", "annotations", "operator"]) guard(monitoring, { monitoring });
    await settled(declared);
    expect([annotations("off"), kinds("off")]).toEqual([undefined, []]);
    expect([annotations("annotations"), kinds("annotations")]).toEqual([
      { "prometheus.io/scrape": "true", "prometheus.io/port": "7777", "prometheus.io/path": "/metrics" },
      [],
    ]);
    expect([annotations("operator"), kinds("operator")]).toEqual([undefined, ["PodMonitor", "PrometheusRule"]]);
    const rules = declared.find(({ name }) => name === "operator-rules")?.inputs.spec as {
      groups: { rules: { expr: string }[] }[];
    };
    expect(rules.groups[0]?.rules.map(({ expr }) => expr)).toContainEqual(
      expect.stringMatching(/ or on\(job\) absent\(up\{job="nats\/contract-guard"\}\)$/),
    );
  });

  it("refuses an image without a tag", () => {
    expect(() => guard("bad", { image: "node" })).toThrow(/image is /);
  });
});
