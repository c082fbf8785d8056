import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ConfigError, parseSettings, SETTING_KEYS } from "../../../config/parse";
import { SETTINGS } from "../../../config/schema";
import { EXISTING, FACTS, FRESH } from "../../support/gke/configurations";
import { unwrap } from "../../support/mocks";
import { type Declared, run } from "../../support/gke/mocks";

const SIGNATURE = "4dabf18193072939515e22adb298388d";

/** Paths of texts with a canary outside every secret. */
function plaintext(value: unknown, at: string): string[] {
  if (typeof value === "string") return value.includes("canary") ? [at] : [];
  if (value === null || typeof value !== "object" || SIGNATURE in value) return [];
  return Object.entries(value).flatMap(([key, inner]) => plaintext(inner, `${at}.${key}`));
}

type Raw = Record<string, string>;
const bool = fc.boolean().map(String);
const oneOf = (...values: string[]) => fc.constantFrom(...values);
const optional = (key: string, value: string) => fc.boolean().map((on): Raw => (on ? { [key]: value } : {}));
const merge = (parts: readonly Raw[]): Raw => Object.assign({}, ...parts) as Raw;

/** Configurations that are valid by construction, secrets recognisable. */
const valid = fc
  .record({
    cluster: oneOf("fresh", "fresh in a network", "existing"),
    database: oneOf("cloud sql", "in the cluster", "external"),
    exposure: oneOf("load-balancer", "ingress", "ingress with IAP", "no gateway"),
    dns: bool,
    api: bool,
    nats: oneOf("installed", "external"),
    noetl: fc.boolean(),
    replicas: oneOf("1", "3", "5"),
    memory: oneOf("64Mi", "1Gi", "3Gi"),
    tier: oneOf("db-g1-small", "db-custom-1-3840", "db-custom-4-15360"),
    workers: fc.integer({ min: 0, max: 9 }).map(String),
    more: fc.tuple(
      bool.map((value): Raw => ({ deletionProtection: value })),
      bool.map((value): Raw => ({ enableApis: value })),
      bool.map((value): Raw => ({ createArtifactRegistry: value })),
      optional("natsPassword", "canary-nats-login"),
      optional("noetlPassword", "canary-noetl-role"),
      optional("natsStorageClass", "premium-rwo"),
      optional("corsAllowedDomains", "acme.dev,staging.acme.dev"),
      optional("gatewayReplicas", "3"),
    ),
  })
  .map((choice): { raw: Raw; existing: boolean } => {
    const ingress = choice.exposure.startsWith("ingress");
    const gateway = choice.exposure !== "no gateway";
    const apiHost = ingress && choice.api === "true" && choice.noetl;
    const exposed =
      ingress && !gateway && !apiHost ? "internal" : ingress ? "ingress" : gateway ? choice.exposure : "internal";
    const raw = merge([
      { platform: "gke", projectId: "acme-noetl", clusterName: "noetl", minFreeCpus: "128" },
      choice.cluster === "existing" ? { createCluster: "false", minFreeCpus: "" } : {},
      choice.cluster === "fresh in a network" ? { network: "shared", subnetwork: "shared-a" } : {},
      choice.cluster === "fresh" ? { privateNodes: choice.api } : {},
      choice.database === "cloud sql"
        ? {
            useCloudSql: "true",
            deployPostgres: "false",
            cloudSqlTier: choice.tier,
            postgresPassword: "canary-admin-role",
          }
        : choice.database === "external"
          ? { deployPostgres: "false", postgresHost: "10.9.8.7", postgresPassword: "canary-admin-role" }
          : { postgresStorageSize: "20Gi" },
      choice.nats === "external"
        ? { deployNats: "false", natsHost: "nats.acme.dev", natsPassword: "canary-nats-login" }
        : { natsReplicas: choice.replicas, natsJetstreamMemSize: choice.memory },
      { deployNoetl: String(choice.noetl), workerReplicas: choice.workers },
      gateway ? { deployGateway: "true", gatewayImage: "registry.acme.dev/gateway:v2" } : {},
      { exposure: exposed, acceptedRisks: "plain-http,public-api,plain-nats" },
      gateway ? { corsAllowedDomains: "acme.dev" } : {},
      ingress && gateway ? { gatewayHost: "gateway.acme.dev" } : {},
      apiHost ? { noetlHost: "noetl.acme.dev" } : {},
      exposed === "ingress" ? (choice.dns === "true" ? { dnsZone: "acme-dev" } : { externalDns: "true" }) : {},
      choice.exposure === "ingress with IAP"
        ? {
            iap: "true",
            iapClientId: "1-a.apps.googleusercontent.com",
            iapClientSecret: "canary-iap",
            iapMembers: "domain:acme.dev",
          }
        : {},
      ...choice.more,
    ]);
    // Merged last on purpose: an external NATS needs its password.
    return { raw, existing: choice.cluster === "existing" };
  });

/** Resources whose type or name fits. */
const those = (declared: readonly Declared[], pattern: RegExp) =>
  declared.filter(({ type, name }) => pattern.test(`${type} ${name}`));

