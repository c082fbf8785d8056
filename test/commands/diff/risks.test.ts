import { describe, expect, it } from "vitest";
import { withDefaults } from "../../../contract/inputs";
import { resourceDelta } from "../../../commands/diff/comparison/resources";
import { settingChanges } from "../../../commands/diff/comparison/settings";
import { rawChanges } from "../../../commands/diff/compare";
import { DiffError } from "../../../commands/diff/errors";
import { Masker } from "../../../contract/mask";
import { UNKNOWN } from "../../../contract/mask/placeholders";
import type { KubeObject } from "../../../commands/diff/objects";
import { findRisks } from "../../../commands/diff/risks";
import type { DeclaredResource } from "../../../commands/diff/evaluation";
import type { Facts } from "../../../commands/diff/risks/facts";
import { formatPath } from "../../../commands/diff/path";
import { failuresOf } from "../../../commands/diff/run";
import type { StackConfig } from "../../../commands/diff/stack-config";

const masker = new Masker([], []);

const risks = (facts: Partial<Facts>) =>
  findRisks({
    resources: [],
    objects: [],
    releases: [],
    settings: [],
    contract: { changes: [], broken: [], fix: [], refused: false },
    newObjects: [],
    masker,
    ...facts,
  }).map(({ rule, level, text }) => ({ rule, level, text }));

const set = (service: string, image: string, replicas = 1): KubeObject => ({
  apiVersion: "apps/v1",
  kind: "StatefulSet",
  metadata: { name: service, namespace: service },
  spec: { replicas, template: { spec: { containers: [{ name: service, image }] } } },
});

const imageRisks = (service: string, old: string, now: string) => {
  const [before, after] = [set(service, old), set(service, now)];
  const delta = {
    op: "update" as const,
    old: before,
    new: after,
    rendered: true,
    restarts: false,
    changes: rawChanges(before, after),
  };
  return risks({ objects: [delta] }).filter(({ rule }) => rule !== "image");
};

describe("an image of a server that keeps data", () => {
  it.each([
    ["postgres", "postgres:17.4", "postgres:18.0", /from Postgres 17 to 18, .*pg_dumpall/],
    ["postgres", "postgres:17.4", "registry.example.com:5000/postgres:16-alpine", /from Postgres 17 to 16/],
    ["nats", "nats:2.15.2-alpine", "nats:2.14.9-alpine", /goes back from NATS 2.15.2 to 2.14.9.*nats account backup/],
    ["nats", "nats:2.15.2", "nats:2.15.1", /from NATS 2.15.2 to 2.15.1/],
  ])("%s: %s to %s is a danger", (service, old, now, text) => {
    expect(imageRisks(service, old, now)).toEqual([
      expect.objectContaining({ level: "danger", text: expect.stringMatching(text) as string }),
    ]);
  });
  it.each([
    ["postgres", "postgres:17.4", "postgres:17.6-alpine"],
    ["nats", "nats:2.14.9", "nats:2.15.2-alpine"],
    ["nats", "nats:2.15.2", "nats:2.15.2-alpine"],
    ["nats", "nats:2.15", "nats:2.15.2"],
    ["postgres", "postgres:latest", "postgres@sha256:00"],
  ])("%s: %s to %s is none", (service, old, now) => expect(imageRisks(service, old, now)).toEqual([]));
});

/** What is found where one setting changes. */
const ofSetting = (key: string, change: Pick<Facts["settings"][number], "old" | "new">): string[] =>
  risks({ settings: [{ key, op: "change", ...change }] }).map(({ rule, level }) => `${rule} ${level}`);

it("a risk that a stack takes knowingly from now on is a danger", () => {
  const found = (change: Parameters<typeof ofSetting>[1]) => ofSetting("acceptedRisks", change);
  expect(found({ new: "public-api" })).toEqual(["accepted-risk danger"]);
  expect(found({ old: "public-api,plain-http", new: "plain-http" })).toEqual(["accepted-risk danger"]);
  expect(found({ old: "public-api" })).toEqual([]);
});

