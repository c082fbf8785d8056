import { describe, expect, it, vi } from "vitest";
import { weakPassword } from "../../../config/passwords";
import { parseSettings } from "../../../config/parse";
import { riskWarnings } from "../../../config/risks";
import { SETTINGS } from "../../../config/schema";
import { FRESH, INGRESS } from "../../support/gke/configurations";
import { problemsOf } from "../../support/settings";

type Raw = Readonly<Record<string, string>>;

const without = (raw: Raw): Raw => ({ ...raw, acceptedRisks: "" });
const SAFE: Raw = { ...without(INGRESS), noetlHost: "" };

const LOCAL: Raw = { ...SAFE, corsIncludeLocalhost: "true" };
const IAP: Raw = {
  iap: "true",
  iapClientId: "1-a.apps.googleusercontent.com",
  iapClientSecret: "s",
  iapMembers: "domain:acme.dev",
};
const NATS_ELSEWHERE: Raw = { deployNats: "false", natsHost: "nats.acme.dev", natsPassword: "xk3vQp7Lm2Rt" };

/** Each risk on GKE: the settings that take it, and the key that the refusal names first. */
const TAKEN: readonly (readonly [risk: string, key: string, raw: Raw])[] = [
  ["public-api", "noetlHost", { ...SAFE, noetlHost: "noetl.acme.dev" }],
  ["plain-http", "exposure", without(FRESH)],
  ["weak-passwords", "natsPassword", { ...SAFE, natsPassword: "noetl" }],
  ["weak-passwords", "postgresPassword", { ...SAFE, postgresPassword: "a" }],
  ["weak-passwords", "noetlPassword", { ...SAFE, noetlPassword: "noetl-password-1" }],
  ["node-ports", "natsNodePort", { ...SAFE, natsNodePort: "30422" }],
  ["node-ports", "natsMonitorNodePort", { ...SAFE, natsMonitorNodePort: "30822" }],
  ["node-ports", "noetlNodePort", { ...SAFE, noetlNodePort: "30082" }],
  ["open-network", "networkPolicies", { ...SAFE, networkPolicies: "false" }],
  ["public-control-plane", "controlPlaneAccess", { ...SAFE, controlPlaneAccess: "public" }],
  ["http-repositories", "natsChartRepository", { ...SAFE, natsChartRepository: "http://charts.acme.dev" }],
  ["http-repositories", "natsChart", { ...SAFE, natsChart: "http://charts.acme.dev/nats-2.14.2.tgz" }],
  ["http-repositories", "noetlChart", { ...SAFE, noetlChart: "HTTP://charts.acme.dev/noetl-1.0.0.tgz" }],
  ["plain-http", "gatewayPublicUrl", { ...SAFE, gatewayPublicUrl: "http://gateway.acme.dev" }],
  ["no-login", "gatewayAuthBypass", { ...SAFE, ...IAP, gatewayAuthBypass: "true" }],
  ["logged-passwords", "gatewayMaskLogs", { ...SAFE, gatewayMaskLogs: "false" }],
  ["http-origins", "corsAllowedOrigins", { ...SAFE, corsAllowedOrigins: "https://a.acme.dev,http://app.acme.dev" }],
  ["http-origins", "corsAllowedOrigins", { ...SAFE, corsAllowedOrigins: "http://localhost:3001" }],
  ["http-origins", "corsAllowedOrigins", { ...LOCAL, corsAllowedOrigins: "http://app.acme.dev" }],
  [
    "http-origins",
    "corsAllowedOrigins",
    { ...SAFE, corsAllowedOrigins: "http://app.acme.dev", corsAllowedDomains: "app.acme.dev" },
  ],
  ["http-origins", "corsIncludeHttp", { ...SAFE, corsIncludeHttp: "true" }],
  ["plain-nats", "natsTls", { ...SAFE, ...NATS_ELSEWHERE }],
  ["plain-nats", "natsTls", { ...SAFE, ...NATS_ELSEWHERE, natsHost: "10.9.8.7", deployGateway: "true" }],
];

