import { describe, expect, it } from "vitest";
import { parseSettings } from "../../config/parse";
import { SETTINGS } from "../../config/schema";
import { ENVIRONMENT, NAMING_VARIABLES, variablesOf } from "../../contract/env";
import { expectedEnvironment } from "../../commands/doctor/gather";
import type { Target } from "../../commands/doctor/target";
import { INGRESS } from "../support/gke/configurations";

describe("the table of environment variables", () => {
  it("has the specification's 22", () => {
    expect((["server", "worker", "gateway"] as const).map((each) => variablesOf(each).length)).toEqual([6, 8, 8]);
  });

  it("names settings that there are, of which only those of credentials hold a secret", () => {
    for (const { name, settings, secret } of ENVIRONMENT) {
      expect(settings.length, name).toBeGreaterThan(0);
      for (const key of settings) expect(SETTINGS, name).toHaveProperty(key);
      const secrets = settings.filter((key) => (SETTINGS as Record<string, { secret?: boolean }>)[key]?.secret);
      expect(secrets.length > 0, name).toBe(secret);
    }
  });

  it("names what the stream contract names", () => {
    expect(NAMING_VARIABLES.map(({ argument }) => argument)).toEqual(["stream", "subject", "consumer"]);
  });
});

/** Values of the variables where `nats` stays the same, by part and name. */
const valuesOf = (raw: Readonly<Record<string, string>>, nats: Target["nats"]): Map<string, string | undefined> => {
  const expected = expectedEnvironment({ settings: parseSettings(raw), nats });
  return new Map(
    ENVIRONMENT.map(({ component, name }) => [
      `${component} ${name}`,
      expected[component === "gateway" ? "gateway" : `noetl-${component}`]?.[name],
    ]),
  );
};

describe("the settings of a variable", () => {
  const nats = { user: "somebody", password: "some-password", host: "n", port: 4222 } as unknown as Target["nats"];
  const secret = { noetlImage: "ghcr.io/noetl/noetl:v2.11.1", deployGateway: "true", gatewayImage: "g:v1" };
  const STACKS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    "a cluster of one's own": { ...secret, corsAllowedDomains: "acme.dev" },
    GKE: INGRESS,
  };
  it.each(Object.entries(STACKS))("are all that change its value: %s", (_, raw) => {
    const before = valuesOf(raw, nats);
    let changed = 0;
    for (const [key, { example, default: standard }] of Object.entries(SETTINGS)) {
      const other =
        typeof standard === "boolean"
          ? String((raw[key] ?? String(standard)) !== "true")
          : typeof standard === "number"
            ? String(standard + 1)
            : example;
      let after: typeof before;
      try {
        after = valuesOf({ ...raw, [key]: other }, nats);
      } catch {
        // Alone it does not go with the rest.
        continue;
      }
      for (const { component, name, settings } of ENVIRONMENT) {
        if (after.get(`${component} ${name}`) === before.get(`${component} ${name}`)) continue;
        changed += 1;
        // serverEnv and its like may not name a variable of the table.
        expect(settings, `${name} by ${key}`).toContain(key);
      }
    }
    expect(changed).toBeGreaterThan(12);
  });
});

describe("what the pods must have", () => {
  const nats = { user: "somebody", password: "some-password", host: "n", port: 4222 } as unknown as Target["nats"];

  it("is every variable, from the settings that decide it", () => {
    const settings = parseSettings({
      postgresPassword: "a-long.random_Word-42",
      noetlImage: "ghcr.io/noetl/noetl:v2.11.1",
      natsStream: "S",
      natsSubject: "s.commands",
      natsConsumer: "C",
      workerFetchTimeoutSeconds: "41",
      workerFetchHeartbeatSeconds: "7.5",
      workerMaxAckPending: "42",
      workerMaxDeliver: "43",
      natsUpdatesSubjectPrefix: "updates.",
      natsCallbackSubjectPrefix: "callbacks",
      natsSessionBucket: "S1",
      natsSessionCacheTtlSeconds: "44",
      natsRequestBucket: "R1",
      natsRequestTtlSeconds: "45",
      corsAllowedOrigins: "https://a.example.org",
    });
    const url = "nats://somebody:some-password@n:4222";
    const names = { NATS_URL: url, NATS_STREAM: "S", NATS_SUBJECT: "s.commands", NATS_CONSUMER: "C" };
    const login = { NATS_USER: "somebody", NATS_PASSWORD: "some-password" };
    const expected = expectedEnvironment({ settings, nats });
    expect(expected).toEqual({
      "noetl-server": { ...names, ...login },
      "noetl-worker": {
        ...names,
        ...login,
        NOETL_WORKER_NATS_FETCH_TIMEOUT_SECONDS: "41",
        NOETL_WORKER_NATS_FETCH_HEARTBEAT_SECONDS: "7.5",
        NOETL_WORKER_NATS_MAX_ACK_PENDING: "42",
        NOETL_WORKER_NATS_MAX_DELIVER: "43",
      },
      gateway: {
        NATS_URL: url,
        NATS_UPDATES_SUBJECT_PREFIX: "updates.",
        NATS_CALLBACK_SUBJECT_PREFIX: "callbacks",
        NATS_SESSION_BUCKET: "S1",
        NATS_SESSION_CACHE_TTL_SECS: "44",
        NATS_REQUEST_BUCKET: "R1",
        NATS_REQUEST_TTL_SECS: "45",
        CORS_ALLOWED_ORIGINS: "https://a.example.org",
      },
    });
  });
});