it("users of NATS that may do more than before are a danger", () => {
  const found = (old: string | undefined, now: string | undefined) => ofSetting("natsUsers", { old, new: now });
  expect(found("each", "one")).toEqual(["login-shared danger"]);
  expect(found("each", undefined)).toEqual(["login-shared danger"]);
  expect(found(undefined, "each")).toEqual([]);
  expect(found("one", "each")).toEqual([]);
});

describe("a cluster of GKE that stays", () => {
  const TYPE = "gcp:container/cluster:Cluster";
  const resource = (inputs: object) => ({ type: TYPE, name: "gke-cluster", inputs }) as unknown as DeclaredResource;
  const found = (old: object, now: object) =>
    risks({
      resources: [{ op: "update", old: resource(old), new: resource(now), changes: rawChanges(old, now), because: [] }],
    });
  const endpoints = (name: boolean, address: boolean) => ({
    controlPlaneEndpointsConfig: {
      dnsEndpointConfig: { allowExternalTraffic: name },
      ipEndpointsConfig: { enabled: address },
    },
  });
  const lets = (...ranges: string[]) => ({
    ...endpoints(false, true),
    masterAuthorizedNetworksConfig: { cidrBlocks: ranges.map((cidrBlock) => ({ cidrBlock })) },
  });
  const BY_NAME = endpoints(true, false);
  const PUBLIC = endpoints(false, true);
  const secrets = (keyName: string) => ({ databaseEncryption: { state: "ENCRYPTED", keyName } });
  const PLAIN = { databaseEncryption: { state: "DECRYPTED" } };

  it.each<[string, object, object, string[]]>([
    ["has its address closed", PUBLIC, BY_NAME, ["control-plane warning"]],
    ["said nothing, and is reached by its name", {}, BY_NAME, ["control-plane warning"]],
    ["is opened to everybody", BY_NAME, PUBLIC, ["control-plane danger", "control-plane warning"]],
    ["is opened to a range", BY_NAME, lets("198.51.100.0/24"), ["control-plane danger", "control-plane warning"]],
    ["lets a range in, too", lets("10.0.0.0/8"), lets("10.0.0.0/8", "198.51.100.0/24"), ["control-plane danger"]],
    ["lets a range in no more", lets("10.0.0.0/8", "198.51.100.0/24"), lets("10.0.0.0/8"), ["control-plane warning"]],
    [
      "is opened to everybody where ranges were",
      lets("10.0.0.0/8"),
      PUBLIC,
      ["control-plane danger", "control-plane warning"],
    ],
    ["is restricted to a range", PUBLIC, lets("10.0.0.0/8"), ["control-plane warning"]],
    ["is open as it was", {}, PUBLIC, []],
    ["has its Secrets encrypted", { ...BY_NAME, ...PLAIN }, { ...BY_NAME, ...secrets("k1") }, ["secrets-key warning"]],
    ["has another key", secrets("k1"), secrets("k2"), ["secrets-key warning"]],
    ["has no key any more", secrets("k1"), PLAIN, ["secrets-key danger"]],
    ["says that it has none", {}, PLAIN, []],
  ])("and %s", (_, old, now, expected) => {
    expect(found(old, now).map(({ rule, level }) => `${rule} ${level}`)).toEqual(expected);
  });

  it("names who is let in", () => {
    expect(found(lets("10.0.0.0/8"), PUBLIC)[0]?.text).toMatch(/^lets everybody in to the control plane/);
  });
});

it("a NATS without TLS again is a danger, and one with TLS from now on is said", () => {
  const found = (old: string | undefined, now: string | undefined) => ofSetting("natsTls", { old, new: now });
  expect(found("generated", "off")).toEqual(["nats-tls danger"]);
  expect(found("provided", undefined)).toEqual(["nats-tls danger"]);
  expect(found(undefined, "generated")).toEqual(["nats-tls warning"]);
  expect(found("generated", "provided")).toEqual([]);
});

