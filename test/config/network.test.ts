import { describe, expect, it } from "vitest";
import { layoutOf } from "../../config/network";
import { parseSettings } from "../../config/parse";
import { closedNamespaces } from "../../contract/network";
import { policiesOf } from "../../stacks/network";
import { problemsOf } from "../support/settings";

const GKE = { platform: "gke", projectId: "acme-noetl" };
const ON = { networkPolicies: "true" };

describe("networkPolicies", () => {
  it.each([
    [{}, false],
    [ON, true],
    [GKE, true],
    [{ ...GKE, networkPolicies: "false", acceptedRisks: "open-network" }, false],
  ])("%j: %s", (raw: Record<string, string>, expected) => {
    const settings = parseSettings(raw);
    expect(settings.networkPolicies).toBe(expected);
    expect(policiesOf(settings)("noetl").networkPolicies !== undefined).toBe(expected);
  });

  it("gives a part that the stack does not install none", () => {
    const of = policiesOf(parseSettings({ ...ON, deployGateway: "false" }));
    expect(["nats", "postgres", "noetl"].map((part) => Object.keys(of(part as never)))).toEqual(
      Array(3).fill(["networkPolicies"]),
    );
    expect(["gateway", "pgbouncer", "guard"].map((part) => of(part as never))).toEqual(Array(3).fill({}));
  });
});

describe("networkClients", () => {
  it("are let in by namespace and part", () => {
    const settings = parseSettings({ ...ON, networkClients: "shop:nats, ingress-nginx:api" });
    expect(layoutOf(settings).clients).toEqual([
      { namespace: "shop", part: "nats" },
      { namespace: "ingress-nginx", part: "api" },
    ]);
  });

  it.each([
    ["shop", /"shop" is not NAMESPACE:PART with one of nats, api, gateway, postgres; allowed: .*for example shop:nats/],
    ["shop:monitor", /"shop:monitor" is not/],
    ["Shop:nats", /"Shop:nats" is not/],
    ["shop:nats:4222", /"shop:nats:4222" is not/],
    [
      "shop:nats,shop:gateway",
      /"shop:gateway" opens what this stack does not install; allowed: nats, api, postgres; for example shop:nats$/,
    ],
  ])("%s is refused", (value, problem) => {
    expect(problemsOf({ ...ON, networkClients: value })).toEqual([expect.stringMatching(problem)]);
  });

  it("have no effect without policies, and neither has playbookMetadata", () => {
    expect(problemsOf({ networkClients: "shop:nats", playbookMetadata: "true" })).toEqual([
      expect.stringMatching(
        /^networkClients: "shop:nats" has no effect while networkPolicies is false.*networkPolicies true$/,
      ),
      expect.stringMatching(/^playbookMetadata: true has no effect/),
    ]);
  });
});

describe("a stack's layout", () => {
  const layout = (raw: Record<string, string>) => layoutOf(parseSettings({ ...ON, ...raw }));
  const EXTERNAL = { deployNats: "false", natsPassword: "Jp8-uV3_xa91" };

  it("has what is elsewhere in the cluster by its namespace, and everything else by its host", () => {
    expect(layout({ ...EXTERNAL, natsHost: "nats.shop" }).natsElsewhere).toEqual({
      host: "nats.shop",
      namespace: "shop",
      port: 4222,
    });
    expect(layout({ ...EXTERNAL, natsHost: "nats.acme.dev", natsPort: "4333" }).natsElsewhere).toEqual({
      host: "nats.acme.dev",
      port: 4333,
    });
    expect(layout({ deployPostgres: "false", postgresHost: "10.1.2.3", postgresPassword: "x1" }).database).toEqual({
      host: "10.1.2.3",
      port: 5432,
    });
  });

  it("closes the guard's own namespace where NATS is elsewhere", () => {
    expect(closedNamespaces(layout({ ...EXTERNAL, natsHost: "nats.acme.dev" }))).toEqual([
      "noetl",
      "contract-guard",
      "postgres",
    ]);
  });
});
