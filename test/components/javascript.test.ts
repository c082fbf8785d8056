/** Arguments that TypeScript would not compile, as a program in JavaScript may give them. */
import * as pulumi from "@pulumi/pulumi";
import { beforeAll, describe, expect, it } from "vitest";
import type * as Components from "../../components/index.js";
import type * as Gcp from "../../components/gcp/index.js";
import { check } from "../../components/stream-contract/provider";
import { recordResources, type Declared, settled, unwrap } from "../support/mocks";

type Component = new (name: string, args?: unknown) => pulumi.Resource;

let declared: Declared[];
let library: typeof Components;
let gcp: typeof Gcp;

beforeAll(async () => {
  declared = await recordResources();
  library = await import("../../components/index.js");
  gcp = await import("../../components/gcp/index.js");
});

let made = 0;

/** What is said of the arguments, line by line; nothing where they are taken. */
function said(type: string, ...args: unknown[]): string[] {
  const Type = ({ ...library, ...gcp } as unknown as Record<string, Component>)[type];
  if (Type === undefined) throw new Error(`no ${type}`);
  try {
    new Type(`odd-${made++}`, ...(args as [unknown?]));
    return [];
  } catch (error) {
    // A TypeError is what a program without a check ends with.
    expect(pulumi.ResourceError.isInstance(error) || pulumi.RunError.isInstance(error), String(error)).toBe(true);
    return (error as Error).message.split(";\n");
  }
}

const nats = { host: "nats.nats", port: 4222, user: "noetl", password: "canary-nats" };
const database = { host: "db", port: 5432, database: "noetl", user: "noetl", password: "canary-db" };
const corsAllowedOrigins = ["https://app.example.org"];

/** Each component, and arguments that do. */
const FITTING: Record<string, Record<string, unknown>> = {
  NatsJetStream: {},
  Noetl: { nats, database },
  Gateway: { nats, corsAllowedOrigins },
  Postgres: {},
  ContractGuard: { nats, contract: {} },
  ArtifactRegistry: { project: "acme", region: "r", repositoryId: "noetl" },
  AutopilotCluster: { project: "acme", region: "r", clusterName: "noetl", network: "n", subnetwork: "s" },
  LoadBalancing: {
    namespace: "gateway",
    objectName: "gateway",
    health: { path: "/health", port: 8090 },
    timeoutSeconds: 3600,
  },
  ProjectServices: { project: "acme", services: ["container.googleapis.com"] },
  PublicAddress: { project: "acme", addressName: "noetl" },
  TlsPolicy: { project: "acme", policyName: "noetl", profile: "modern" },
  Network: {
    project: "acme",
    region: "r",
    networkName: "noetl",
    nodeCidr: "10.0.0.0/20",
    podCidr: "10.4.0.0/14",
    serviceCidr: "10.8.0.0/20",
    nat: false,
  },
};

describe("a component in plain JavaScript", () => {
  it.each(Object.keys(FITTING))("%s says what is missing where it gets nothing", (type) => {
    const required = Object.keys(FITTING[type] ?? {});
    for (const args of [[], [undefined], [null], [{}]]) {
      const problems = said(type, ...args);
      expect(problems).toHaveLength(required.length);
      for (const key of required)
        expect(problems).toContainEqual(
          expect.stringMatching(new RegExp(`^${key} is missing; allowed: .+; for example .`)),
        );
    }
  });

  it.each(Object.keys(FITTING))("%s is made of arguments, and of nothing else", (type) => {
    for (const odd of [[], "text", 5, true, () => undefined, pulumi.output(FITTING[type])])
      expect(said(type, odd)).toEqual([
        expect.stringMatching(/^the second argument is not an object; allowed: one with /),
      ]);
  });

  it.each(Object.keys(FITTING))("%s knows its arguments, and the one that was meant", (type) => {
    for (const key of Object.keys(FITTING[type] ?? {}))
      expect(said(type, { ...FITTING[type], [`${key}x`]: 1 })).toEqual([
        `${key}x is not an argument; the nearest known one is ${key}`,
      ]);
    expect(said(type, { ...FITTING[type], somethingElse: 1 })).toEqual([
      expect.stringMatching(/^somethingElse is not an argument; known are \w+(, \w+)+$/),
    ]);
  });
});