describe("a risk on GKE", () => {
  it.each(TAKEN)("%s by %s is refused, with the key that accepts it", (risk, key, raw) => {
    const problems = problemsOf(raw);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(
      new RegExp(`^${key}: .*; allowed: .*acceptedRisks with ${risk} .*for example acceptedRisks ${risk}$`),
    );
    if (key.endsWith("Password")) expect(problems[0]).not.toContain(`"${raw[key]}"`);
  });

  it.each(TAKEN)("%s by %s is said where it is accepted", (risk, key, raw) => {
    const settings = parseSettings({ ...raw, acceptedRisks: risk });
    expect(riskWarnings(settings).map((each) => each.split(":")[0])).toEqual([key]);
  });

  it.each<[string, RegExp, Raw]>([
    [
      "no-login",
      /the policy pack refuses it all the same, until login-required is disabled or advisory/,
      { ...SAFE, ...IAP, gatewayAuthBypass: "true" },
    ],
    [
      "plain-nats of one label",
      /its Service's name as natsHost, with the namespace \(nats\.shop\.svc\)/,
      { ...SAFE, ...NATS_ELSEWHERE, natsHost: "nats" },
    ],
  ])("%s says what else is to be known", (_risk, said, raw) => expect(problemsOf(raw)[0]).toMatch(said));

  it("is not one where none is taken, or where something stands before it", () => {
    expect(problemsOf(SAFE)).toEqual([]);
    expect(riskWarnings(parseSettings(SAFE))).toEqual([]);
    expect(problemsOf({ ...SAFE, noetlHost: "noetl.acme.dev", ...IAP })).toEqual([]);
  });

  it.each<[string, Raw]>([
    ["a NATS elsewhere with TLS", { ...SAFE, ...NATS_ELSEWHERE, natsTls: "provided" }],
    ["another one in the cluster", { ...SAFE, ...NATS_ELSEWHERE, natsHost: "nats.shop.svc.cluster.local" }],
    [
      "one that nothing of the stack talks to",
      {
        ...SAFE,
        ...NATS_ELSEWHERE,
        deployNoetl: "false",
        deployGateway: "false",
        gatewayHost: "",
        exposure: "internal",
        dnsZone: "",
        useCloudSql: "false",
      },
    ],
    [
      "pages of a user's own machine, where a setting of their own lets them in",
      { ...LOCAL, corsAllowedOrigins: "http://localhost:5173,http://127.0.0.1:3000" },
    ],
    ["domains over https alone", { ...SAFE, corsAllowedOrigins: "https://app.acme.dev" }],
    [
      "without a gateway, what only it would do",
      {
        ...SAFE,
        deployGateway: "false",
        gatewayHost: "",
        exposure: "internal",
        dnsZone: "",
        gatewayMaskLogs: "false",
        gatewayAuthBypass: "true",
        corsAllowedOrigins: "http://app.acme.dev",
      },
    ],
  ])("is not taken by %s", (_, raw) => expect(problemsOf(raw)).toEqual([]));

  it("is refused for good where the internet could use a gateway without a login", () => {
    const open = { ...SAFE, gatewayAuthBypass: "true" };
    for (const acceptedRisks of ["", "no-login"])
      expect(problemsOf({ ...open, acceptedRisks })).toEqual([
        expect.stringMatching(/^gatewayAuthBypass: .*everybody on the internet/),
      ]);
  });

  it("is accepted by name, one by one", () => {
    const both = { ...without(FRESH), natsPassword: "a" };
    expect(problemsOf({ ...both, acceptedRisks: "plain-http" })).toHaveLength(1);
    expect(problemsOf({ ...both, acceptedRisks: "plain-http, weak-passwords" })).toEqual([]);
    expect(problemsOf({ ...both, acceptedRisks: "everything" })[0]).toMatch(
      /acceptedRisks: "everything" is not a list of risks/,
    );
  });
});

it("a weak password on another platform is said, and no more", () => {
  const warnings = riskWarnings(parseSettings({ natsPassword: "swordfish" }));
  expect(warnings).toEqual([expect.stringMatching(/^natsPassword: is shorter than 12 characters/)]);
  expect(warnings.join()).not.toContain("swordfish");
});

it("so is a gateway's log with its password", () =>
  expect(riskWarnings(parseSettings({ deployGateway: "true", gatewayMaskLogs: "false" }))).toEqual([
    expect.stringMatching(/^gatewayMaskLogs: false has the gateway write NATS_URL with its password into its log/),
  ]));

describe("passwords", () => {
  it.each([
    "noetl",
    "a",
    "swordfish",
    "noetlnoetlnoetl",
    "Password12345",
    "changeme-nats",
    "aaaaaaaaaaaaaa",
    "123456789012",
    "postgres-admin",
    "noetl-nats-2026",
    "qwertyuiop12",
    "abcdefghijkl",
    "n0etl-n0etl-n0etl",
    "p4ssw0rd-p4ssw0rd",
  ])("%s is weak", (password) => expect(weakPassword(password, "ada")).toBeDefined());
  it.each([
    "xk3vQp7Lm2Rt",
    "correct-horse-battery",
    "8Zt.v_qN~w-4",
    "x0123456789abcdef01234567890",
    "noetl-48213977",
    "a4b7c1d3e5f0",
  ])("%s is not", (password) => expect(weakPassword(password, "ada")).toBeUndefined());
  it("a long one takes no more questions than its length, in how many ways it may ever be read", () => {
    const asked = vi.spyOn(String.prototype, "startsWith");
    const password = `${"qwerty".repeat(10)}xk`;
    const weak = weakPassword(password, "ada");
    const questions = asked.mock.calls.length;
    asked.mockRestore();
    expect(weak).toBeUndefined();
    expect(questions).toBeLessThan(50 * password.length);
  });
  it("a user's name is weak however long", () =>
    expect(weakPassword("correct-horse-battery", "correct-horse-battery")).toBe("its user's name"));
});

describe("what a browser's page may come from on GKE", () => {
  const origins = (raw: Raw) => parseSettings({ ...SAFE, ...raw }).corsAllowedOrigins;
  it("is neither a machine of a developer nor a page over plain http, unless a stack says so", () => {
    expect(origins({})).toEqual(["https://gateway.acme.dev", "https://acme.dev"]);
    expect(origins({ corsAllowedOrigins: SETTINGS.corsAllowedOrigins.example })).toContain("https://app.example.org");
    expect(origins({ corsIncludeLocalhost: "true" })).toContain("http://localhost:3001");
    expect(origins({ corsIncludeHttp: "true", acceptedRisks: "http-origins" })).toContain("http://acme.dev");
  });
});