describe("what servers of NATS lose that do not find one another any more", () => {
  const found = (key: string, [old, now]: readonly (string | undefined)[], servers = 3, restarts = true) =>
    risks({
      settings: [{ key, op: "change", old, new: now }],
      objects: [
        {
          op: "update",
          old: set("nats", "nats:2.15.2", servers),
          new: set("nats", "nats:2.15.2", servers),
          rendered: true,
          restarts,
          changes: [],
        },
      ],
    }).filter(({ rule, text }) => rule === "nats-tls" && text.includes("loses what only memory holds"));

  it.each([
    ["natsTls", [undefined, "generated"], "warning"],
    ["natsTls", ["generated", "off"], "danger"],
    ["natsTls", ["generated", "provided"], "warning"],
    ["natsTlsSecret", ["mine", "another"], "warning"],
  ])("is said where %s changes: %j", (key, change, level) =>
    expect(found(key, change)).toEqual([expect.objectContaining({ level })]),
  );

  it("is not where one server has another certificate, nothing restarts, or the Secret comes with natsTls", () => {
    expect(found("natsTlsSecret", ["mine", "another"], 1)).toEqual([]);
    expect(found("natsTls", ["generated", "cert-manager"], 3, false)).toEqual([]);
    expect(found("natsTlsSecret", [undefined, "mine"])).toEqual([]);
  });
});

describe("a namespace's network", () => {
  const CLOSED = { podSelector: {}, policyTypes: ["Ingress", "Egress"] };
  const policy = (name: string, spec: object): KubeObject => ({
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name, namespace: "noetl" },
    spec,
  });
  const namespace: KubeObject = { apiVersion: "v1", kind: "Namespace", metadata: { name: "noetl" } };
  const deny = policy("default-deny", CLOSED);
  const server = policy("noetl-server", {
    podSelector: { matchLabels: { app: "noetl-server" } },
    ingress: [{ from: [{ podSelector: {} }], ports: [{ port: 8082 }] }],
  });
  const found = (old: KubeObject, now: KubeObject | undefined, rest: readonly KubeObject[] = []) =>
    risks({
      objects: [
        {
          op: now ? "update" : "delete",
          old,
          ...(now ? { new: now } : {}),
          rendered: false,
          restarts: false,
          changes: rawChanges(old, now),
        },
      ],
      newObjects: [...(now ? [now] : []), ...rest],
    });

  it.each([
    ["loses what closes it", deny, undefined, [namespace], /closes namespace noetl no more: every pod.*its pods reach/],
    [
      "is opened to the outside",
      deny,
      policy("default-deny", { ...CLOSED, policyTypes: ["Ingress"] }),
      [namespace],
      /no more: its pods reach everything\./,
    ],
    [
      "is let into by all",
      deny,
      policy("default-deny", { ...CLOSED, ingress: [{}] }),
      [namespace],
      /no more: every pod/,
    ],
    ["has pods cut off", server, undefined, [namespace, deny], /is deleted while namespace noetl stays closed/],
  ])("that %s is a danger", (_, old, now, rest, text) => {
    expect(found(old, now, rest).filter(({ level }) => level === "danger")).toEqual([
      { rule: "network-changed", level: "danger", text: expect.stringMatching(text) as string },
    ]);
  });

  it("that is closed from now on is a warning, unless it is new", () => {
    const created = (object: KubeObject) => ({
      op: "create" as const,
      new: object,
      rendered: false,
      restarts: false,
      changes: [],
    });
    expect(risks({ objects: [created(deny)], newObjects: [namespace, deny] })).toEqual([
      {
        rule: "network-changed",
        level: "warning",
        text: expect.stringMatching(/^closes namespace noetl: pods of other namespaces .*networkClients/) as string,
      },
    ]);
    expect(risks({ objects: [created(deny), created(namespace)], newObjects: [namespace, deny] })).toEqual([]);
  });

  it("that lets everybody in at a port is a warning", () => {
    const open = policy("noetl-server", { ...(server.spec as object), ingress: [{ ports: [{ port: 8082 }] }] });
    expect(found(server, open, [namespace, deny])).toEqual([
      {
        rule: "network-changed",
        level: "warning",
        text: "lets everybody in at port 8082, every pod of the cluster among them.",
      },
    ]);
  });

  it.each([
    ["goes as a whole", deny, undefined, []],
    ["is closed by another policy", deny, undefined, [namespace, policy("closed", CLOSED)]],
    ["was never closed", server, undefined, [namespace]],
  ])("that %s is none", (_, old, now, rest) => expect(found(old, now, rest)).toEqual([]));
});

