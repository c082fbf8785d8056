import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { natsMemory } from "../../contract/nats/memory";
import {
  ConfigError,
  foreignKeys,
  natsMemoryLimit,
  parseSettings,
  SETTING_KEYS,
  shownDefault,
} from "../../config/parse";
import { guardMode } from "../../config/guard";
import { SETTINGS, type Setting, type SettingKey } from "../../config/schema";
import { quantityBytes } from "../../contract/validate";
import { problemsOf } from "../support/settings";

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
    expect(problems.join("\n")).toContain('natsJetstreamFileSize: "5GB" is not a Kubernetes quantity');
  });

  it.each<[SettingKey, string, string]>([
    ["deployGateway", "True", "true"],
    ["deployGateway", "yes", "true"],
    ["natsBox", "0", "false"],
    ["contractMode", "Ensure", "ensure"],
    ["noetlLogLevel", "debug", "DEBUG"],
    ["platform", "GKE", "gke"],
    ["natsJetstreamFileSize", "20GB", "20Gi"],
    ["natsJetstreamFileSize", "20 gib", "20Gi"],
    ["workerMemoryLimit", "512mb", "512Mi"],
    ["workerReplicas", "3.0", "3"],
    ["natsTls", "cert_manager", "cert-manager"],
    ["noetlImage", "ghcr.io/noetl/noetl:v2.8.9\u200b", "ghcr.io/noetl/noetl:v2.8.9"],
    // Nothing that would do can be made of these.
    ["deployGateway", "maybe", "false"],
    ["natsJetstreamFileSize", "1MB", "5Gi"],
    ["workerReplicas", "2.5", "2"],
  ])("gives of %s %j the value that was meant for an example", (key, text, example) => {
    expect(problemsOf({ [key]: text })[0]).toMatch(new RegExp(`^${key}: .*; for example ${example}$`));
  });

  it.each<[SettingKey, string]>([
    ["natsTlsCa", "-----BEGIN PRIVATE KEY-----\nCANARY\n-----END PRIVATE KEY-----"],
    ["natsTlsCa", "-----BEGIN PRIVATE KEY-----CANARY"],
    ["kubeconfig", "apiVersion: v1\nusers:\n- token: CANARY"],
    ["natsHost", "app:CANARY@nats.example.org"],
    ["natsPassword", "CANARY word"],
    ["serverEnv", "TOKEN=CANARY"],
  ])("makes no example of what is not to be shown: %s", (key, text) => {
    const [problem = ""] = problemsOf({ [key]: text });
    expect(problem).toContain("; for example ");
    expect(problem).not.toMatch(/canary/i);
  });

  it.each(["__proto__", "constructor", "toString"])("takes %s for a word like others", (text) => {
    for (const key of SETTING_KEYS) for (const problem of problemsOf({ [key]: text })) expect(problem).toContain(key);
  });

  it.each<[SettingKey, string, string]>([
    ["natsSubject", "noetl.com\u200bmands", "noetl.commands"],
    ["natsCallbackSubjectPrefix", "noetl.\u00adcallbacks", "noetl.callbacks"],
    ["natsStream", "NOETL\ufeff_COMMANDS", "NOETL_COMMANDS"],
    ["kubeContext", "kind-\u200enoetl", "kind-noetl"],
    ["natsChart", "na\rts", "nats"],
    ["corsAllowedDomains", "app\u200b.example.org", "app.example.org"],
  ])("refuses a sign that nobody sees in %s %j, with an example without it", (key, text, example) => {
    expect(problemsOf({ [key]: text })).toEqual([
      expect.stringMatching(new RegExp(`^${key}: .*; for example ${example}$`)),
    ]);
    expect(problemsOf({ [key]: `\u00a0${example}\r\n` })).toEqual([]);
  });

  it("writes out what nobody would see in a value", () => {
    const [problem = ""] = problemsOf({ noetlImage: "noetl:1\u200b\u001b[31m" });
    expect(problem).toContain('"noetl:1\\u{200b}\\u{1b}[31m"');
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
  });

  it("refuses a memory store that does not fit its limit, a heartbeat too slow, a port taken twice", () => {
    expect(problemsOf({ natsJetstreamMemSize: "2Gi", natsMemoryLimit: "2049Mi" })[0]).toBe(
      'natsMemoryLimit: "2049Mi" is too little for natsJetstreamMemSize "2Gi": the server needs room beside its memory store, and Go ' +
        "part of the limit; allowed: unset, or at least 2560Mi; for example 3328Mi",
    );
    expect(problemsOf({ workerFetchTimeoutSeconds: "6" })[0]).toContain(
      "not less than half of the fetch timeout (6 s)",
    );
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

  it("takes times of a pull with decimals, and a heartbeat of less than half of the timeout alone", () => {
    const pull = (timeout: string, heartbeat: string) =>
      problemsOf({ workerFetchTimeoutSeconds: timeout, workerFetchHeartbeatSeconds: heartbeat });
    expect(parseSettings({ workerFetchTimeoutSeconds: "7.5", workerFetchHeartbeatSeconds: "2.25" })).toMatchObject({
      workerFetchTimeoutSeconds: 7.5,
      workerFetchHeartbeatSeconds: 2.25,
    });
    expect(pull("30", "15")[0]).toMatch(/^workerFetchHeartbeatSeconds: 15 is not less than half.*for example 5$/);
    expect(pull("30", "14.9")).toEqual([]);
    expect(pull("1", "1")[0]).toMatch(/allowed: less than 0.5; for example 0.1$/);
    expect(pull("soon", "5")[0]).toMatch(/is not a number; allowed: a number from 0.5 to 3600, decimals too/);
  });

  it("refuses more commands on databases than commands, against the chart's defaults too", () => {
    expect(problemsOf({ workerMaxInflightCommands: "2" })).toEqual([
      "workerMaxInflightDbCommands: 3 where unset is more than workerMaxInflightCommands (2), and no worker would start; " +
        "allowed: at most that; for example 2",
    ]);
    expect(problemsOf({ workerMaxInflightDbCommands: "9" })[0]).toContain("workerMaxInflightCommands (8 where unset)");
    expect(problemsOf({ workerMaxInflightCommands: "2", workerMaxInflightDbCommands: "2" })).toEqual([]);
  });

  it("refuses prefixes of the gateway that would get commands", () => {
    const gateway = { deployGateway: "true", gatewayImage: "g:v1" };
    expect(problemsOf({ ...gateway, natsUpdatesSubjectPrefix: "noetl." })).toEqual([
      'natsUpdatesSubjectPrefix: "noetl." takes natsSubject "noetl.commands", or what is published below it, in, so the gateway would ' +
        "get commands for updates; allowed: subjects of which none lies below the other; for example playbooks.executions.",
    ]);
    for (const prefix of ["noetl.commands.", "noetl.commands.updates."])
      expect(problemsOf({ ...gateway, natsUpdatesSubjectPrefix: prefix }), prefix).toHaveLength(1);
    expect(problemsOf({ ...gateway, natsCallbackSubjectPrefix: "noetl" })[0]).toMatch(
      /^natsCallbackSubjectPrefix: .*noetl.callbacks$/,
    );
    expect(problemsOf({ ...gateway, natsSubject: "playbooks.executions.run" })[0]).toMatch(
      /^natsSubject: .*for example noetl.commands$/,
    );
    for (const prefix of ["noetl.events.", "noetl.commandset."])
      expect(problemsOf({ ...gateway, natsUpdatesSubjectPrefix: prefix }), prefix).toEqual([]);
    expect(problemsOf({ natsUpdatesSubjectPrefix: "noetl.events" })[0]).toMatch(
      /is a prefix without the dot at its end, which matches no subject; .*for example noetl.events.$/,
    );
  });

  it("names the setting that was changed, with a value that works", () => {
    const gateway = { deployGateway: "true", gatewayImage: "g:v1" };
    expect(problemsOf({ ...gateway, natsSessionBucket: "requests" })[0]).toMatch(
      /^natsSessionBucket: .*for example sessions$/,
    );
    expect(problemsOf({ postgresUser: "noetl" })[0]).toMatch(/^postgresUser: .*for example postgres$/);
    expect(problemsOf({ natsNodePort: "30082", noetlNodePort: "30082" })[0]).toMatch(
      /^noetlNodePort: .*for example 30422$/,
    );
  });

  it("refuses another revision of a password that is not generated", () => {
    expect(problemsOf({ natsUser: "a~b", natsPasswordRevision: "2" })).toEqual([]);
    expect(problemsOf({ natsPassword: "p", natsPasswordRevision: "2" })).toEqual([
      'natsPasswordRevision: "2" has no effect while natsPassword is set: no password is generated then; allowed: unset it; ' +
        "for example pulumi config rm natsPasswordRevision",
    ]);
    const external = { deployNats: "false", natsHost: "nats.acme.dev", natsPassword: "p" };
    expect(problemsOf({ ...external, natsPasswordRevision: "2" })[0]).toMatch(/while deployNats is false/);
    expect(problemsOf({ postgresPasswordRevision: "2", noetlPasswordRevision: "3" })).toEqual([]);
    expect(problemsOf({ noetlPassword: "p", noetlPasswordRevision: "2" })[0]).toMatch(
      /^noetlPasswordRevision: "2" has no effect while noetlPassword is set/,
    );
    const elsewhere = { deployPostgres: "false", postgresHost: "10.1.2.3", postgresPassword: "p" };
    expect(problemsOf({ ...elsewhere, noetlPasswordRevision: "2" })).toEqual([]);
    expect(problemsOf({ ...elsewhere, postgresPasswordRevision: "2" })[0]).toMatch(/while deployPostgres is false/);
  });

  it("sizes the pods of server and workers", () => {
    expect(problemsOf({ workerMemoryRequest: "2Gi", workerMemoryLimit: "1Gi" })[0]).toMatch(
      /^workerMemoryRequest: "2Gi" is more than workerMemoryLimit "1Gi".*for example 1Gi$/,
    );
    expect(problemsOf({ serverCpuRequest: "2", serverCpuLimit: "500m" })[0]).toMatch(/^serverCpuRequest:/);
    expect(problemsOf({ workerCpuLimit: "1 core" })[0]).toMatch(
      /is not a quantity of CPU; allowed: CPU from 10m to 64; for example 2$/,
    );
  });

  it("takes further variables as JSON, none that a setting decides, and no credential", () => {
    expect(parseSettings({ workerEnv: '{"A_B":"c","N":5,"ON":true}' }).workerEnv).toEqual({
      A_B: "c",
      N: "5",
      ON: "true",
    });
    expect(problemsOf({ workerEnv: "A=b" })[0]).toMatch(/^workerEnv: is not JSON; allowed: .*; for example \{"/);
    expect(problemsOf({ workerEnv: '{"NATS_STREAM":"X","NOETL_WORKER_NATS_MAX_DELIVER":"7"}' })).toEqual([
      "workerEnv: NATS_STREAM has a place of its own; allowed: other variables; set natsStream instead",
      "workerEnv: NOETL_WORKER_NATS_MAX_DELIVER has a place of its own; allowed: other variables; set workerMaxDeliver instead",
    ]);
    for (const variables of [
      { API_TOKEN: "canary" },
      { URL: "https://bob:canary@example.org" },
      { X: "-----BEGIN PRIVATE KEY-----canary" },
      { LIST: ["canary"] },
    ]) {
      const [problem] = problemsOf({ serverEnv: JSON.stringify(variables) });
      expect(problem, JSON.stringify(variables)).toMatch(/^serverEnv: is not usable/);
      expect(problem).not.toContain("canary");
    }
  });

  it.each([
    ["NATS_URL", /the variable NATS_URL follows from natsHost, natsPort, natsUser, natsPassword/],
    ["config.server.NATS_URL", /the variable NATS_URL follows from natsHost/],
    ["env.natsUrl", /the variable NATS_URL follows from natsHost/],
    ["NOETL_WORKER_NATS_MAX_ACK_PENDING", /follows from workerMaxAckPending/],
    ["config.worker.NOETL_POSTGRES_POOL_MAX_SIZE", /follows from workerPoolMaxSize \(/],
    ["NOETL_POSTGRES_POOL_MAX_SIZE", /follows from serverPoolMaxSize, workerPoolMaxSize/],
    ["config.worker.NOETL_DEBUG", /further variables stand in workerEnv/],
    ["NOETL_DEBUG", /further variables stand in serverEnv, workerEnv or gatewayEnv/],
    ["natsuser", /the nearest known one is natsUser/],
    [
      "action",
      /^action: unknown key; of NoETL's playbooks, A stack has no actions: see the table of commands \(docs\/gke.md\)$/,
    ],
    ["project_id", /it is projectId here \(docs\/gke.md\)$/],
  ])("leads from the key %s to the setting", (key, hint) => {
    expect(problemsOf({ [key]: "x" })).toEqual([expect.stringMatching(hint)]);
  });

  it("says of keys in other namespaces that they have no effect, and names the right one", () => {
    const foreign = (values: Record<string, string>) => {
      try {
        parseSettings({}, () => true, values);
      } catch (error) {
        if (error instanceof ConfigError) return error.problems;
      }
      return [];
    };
    expect(
      foreign({
        "kubernetes:context": "prod",
        "gcp:project": "acme",
        "noetl:natsUser": "u",
        "NOETL-NATS:NATSPASSWORD": "canary",
      }),
    ).toEqual([
      "NOETL-NATS:NATSPASSWORD: has no effect: the key is noetl-nats:natsPassword here; for example pulumi config rm " +
        "NOETL-NATS:NATSPASSWORD and pulumi config set --secret natsPassword",
      expect.stringMatching(/^gcp:project: has no effect: the key is noetl-nats:projectId here; /),
      expect.stringMatching(/^kubernetes:context: has no effect: the key is noetl-nats:kubeContext here; /),
      expect.stringMatching(/^noetl:natsUser: has no effect: the key is noetl-nats:natsUser here; /),
    ]);
    expect(foreign({ "pulumi:tags": "{}", "noetl-nats:natsUser": "u" })).toEqual([]);
    expect(foreign({ "gcp:project": "acme", "noetl-nats:projectId": "acme" })).toEqual([]);
    expect(foreignKeys({ "aws:region": "eu-west-1" })).toEqual({
      problems: [],
      warnings: ["aws:region has no effect: nothing in this project reads the namespace aws"],
    });
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
    expect(problemsOf({ corsIncludeLocalhost: "true" })[0]).toMatch(/has no use for corsIncludeLocalhost/);
  });

  it("derives a memory limit that leaves room", () => {
    expect(natsMemoryLimit({ natsMemoryLimit: undefined, natsJetstreamMemSize: "1Gi" })).toBe("1792Mi");
    expect(natsMemoryLimit({ natsMemoryLimit: "3Gi", natsJetstreamMemSize: "1Gi" })).toBe("3Gi");
  });
});

describe("memory of NATS", () => {
  const quantity = fc.oneof(
    fc.integer({ min: 64, max: 70_000 }).map((size) => `${size}Mi`),
    fc.integer({ min: 1, max: 640 }).map((tenths) => `${tenths / 10}Gi`),
    fc.integer({ min: 1, max: 640 }).map((tenths) => `${tenths / 10}G`),
    fc.integer({ min: 67_108_864, max: 10 ** 11 }).map(String),
  );
  const mebibytes = (text: string) => (quantityBytes(text) ?? NaN) / 1024 ** 2;

  it("of every accepted pair leaves Go more than the store, and nats.conf whole numbers", () => {
    fc.assert(
      fc.property(quantity, fc.option(quantity, { nil: "" }), (natsJetstreamMemSize, natsMemoryLimit) => {
        if (problemsOf({ natsJetstreamMemSize, natsMemoryLimit }).length > 0) return;
        const memory = natsMemory(natsJetstreamMemSize, natsMemoryLimit || undefined);
        const go = Number(memory.goMemoryLimit.replace("MiB", ""));
        expect(go).toBeGreaterThan(mebibytes(natsJetstreamMemSize) + 100);
        expect(go).toBeLessThan(mebibytes(memory.limit));
        expect(memory.store).toMatch(/^\d+([KMGT]i|[MGT])?$/);
        expect(Math.abs(mebibytes(memory.store) - mebibytes(natsJetstreamMemSize))).toBeLessThan(1);
      }),
    );
  });

  it("of every refused pair is enough with the limits that the message names", () => {
    fc.assert(
      fc.property(quantity, quantity, (natsJetstreamMemSize, natsMemoryLimit) => {
        const { fits, leastLimit, usualLimit } = natsMemory(natsJetstreamMemSize, natsMemoryLimit);
        if (fits) return;
        for (const limit of [leastLimit, usualLimit])
          expect(natsMemory(natsJetstreamMemSize, limit).fits, limit).toBe(true);
        expect(natsMemory(natsJetstreamMemSize, `${mebibytes(leastLimit) - 1}Mi`).fits).toBe(false);
      }),
    );
  });
});

describe("the examples of all messages", () => {
  const values = (key: SettingKey): readonly string[] => {
    const { kind, example } = SETTINGS[key] as unknown as Setting<unknown>;
    const wrong = ["", "0", "-1", "1", "x y", "ä", "a.b", "noetl", "noetl.", "999999999", "true", "1.5Gi", "30422"];
    return kind === "boolean" ? ["true", "false", "yes"] : [...wrong, example, shownDefault(key)];
  };
  const origins = [
    "https://App.example.org",
    "http://localhost:80",
    "*",
    "null",
    "capacitor://localhost",
    "a.example;https://b.example",
  ];
  const settings = fc
    .uniqueArray(fc.constantFrom(...SETTING_KEYS), { minLength: 1, maxLength: 8 })
    .chain((keys) =>
      fc.record(
        Object.fromEntries(
          keys.map((key) => [key, fc.constantFrom(...values(key), ...(key === "corsAllowedOrigins" ? origins : []))]),
        ),
      ),
    );

  /** The key and value of "...; for example VALUE", or of "KEY VALUE"; undefined where there is none. */
  function advice(problem: string): [string, string] | undefined {
    const [, blamed = "", text = ""] = /^(\w+): .*; for example (.+)$/s.exec(problem) ?? [];
    if (text === "" || text.startsWith("pulumi ")) return undefined;
    const [first = "", ...rest] = text.split(" ");
    return rest.length > 0 && first in SETTINGS ? [first, rest.join(" ")] : [blamed, text];
  }

  it("are accepted: whoever follows them ends with a configuration without those problems", () => {
    fc.assert(
      fc.property(settings, (raw) => {
        let current: Record<string, string> = { ...raw };
        let problems = problemsOf(current);
        for (let round = 0; round < 8; round++) {
          const advised = problems.flatMap((problem) => {
            const found = advice(problem);
            return found ? [{ problem, key: found[0], value: found[1] }] : [];
          });
          if (advised.length === 0) return;
          current = { ...current, ...Object.fromEntries(advised.map(({ key, value }) => [key, value])) };
          problems = problemsOf(current);
          for (const { problem, key, value } of advised) {
            const allowed = problem.split("; allowed: ")[1];
            const same = problems.filter(
              (each) => each.startsWith(`${key}:`) && each.split("; allowed: ")[1] === allowed,
            );
            expect(same, `${problem}, and then ${value}`).toEqual([]);
          }
        }
        expect(problems).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });
});

describe("the schema", () => {
  it.each(SETTING_KEYS)("%s: description, and an example that passes its own check", (key) => {
    const setting = SETTINGS[key] as unknown as Setting<unknown>;
    expect(setting.description).toMatch(/\.$/);
    expect(setting.allowed).not.toBe("");
    expect(setting.example).not.toBe("");
    // What they name exists elsewhere, where this stack does not install it.
    const elsewhere = {
      natsHost: { deployNats: "false" },
      postgresHost: { deployPostgres: "false" },
      networkClients: { networkPolicies: "true" },
      noetlChartRepository: { noetlChart: "noetl" },
      noetlChartVersion: { noetlChart: "noetl" },
      gatewayChartRepository: { gatewayChart: "gateway" },
      gatewayChartVersion: { gatewayChart: "gateway" },
      natsTlsSecret: { natsTls: "provided" },
      natsTlsIssuer: { natsTls: "cert-manager" },
      natsTlsCa: { natsTls: "provided", deployNats: "false" },
    };
    const raw = { ...elsewhere[key as keyof typeof elsewhere], [key]: setting.example };
    const problems = problemsOf(raw).filter((each) => each.startsWith(`${key}:`));
    expect(problems).toEqual([]);
  });
});

describe("the guard", () => {
  it("is deployed where NoETL is, to heal, and monitoring without it is refused", () => {
    expect(guardMode(parseSettings({}))).toBe("heal");
    expect(guardMode(parseSettings({ contractGuard: "watch" }))).toBe("watch");
    expect(guardMode(parseSettings({ contractGuard: "off" }))).toBeUndefined();
    expect(guardMode(parseSettings({ deployNoetl: "false" }))).toBeUndefined();
    expect(problemsOf({ contractGuard: "off", monitoring: "operator" })).toEqual([
      'monitoring: "operator" needs the guard, whose metrics it is about; allowed: off, or contractGuard watch or heal with deployNoetl ' +
        "true; for example off",
    ]);
    expect(problemsOf({ contractGuard: "fix" })[0]).toMatch(/^contractGuard: "fix" is .*allowed: off, watch or heal/);
  });
});