/** Arguments of a kind, by component. */
const KEYS: Record<string, string[]> = {
  NatsJetStream: [
    ..."namespace networkPolicies user password passwordRevision extraUsers cluster tls fileStoreSize memoryStoreSize".split(
      " ",
    ),
    ..."memoryLimit replicas hostSpread podSecurity storageClass maxConnections clientNodePort monitorNodePort".split(
      " ",
    ),
    ..."resources reloaderResources box boxResources protect chart timeoutSeconds transform".split(" "),
  ],
  Noetl: [
    ..."nats natsLogins database namespace networkPolicies image logLevel serverReplicas workerReplicas nodePort".split(
      " ",
    ),
    ..."names tuning serverResources workerResources workerInitResources workerStopSeconds jobs tmpSize".split(" "),
    ..."readOnlyRootFilesystem rollout serverEnv workerEnv spreadZones serviceAnnotations ingress chart".split(" "),
    ..."timeoutSeconds transform".split(" "),
  ],
  Gateway: [
    ..."nats image corsAllowedOrigins namespace networkPolicies noetlUrl replicas nodePort subjects publicUrl".split(
      " ",
    ),
    ..."loadBalancer serviceAnnotations ingress resources spreadZones authBypass maskLogs readOnlyRootFilesystem".split(
      " ",
    ),
    ..."env chart timeoutSeconds transform".split(" "),
  ],
  Postgres: [
    ..."namespace networkPolicies external image storageSize storageClass nodePort adminUser adminPassword".split(" "),
    ..."adminPasswordRevision database noetlUser noetlPassword noetlPasswordRevision noetlImage resources".split(" "),
    ..."schemaResources readOnlyRootFilesystem protect timeoutSeconds".split(" "),
  ],
  ContractGuard: "nats contract mode namespace networkPolicies image stores monitoring resources timeoutSeconds".split(
    " ",
  ),
};
const ARGUMENTS = Object.entries(KEYS).flatMap(([type, keys]) => keys.map((key) => [type, key] as const));
/** Whether an argument is true or false, or may be. */
const isFlag = (key: string) => /^(?:protect|box|spreadZones|authBypass|maskLogs|loadBalancer|readOnly.*)$/.test(key);
/** Whether a text may be any, with capitals. */
const isWord = (key: string) => /^user$|password$/i.test(key);

describe("an argument", () => {
  it.each(ARGUMENTS)("of %s, %s, is refused where it is of another kind", (type, key) => {
    const odd: unknown[] = [NaN, Infinity, -1, "", " ", Symbol.for("odd"), [5]];
    if (!isFlag(key)) odd.push(true);
    if (!isWord(key)) odd.push("10GB");
    for (const value of odd) {
      const problems = said(type, { ...FITTING[type], [key]: value });
      expect(problems, String(value)).not.toEqual([]);
      for (const problem of problems) {
        expect(problem, String(value)).toMatch(new RegExp(`^${key}(?:[.[]\\S+)? is .+; allowed: .+; for example .`));
        expect(problem).not.toContain("canary");
      }
    }
  });

  it("is left out by null as by undefined", async () => {
    expect(
      said("NatsJetStream", { ...Object.fromEntries((KEYS.NatsJetStream ?? []).map((key) => [key, null])) }),
    ).toEqual([]);
    await settled(declared);
    const release = declared.findLast(({ type }) => type.endsWith(":Release"));
    expect(unwrap(release?.inputs.values)).toMatchObject({ config: { cluster: { enabled: false } } });
  });

  it("that decides what is made is no output, which would count as true", () => {
    for (const [type, key] of [
      ["NatsJetStream", "protect"],
      ["NatsJetStream", "box"],
      ["Gateway", "authBypass"],
      ["Gateway", "loadBalancer"],
      ["Noetl", "spreadZones"],
      ["Noetl", "nats"],
      ["Noetl", "serverEnv"],
    ] as const)
      expect(said(type, { ...FITTING[type], [key]: pulumi.output(false) })).toEqual([
        expect.stringMatching(
          new RegExp(`^${key} is an output, which is not known yet when the program runs; allowed: `),
        ),
      ]);
  });

  it("is named with its place, and all problems are in one message", () => {
    expect(
      said("Noetl", {
        nats: { ...nats, port: "4222", pasword: "canary" },
        database: { ...database, host: undefined },
        names: { strem: "X", subject: "a..b" },
        tuning: { maxAckPending: 0 },
        workerEnv: { A: 5 },
        serverResources: { limits: { memory: "1GB" } },
      }),
    ).toEqual([
      "nats.pasword is not an argument; the nearest known one is password",
      "nats.port is text, not a number; allowed: a port, 1 to 65535; for example 4222",
      expect.stringMatching(/^database.host is missing; /),
      "names.strem is not an argument; the nearest known one is stream",
      expect.stringMatching(
        /^names.subject is not a NATS subject: it has an empty token; allowed: .+; for example noetl.commands$/,
      ),
      "tuning.maxAckPending is 0; allowed: a whole number from 1, or -1 for unlimited; for example 64",
      expect.stringMatching(/^serverResources.requests is missing; /),
      "serverResources.limits.memory is not a Kubernetes quantity; allowed: a Kubernetes quantity; for example 256Mi",
      'workerEnv.A is a number, not text; allowed: text; for example "1"',
    ]);
  });

  it("may be a component, whole or spread", () => {
    const whole = new library.NatsJetStream("whole");
    expect(said("Noetl", { nats: whole, database })).toEqual([]);
    expect(said("Noetl", { nats: { ...whole, user: "noetl-server" }, database })).toEqual([]);
    expect(said("Noetl", { nats: new library.Postgres("no-nats"), database })).toEqual([
      expect.stringMatching(/^nats.user is missing; /),
      expect.stringMatching(/^nats.password is missing; /),
    ]);
  });

  it("needs another one where that says so", () => {
    expect(said("NatsJetStream", { tls: { from: "secret" } })).toEqual([
      expect.stringMatching(/^tls.secret is missing while /),
    ]);
    expect(said("NatsJetStream", { tls: { from: "cert-manager" } })).toEqual([
      expect.stringMatching(/^tls.issuer is missing while /),
    ]);
  });
});