describe("a resource of Google Cloud", () => {
  const instance = (settings: Record<string, unknown>, protect = false): DeclaredResource => ({
    urn: "urn:pulumi:gke::noetl-nats::gcp:sql/databaseInstance:DatabaseInstance::sql-instance",
    type: "gcp:sql/databaseInstance:DatabaseInstance",
    name: "sql-instance",
    parent: "",
    custom: true,
    inputs: { settings },
    dependencies: [],
    aliases: [],
    protect,
    replaceOnChanges: [],
    ignoreChanges: ["settings.diskSize"],
    read: false,
    remote: false,
  });

  it("does not change in what the engine leaves as it is", () => {
    const old = instance({ diskSize: 20, tier: "db-f1-micro" });
    expect(resourceDelta({ old, new: instance({ diskSize: 10, tier: "db-f1-micro" }) })).toBeUndefined();
    const delta = resourceDelta({ old, new: instance({ diskSize: 10, tier: "db-g1-small" }) });
    expect(delta?.changes.map(({ path }) => formatPath(path))).toEqual(["settings.tier"]);
    expect(risks({ resources: delta ? [delta] : [] })).toEqual([]);
  });

  it("that loses its protection is replaced by the same update", () => {
    const found = (protect: boolean) => {
      const [old, now] = [instance({}, true), instance({}, protect)];
      const delta = { op: "replace", old, new: now, changes: [], because: ["region"] } as const;
      return risks({ resources: [delta] }).map(({ text }) => text);
    };
    expect(found(true)).toEqual([expect.stringMatching(/is replaced because of region.* the update fails until/)]);
    expect(found(false)).toEqual([
      expect.stringMatching(/is replaced because of region.*for a week\.$/),
      "loses its deletion protection, and is replaced by the same update.",
    ]);
  });

  it("that is protected is not deleted: the update fails, and the report says so", () => {
    const found = (protect: boolean) => {
      const delta = resourceDelta({ old: instance({}, protect) });
      return risks({ resources: delta ? [delta] : [] }).map(({ text }) => text);
    };
    const words =
      "is deleted: this removes the database instance with its data, and its name stays blocked for a week.";
    expect(found(false)).toEqual([words]);
    expect(found(true)).toEqual([
      `${words} It is protected: the update fails until \`pulumi state unprotect\` has taken that off.`,
    ]);
  });
});

