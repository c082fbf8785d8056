import { describe, expect, it } from "vitest";
import { ConfigError, natsMemoryLimit, parseSettings, SETTING_KEYS } from "../../config/parse";
import { SETTINGS, type Setting } from "../../config/schema";

const problemsOf = (raw: Record<string, string>): readonly string[] => {
  try {
    parseSettings(raw);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
};

describe("parseSettings", () => {
  it("fills in the defaults of the specification", () => {
    expect(parseSettings({})).toMatchObject({
      natsUser: "noetl",
      natsPassword: undefined,
      natsJetstreamFileSize: "5Gi",
      natsJetstreamMemSize: "1Gi",
      natsStream: "NOETL_COMMANDS",
      natsSubject: "noetl.commands",
      natsConsumer: "noetl_worker_pool",
      workerFetchTimeoutSeconds: 30,
      workerFetchHeartbeatSeconds: 5,
      workerMaxAckPending: 64,
      workerMaxDeliver: 1000,
      natsUpdatesSubjectPrefix: "playbooks.executions.",
      natsCallbackSubjectPrefix: "noetl.callbacks",
      natsSessionBucket: "sessions",
      natsSessionCacheTtlSeconds: 300,
      natsRequestBucket: "requests",
      natsRequestTtlSeconds: 1800,
    });
  });

  it("takes an empty text for unset", () => {
    expect(parseSettings({ natsPassword: "", natsNodePort: " " })).toEqual(parseSettings({}));
  });

  it("reports every problem at once, each with key, allowed values and an example", () => {
    const problems = problemsOf({
      natsJetstreamFileSize: "5GB",
      natsJetstreamMemSize: "900Ti",
      natsSubject: "noetl..commands",
      natsStream: "NOETL COMMANDS",
      corsAllowedOrigins: "app.example.org",
      natsPasword: "x",
      workerMaxDeliver: "many",
      deployNats: "yes",
    });
    expect(problems).toHaveLength(8);
    for (const problem of problems.filter((each) => !each.startsWith("natsPasword")))
      expect(problem).toMatch(/^\w+: .*allowed: .+; for example \S/);
    expect(problems.join("\n")).toContain("natsPasword: unknown key; the nearest known one is natsPassword");
    expect(problems.join("\n")).toContain('natsJetstreamFileSize: "5GB" is no Kubernetes quantity');
  });

  it("never repeats a password", () => {
    const canary = "canary p@ss:word";
    for (const key of SETTING_KEYS.filter((each) => SETTINGS[each].secret)) {
      const problems = problemsOf({ [key]: canary });
      expect(problems, key).toHaveLength(1);
      expect(problems[0]).not.toContain("canary");
    }
  });

  it("refuses a password in plain text", () => {
    expect(() => parseSettings({ natsPassword: "canary" }, () => false)).toThrow(/natsPassword: is in plain text/);
    expect(() => parseSettings({ natsPassword: "canary" }, () => false)).not.toThrow(/canary/);
    expect(parseSettings({ natsUser: "u", natsPassword: "p" }, (key) => key === "natsPassword").natsPassword).toBe("p");
  });

  it("knows the other name of the file size", () => {
    expect(parseSettings({ natsJetstreamSize: "20Gi" }).natsJetstreamFileSize).toBe("20Gi");
    expect(problemsOf({ natsJetstreamSize: "20Gi", natsJetstreamFileSize: "10Gi" })[0]).toContain("two names");
  });

  it("asks for what an external part needs", () => {
    expect(problemsOf({ deployNats: "false" }).map((each) => each.split(":")[0])).toEqual(["natsHost", "natsPassword"]);
    expect(problemsOf({ deployPostgres: "false" }).map((each) => each.split(":")[0])).toEqual([
      "postgresHost",
      "postgresPassword",
    ]);
    expect(problemsOf({ deployGateway: "true" })[0]).toContain("gatewayImage");
  });

  it("refuses a memory store that does not fit its limit, a heartbeat too slow, a port taken twice", () => {
    expect(problemsOf({ natsJetstreamMemSize: "2Gi", natsMemoryLimit: "2Gi" })[0]).toContain("does not fit");
    expect(problemsOf({ workerFetchTimeoutSeconds: "6" })[0]).toContain("more than half");
    expect(problemsOf({ natsNodePort: "30422", noetlNodePort: "30422" })[0]).toContain("already the port of");
  });

  it("refuses a server that would not be used, and one bucket for two purposes", () => {
    expect(problemsOf({ natsHost: "nats.acme.dev" })).toEqual([
      expect.stringMatching(/^natsHost: "nats.acme.dev" is of no use while deployNats is true.*allowed: unset it, or/),
    ]);
    expect(problemsOf({ postgresHost: "10.1.2.3" })[0]).toMatch(/^postgresHost: .*while deployPostgres is true/);
    const gateway = { deployGateway: "true", gatewayImage: "g:v1" };
    expect(problemsOf({ ...gateway, natsRequestBucket: "sessions" })).toEqual([
      expect.stringMatching(/^natsRequestBucket: "sessions" is natsSessionBucket, too/),
    ]);
    expect(problemsOf({ natsRequestBucket: "sessions" })).toEqual([]);
  });

  it("refuses a rollout that cannot begin", () => {
    expect(problemsOf({ rolloutMaxSurge: "0", rolloutMaxUnavailable: "0" })[0]).toContain("would stop every rollout");
    expect(problemsOf({ rolloutMaxSurge: "0" })).toEqual([]);
  });

  it("takes a callback prefix as the gateway does, which puts a dot after it", () => {
    expect(problemsOf({ natsCallbackSubjectPrefix: "noetl.callbacks." })[0]).toContain("natsCallbackSubjectPrefix:");
    expect(problemsOf({ natsUpdatesSubjectPrefix: "playbooks.executions." })).toEqual([]);
  });

  it("lets pages of allowed domains call the gateway on every platform", () => {
    const { corsAllowedOrigins } = parseSettings({
      corsAllowedOrigins: "https://app.acme.dev",
      corsAllowedDomains: "acme.dev",
    });
    expect(corsAllowedOrigins).toEqual(["https://app.acme.dev", "https://acme.dev", "http://acme.dev"]);
    expect(problemsOf({ corsIncludeLocalhost: "false" })[0]).toMatch(/has no use for corsIncludeLocalhost/);
  });

  it("derives a memory limit that leaves room", () => {
    expect(natsMemoryLimit({ natsMemoryLimit: undefined, natsJetstreamMemSize: "1Gi" })).toBe("1792Mi");
    expect(natsMemoryLimit({ natsMemoryLimit: "3Gi", natsJetstreamMemSize: "1Gi" })).toBe("3Gi");
  });
});

describe("the schema", () => {
  it.each(SETTING_KEYS)("%s: description, and an example that passes its own check", (key) => {
    const setting = SETTINGS[key] as unknown as Setting<unknown>;
    expect(setting.description).toMatch(/\.$/);
    expect(setting.allowed).not.toBe("");
    expect(setting.example).not.toBe("");
    // What they name exists elsewhere, where this stack does not install it.
    const elsewhere = { natsHost: { deployNats: "false" }, postgresHost: { deployPostgres: "false" } };
    const raw = { ...elsewhere[key as keyof typeof elsewhere], [key]: setting.example };
    const problems = problemsOf(raw).filter((each) => each.startsWith(`${key}:`));
    expect(problems).toEqual([]);
  });
});