describe("an argument of one of two kinds", () => {
  it.each<[string, Record<string, unknown>, RegExp]>([
    [
      "AutopilotCluster",
      { controlPlaneAccess: "DNS" },
      /^controlPlaneAccess is none of dns, public; allowed: dns or public, or a list of IPv4 ranges/,
    ],
    ["AutopilotCluster", { controlPlaneAccess: [5] }, /^controlPlaneAccess\[0\] is a number, not text/],
    [
      "NatsJetStream",
      { extraUsers: [{ name: "a", password: "canary-word", permissions: { publish: ["", 5] } }] },
      /^extraUsers\[0\]\.permissions\.publish\[0\] is empty/,
    ],
  ])("%s: %j is held to that kind", (type, odd, says) => {
    expect(said(type, { ...FITTING[type], ...odd })[0]).toMatch(says);
  });
  it.each(["dns", "public", ["198.51.100.0/24"]])("takes what fits: %j", (controlPlaneAccess) => {
    expect(said("AutopilotCluster", { ...FITTING.AutopilotCluster, controlPlaneAccess })).toEqual([]);
  });
});

describe("StreamContract in plain JavaScript", () => {
  const failures = (news: object): string[] =>
    (check({}, news).failures ?? []).flatMap(({ reason }) => reason.split(";\n"));

  it("takes nothing for its defaults, and nothing but an object", () => {
    for (const args of [[], [null], [{}]]) expect(said("StreamContract", ...args)).toEqual([]);
    for (const odd of [[], "text", pulumi.output({})])
      expect(said("StreamContract", odd)[0]).toMatch(/the second argument is not an object/);
  });

  it("passes odd parts on to be refused, each as a secret where it may hold one", async () => {
    expect(said("StreamContract", { connection: "nats:4222", gateway: 5, noetlLogin: "canary" })).toEqual([]);
    await settled(declared);
    const inputs = declared.findLast(({ type }) => type.endsWith("StreamContract"))?.inputs;
    expect(unwrap(inputs)).toMatchObject({ connection: "nats:4222", gateway: 5, noetlLogin: "canary" });
    expect(inputs?.noetlLogin).not.toBe("canary");
  });

  it("knows its keys, also inside, and those that were meant", () => {
    expect(failures({ strem: "X" })).toEqual([
      expect.stringMatching(
        /^strem is an unknown key; the nearest known one is stream; allowed are connection, user, /,
      ),
    ]);
    const inside = {
      connection: { contxt: "kind-noetl", tls: { handshakefirst: true } },
      expect: { retension: "limits" },
      worker: { maxAckPendig: 5 },
      noetl: { nmespace: "x" },
      gateway: { sessionBuckt: "s" },
      noetlLogin: { user: "u", password: "p", worker: { user: "u", password: "p", inbx: "i" } },
      consumers: [{ name: "pool", filter: ["noetl.commands.>"] }],
    };
    const problems = failures(inside);
    for (const [key, meant] of [
      ["connection.contxt", "context"],
      ["connection.tls.handshakefirst", "handshakeFirst"],
      ["expect.retension", "retention"],
      ["worker.maxAckPendig", "maxAckPending"],
      ["noetl.nmespace", "namespace"],
      ["gateway.sessionBuckt", "sessionBucket"],
      ["noetlLogin.worker.inbx", "inbox"],
      ["consumers[0].filter", "filters"],
    ])
      expect(problems).toContainEqual(
        expect.stringContaining(`${key} is an unknown key; the nearest known one is ${meant};`),
      );
    expect(failures({ connection: { servers: ["nats:4222"], namespace: "nats" } })).toEqual([
      "connection.namespace is an unknown key; allowed are servers, tls",
    ]);
  });

  it("says once that a part is not an object, and nothing of what would be in it", () => {
    for (const part of ["connection", "expect", "worker", "noetl", "gateway", "noetlLogin"])
      for (const odd of ["text", 5, true, []])
        expect(failures({ [part]: odd })).toEqual([
          expect.stringMatching(new RegExp(`^${part} is not an object; allowed is one with .+, for example \\{\\}$`)),
        ]);
  });
});