describe("another cluster", () => {
  const provider = (inputs: Record<string, unknown>) => ({
    urn: "urn:pulumi:kind::noetl-nats::pulumi:providers:kubernetes::cluster",
    type: "pulumi:providers:kubernetes",
    name: "cluster",
    parent: "",
    custom: true,
    inputs,
    dependencies: [],
    aliases: [],
    protect: false,
    replaceOnChanges: [],
    ignoreChanges: [],
    read: false,
    remote: false,
  });
  const between = (old: Record<string, unknown>, now: Record<string, unknown>) =>
    risks({
      resources: [{ op: "update", old: provider(old), new: provider(now), changes: rawChanges(old, now), because: [] }],
    });

  it("is a danger of its own, by context and by kubeconfig", () => {
    expect(between({ context: "kind-noetl" }, { context: "production" })).toEqual([
      {
        rule: "another-cluster",
        level: "danger",
        text: expect.stringMatching(
          /^context from kind-noetl to production: the stack goes to another cluster .*stay in the old one.*until pulumi up --refresh/,
        ) as string,
      },
    ]);
    expect(between({}, { context: "production" })[0]?.text).toMatch(/^context from unset to production/);
    expect(between({ kubeconfig: "/a" }, { kubeconfig: "/b" })[0]?.text).toMatch(
      /deleted in the old one where that still answers/,
    );
  });

  it("shows nothing of a kubeconfig's contents, and minds nothing else", () => {
    const contents = (token: string) => `apiVersion: v1\nusers: [{token: ${token}}]\n`;
    const [risk] = between({ kubeconfig: contents("canary-1") }, { kubeconfig: contents("canary-2") });
    expect(risk?.text).toMatch(/^another kubeconfig: /);
    expect(risk?.text).not.toContain("canary");
    expect(between({ enableServerSideApply: true }, { enableServerSideApply: false })).toEqual([]);
  });

  it.each([
    ["natsHost", "NoETL goes to another NATS server"],
    ["postgresHost", "NoETL goes to another database"],
    ["cloudSqlInstance", "NoETL goes to another database"],
    ["projectId", "the stack goes to another cluster"],
    ["clusterName", "the stack goes to another cluster"],
  ])("or server: %s is a danger", (key, text) => {
    expect(risks({ settings: [{ key, op: "change", old: "a", new: "b" }] })).toEqual([
      {
        rule: "another-place",
        level: "danger",
        text: expect.stringContaining(`${key} from a to b: ${text}`) as string,
      },
    ]);
  });
});

describe("NATS that restarts", () => {
  const restart = (replicas: number, storage: "memory" | "file", before = replicas) => {
    const [old, now] = [set("nats", "nats:2.15.1", before), set("nats", "nats:2.15.2", replicas)];
    const delta = {
      op: "update" as const,
      old,
      new: now,
      rendered: true,
      restarts: true,
      changes: rawChanges(old, now),
    };
    return risks({ objects: [delta], oldContract: withDefaults({ expect: { storage } }) }).filter(
      ({ rule }) => rule === "nats-restart",
    );
  };
  it("loses what waits in a stream in memory, which is said by the stream's name", () => {
    expect(restart(1, "memory")).toEqual([
      {
        rule: "nats-restart",
        level: "warning",
        text: expect.stringContaining(
          "what waits in stream NOETL_COMMANDS is lost, because it is held in memory",
        ) as string,
      },
    ]);
  });
  it("loses nothing of a file, nor as a cluster whose servers go one by one", () => {
    for (const found of [restart(1, "file"), restart(3, "memory")]) expect(found).toMatchObject([{ level: "notice" }]);
  });
  it("as a smaller cluster keeps those that go as members, whose copies are gone; a larger one loses none", () => {
    expect(restart(3, "memory", 5)).toMatchObject([
      { level: "warning", text: expect.stringMatching(/^goes from 5 servers to 3: .*peer-remove/) as string },
    ]);
    expect(restart(5, "memory", 3)).toMatchObject([{ level: "notice" }]);
  });
});

it("a setting in a foreign namespace is said to have no effect", () => {
  const config = (values: Record<string, string>): StackConfig => ({
    project: "noetl-nats",
    main: "index.ts",
    exists: true,
    values,
    secretKeys: [],
    ownKeys: [],
    encryption: "",
  });
  expect(
    settingChanges(config({}), config({ "kubernetes:context": "prod", "noetl-nats:natsUser": "u" }), masker),
  ).toEqual([
    {
      key: "kubernetes:context",
      op: "add",
      new: "prod",
      note: "has no effect: the key is noetl-nats:kubeContext here",
    },
    { key: "natsUser", op: "add", new: "u" },
  ]);
});

describe("failures", () => {
  const error = (side: "base" | "head", message: string) =>
    new DiffError(`${side === "base" ? "the base revision" : "the working tree"}: ${message}`, "failed", side);
  it("that both sides share are said once", () => {
    expect(failuresOf([error("base", "no network"), error("head", "no network")])).toEqual([
      { message: "both revisions: no network" },
    ]);
  });
  it("that differ are said each", () => {
    expect(failuresOf([error("base", "a"), error("head", "b")])).toEqual([
      { side: "base", message: "the base revision: a" },
      { side: "head", message: "the working tree: b" },
    ]);
  });
});