/** What must be there before the next. */
const STAGES: readonly (readonly [string, RegExp])[] = [
  ["platform", /^(gcp:compute\/(network|subnetwork|router)|gcp:container\/cluster|pulumi:providers:kubernetes)/],
  [
    "database and NATS",
    /^(gcp:sql.* cloud-sql|kubernetes:.* (nats|pgbouncer|postgres)-(release|pods|server|service|schema)$)/,
  ],
  ["NoETL", /^kubernetes:helm.* noetl-release$/],
  // What mode ensure makes before NoETL starts is a resource of its own.
  ["contract", / stream-contract$/],
];

/** What must have ended before something else begins, wherever both are there. */
const PAIRS: readonly (readonly [early: RegExp, late: RegExp])[] = [
  [/^gcp:projects.* apis-cloudresourcemanager$/, /^gcp:projects\/service.* apis-(?!cloudresourcemanager$)/],
  [/^gcp:projects\/service/, /^gcp:(compute|container|sql|servicenetworking|artifactregistry|iap|dns)/],
  [/^gcp:compute\/subnetwork/, /^gcp:compute.* cloud-sql-range$/],
];

/** Pairs of a stage that begins before an earlier one has ended. */
function disorder(declared: readonly Declared[]): string[] {
  const problems = PAIRS.flatMap(([early, late]) =>
    those(declared, late).flatMap((after) =>
      those(declared, early)
        .filter(({ end }) => end > after.begin)
        .map(({ name }) => `${after.name} begins before ${name} is there`),
    ),
  );
  for (const [index, [stage, pattern]] of STAGES.entries()) {
    const before = STAGES.slice(0, index).flatMap(([, earlier]) => those(declared, earlier));
    for (const late of those(declared, pattern)) {
      // Cloud SQL is not an object of the cluster: it needs the network alone, and both are made at the same time.
      const needed = late.type.startsWith("gcp:sql")
        ? before.filter(({ type }) => /compute\/network:/.test(type))
        : before;
      for (const early of needed) {
        if (early.end > late.begin) problems.push(`${late.name} (${stage}) begins before ${early.name} is there`);
      }
    }
  }
  return problems;
}

describe("the checks below notice", () => {
  it("every stage, a wrong order and a secret in plain text", async () => {
    const { declared } = await run({ ...FRESH, natsBox: "true", natsPassword: "canary-nats-login" });
    for (const [stage, pattern] of STAGES) expect(those(declared, pattern).length, stage).toBeGreaterThan(0);
    expect(disorder(declared)).toEqual([]);
    for (const pair of PAIRS) for (const side of pair) expect(those(declared, side)).not.toEqual([]);
    const backwards = declared.map((each) => ({ ...each, begin: -each.end, end: -each.begin }));
    expect(disorder(backwards).length).toBeGreaterThan(20);
    const secrets = those(declared, /Secret nats-box/);
    expect(plaintext(secrets[0]?.inputs, "nats-box")).toEqual([]);
    expect(plaintext(unwrap(secrets[0]?.inputs), "nats-box")).toEqual(["nats-box.stringData.password"]);
  });
});

describe("any configuration", () => {
  it("is either accepted or refused with its problems; nothing else is ever thrown", () => {
    const keys = SETTING_KEYS.filter((key) => !SETTINGS[key].secret);
    const value = fc.oneof(
      oneOf(
        "true",
        "false",
        "gke",
        "kubernetes",
        "ingress",
        "load-balancer",
        "0",
        "1",
        "7",
        "64Gi",
        "default",
        "acme.dev",
      ),
      fc.string({ maxLength: 20 }),
    );
    const examples = fc.constantFrom(...keys).map((key): [string, string] => [key, SETTINGS[key].example]);
    const wild = fc.tuple(fc.constantFrom<string>(...keys), value);
    fc.assert(
      fc.property(fc.array(fc.oneof(examples, wild), { maxLength: 25 }), fc.boolean(), (pairs, gke) => {
        const raw = { ...Object.fromEntries(pairs), ...(gke ? { platform: "gke", projectId: "acme-noetl" } : {}) };
        try {
          parseSettings(raw);
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
          for (const problem of (error as ConfigError).problems) expect(problem).not.toMatch(/undefined|NaN|\[object/);
        }
      }),
      { numRuns: 1500 },
    );
  });

  it("that is valid deploys: by the official schemas, in order, without a secret in plain text", async () => {
    let declaredInAll = 0;
    await fc.assert(
      fc.asyncProperty(
        valid,
        fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 7, maxLength: 7 }),
        async (choice, delays) => {
          const { declared, problems } = await run(
            choice.raw,
            choice.existing ? EXISTING : FACTS,
            (index) => delays[index % delays.length] ?? 0,
          );
          declaredInAll += declared.length;
          expect(problems).toEqual([]);
          expect(disorder(declared)).toEqual([]);
          expect(declared.flatMap(({ name, inputs }) => plaintext(inputs, name))).toEqual([]);
          expect(those(declared, / stream-contract$/)).toHaveLength(choice.raw.deployNoetl === "true" ? 1 : 0);
        },
      ),
      { numRuns: 20 },
    );
    expect(declaredInAll).toBeGreaterThan(20 * 20);
  });
});