describe("a changed credential", () => {
  const updated = (kind: string, name: string) => {
    const type = `pulumi-nodejs:dynamic/noetl-nats:${kind}`;
    return { op: "update" as const, new: { type, name } as never, changes: [], because: [] };
  };
  const changed = (...keys: string[]) =>
    keys.map((key) => ({ op: "change" as const, key, old: "(secret)", new: "(secret)" }));
  const texts = (facts: Partial<Facts>) => risks(facts).map(({ text }) => text);

  it("is said to move without a refusal where it does: NATS, NoETL's role, the administrator in the cluster", () => {
    const found = texts({
      settings: changed("natsPassword", "noetlPassword", "postgresPassword"),
      resources: [
        updated("NatsUsers", "nats-users"),
        updated("DatabaseLogin", "postgres-noetl-login"),
        updated("DatabaseLogin", "postgres-admin-login"),
      ],
    });
    expect(found).toEqual([
      expect.stringMatching(/^NoETL's login at NATS changes: .* \(no pod restarts by itself\)\.$/),
      expect.stringMatching(/^NoETL's login at its database changes: .* output databaseUser /),
      expect.stringMatching(/^the password of Postgres' administrator changes in the database, too; /),
    ]);
    const onGke = [updated("DatabaseLogin", "noetl-database-login")];
    const revision = { op: "change" as const, key: "noetlPasswordRevision", old: "1", new: "2" };
    expect(texts({ settings: [revision], resources: onGke })).toEqual([
      expect.stringMatching(/^NoETL's login at its database changes/),
    ]);
  });

  it("is said to refuse clients where it does: another administrator's than that of the cluster, or before the first update", () => {
    const resources = [updated("DatabaseLogin", "postgres-noetl-login")];
    const refused = expect.stringMatching(/^credentials change: clients with the old ones are refused/) as string;
    expect(texts({ settings: changed("postgresPassword", "noetlPassword"), resources })).toEqual([
      expect.stringMatching(/^NoETL's login at its database/),
      refused,
    ]);
    expect(texts({ settings: changed("noetlPassword") })).toEqual([refused]);
  });
});

describe("what is declared beyond NoETL's stream", () => {
  type Declared = NonNullable<Parameters<typeof withDefaults>[0]["declared"]>;
  const found = (old: Declared | undefined, now: Declared | undefined, mode: "assert" | "ensure" = "ensure") =>
    risks({
      oldContract: withDefaults({ mode, ...(old ? { declared: old } : {}) }),
      newContract: withDefaults({ mode, ...(now ? { declared: now } : {}) }),
    }).map(({ rule, level, text }) => `${level} ${rule}: ${text}`);
  const ORDERS = { name: "ORDERS", subjects: ["orders.>"], maxAgeSeconds: 600 };
  const BILLING = { stream: "ORDERS", name: "billing", filterSubjects: ["orders.new"] };
  const BASE: Declared = { streams: [ORDERS], consumers: [BILLING], buckets: [{ name: "carts" }] };

  it.each<[string, Declared | undefined, RegExp[]]>([
    [
      "is removed with its contents",
      { ...BASE, buckets: [{ name: "carts", remove: "withContents" }] },
      [/^danger declared-removed: is removed with everything in it/],
    ],
    [
      "is removed where it is empty",
      { ...BASE, consumers: [{ stream: "ORDERS", name: "billing", remove: "ifEmpty" }] },
      [/^warning declared-removed: is removed where it is empty/],
    ],
    [
      "is declared no more",
      { streams: [ORDERS], consumers: [BILLING] },
      [/^notice declared-removed: .* stays in NATS/],
    ],
    [
      "is of another kind that NATS never makes of it",
      { ...BASE, streams: [{ ...ORDERS, storage: "memory", retention: "workqueue" }] },
      [
        /^danger declared-refused: .*retention: NATS changes no stream into a work queue.*storage: a stream keeps its storage/,
      ],
    ],
    [
      "begins elsewhere",
      { ...BASE, consumers: [{ ...BILLING, deliverPolicy: "new" }] },
      [/^danger declared-refused: .*deliverPolicy: a consumer has begun where it began\. The update fails/],
    ],
    [
      "keeps less",
      { ...BASE, streams: [{ ...ORDERS, maxAgeSeconds: 60, maxMessages: 5 }] },
      [/^warning declared-lowered: gets a lower limit \(age, messages\)/],
    ],
    ["is as it was", BASE, []],
    [
      "gets another filter, and more room",
      {
        ...BASE,
        streams: [{ ...ORDERS, maxAgeSeconds: 0 }],
        consumers: [{ ...BILLING, filterSubjects: ["orders.>"] }],
      },
      [],
    ],
  ])("%s", (_, now, expected) => {
    expect(found(BASE, now)).toEqual(expected.map((text) => expect.stringMatching(text) as string));
  });

  it("is removed although nobody has declared it before, once", () => {
    const removed: Declared = { streams: [{ name: "OLD", remove: "withContents" }] };
    expect(found(undefined, removed)).toHaveLength(1);
    expect(found(removed, removed)).toEqual([]);
  });

  it("stays where the update only checks, and is removed when it begins to make things as declared", () => {
    const removed: Declared = { ...BASE, buckets: [{ name: "carts", remove: "withContents" }] };
    expect(found(BASE, removed, "assert")).toEqual([]);
    const [old, now] = (["assert", "ensure"] as const).map((mode) => withDefaults({ mode, declared: removed }));
    const texts = risks({ oldContract: old, newContract: now }).map(({ rule, text }) => `${rule}: ${text}`);
    expect(texts).toEqual([expect.stringMatching(/^declared-removed: is removed with everything in it/)]);
  });

  it("is refused a subject that a stream of the former name still takes", () => {
    expect(found({ streams: [ORDERS] }, { streams: [{ ...ORDERS, name: "SALES" }] })).toEqual([
      expect.stringMatching(/^danger declared-refused: cannot be made as declared: .*stream ORDERS takes already/),
      expect.stringMatching(/^notice declared-removed: is declared no more/),
    ]);
  });

  it.each<[string, Declared, Declared]>([
    [
      "a bucket, which refuses new values",
      { buckets: [{ name: "a", maxBytes: "64Mi" }] },
      { buckets: [{ name: "a", maxBytes: "32Mi" }] },
    ],
    ["a limit that is declared no more", { buckets: [{ name: "a", history: 5 }] }, { buckets: [{ name: "a" }] }],
    ["what the server had filled in", { consumers: [BILLING] }, { consumers: [{ ...BILLING, maxWaiting: 512 }] }],
  ])("is not said to change: %s", (_, old, now) => expect(found(old, now)).toEqual([]));

  it("does not lose by an update that is refused", () => {
    const now: Declared = { streams: [{ ...ORDERS, retention: "workqueue", maxMessages: 5 }] };
    expect(found({ streams: [ORDERS] }, now)).toEqual([expect.stringMatching(/^danger declared-refused/)]);
  });

  it.each<[string, unknown]>([
    ["a whole list", { streams: UNKNOWN, consumers: [BILLING] }],
    ["one of a list", { streams: [UNKNOWN], consumers: [BILLING] }],
    ["a part of one", { streams: [{ ...ORDERS, subjects: UNKNOWN }], consumers: [BILLING] }],
    ["a list in one", { streams: [ORDERS], consumers: [{ ...BILLING, backoffSeconds: UNKNOWN }] }],
    ["all of it", UNKNOWN],
  ])("is held against nothing that only a deployment tells: %s", (_, now) => {
    const old: Declared = { streams: [ORDERS], consumers: [BILLING] };
    expect(found(old, now as Declared)).toEqual([]);
    expect(found(now as Declared, old)).toEqual([]);
    expect(found(now as Declared, now as Declared)).toEqual([]);
  });
});
