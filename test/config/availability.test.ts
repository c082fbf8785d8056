import { describe, expect, it } from "vitest";
import { contractTerms } from "../../config/contract";
import { parseSettings } from "../../config/parse";
import { natsArgs } from "../../stacks/arguments";
import { problemsOf } from "../support/settings";

const GKE = { platform: "gke", projectId: "acme-noetl", exposure: "internal" };
const facts = (raw: Record<string, string>) => {
  const settings = parseSettings(raw);
  const { replicas, storage } = contractTerms(settings).expect as { replicas: number; storage?: string };
  return { servers: natsArgs(settings).replicas, mode: settings.contractMode, replicas, storage };
};

describe("NATS servers and copies of the stream", () => {
  it.each([
    ["any cluster", {}, { servers: 1, mode: "assert", replicas: 1 }],
    ["GKE", GKE, { servers: 3, mode: "ensure", replicas: 3 }],
    ["GKE with one server", { ...GKE, natsReplicas: "1" }, { servers: 1, mode: "ensure", replicas: 1 }],
    ["five servers", { ...GKE, natsReplicas: "5" }, { servers: 5, mode: "ensure", replicas: 3 }],
    ["what NoETL makes itself", { ...GKE, contractMode: "assert" }, { servers: 3, mode: "assert", replicas: 1 }],
    ["a cluster elsewhere", { natsReplicas: "3", contractMode: "ensure" }, { servers: 3, mode: "ensure", replicas: 3 }],
    [
      "GKE with somebody else's NATS",
      { ...GKE, deployNats: "false", natsHost: "nats.shop.svc", natsPassword: "a-secret-of-some-length" },
      { servers: 1, mode: "assert", replicas: 1 },
    ],
  ])("%s", (_, raw, expected) => expect(facts(raw as Record<string, string>)).toEqual(expected));

  it("an empty text, as Pulumi.yaml declares the keys, counts as unset", () =>
    expect(facts({ ...GKE, natsReplicas: "", contractMode: "", natsStreamStorage: "" })).toEqual(facts(GKE)));
});

describe("natsStreamStorage", () => {
  it("is what the contract expects, and what mode ensure makes", () => {
    expect(facts({ contractMode: "ensure", natsStreamStorage: "file" }).storage).toBe("file");
    expect(facts({ contractMode: "ensure" }).storage).toBeUndefined();
  });

  it("is refused where nobody would make the stream so", () => {
    expect(problemsOf({ contractMode: "assert", natsStreamStorage: "file" })).toEqual([
      'natsStreamStorage: "file" has no effect with contractMode assert, where NoETL itself makes the stream, in memory; allowed: ' +
        "memory, or contractMode ensure; for example memory",
    ]);
    expect(problemsOf({ natsStreamStorage: "memory" })).toEqual([]);
    expect(problemsOf({ natsStreamStorage: "file", noetlLine: "rust" })).toEqual([]);
    expect(problemsOf({ natsStreamStorage: "file", deployNoetl: "false" })).toEqual([]);
  });
});

describe("copies beyond the servers", () => {
  it("are refused for everything that is declared, in one message, GKE's default counted", () => {
    const declared = (replicas: number) => ({
      natsStreams: JSON.stringify([{ name: "ORDERS", subjects: ["orders.>"], replicas }]),
      natsConsumers: JSON.stringify([{ stream: "ORDERS", name: "billing", replicas: Math.min(replicas, 5) }]),
      natsBuckets: JSON.stringify([{ name: "carts", replicas }]),
      natsObjectStores: JSON.stringify([{ name: "invoices", replicas }]),
    });
    expect(problemsOf({ ...GKE, ...declared(3) })).toEqual([]);
    for (const raw of [declared(3), { ...GKE, ...declared(5) }]) {
      const problems = problemsOf(raw);
      for (const of of ["stream ORDERS", "consumer billing", "carts", "invoices"])
        expect(
          problems.filter((each) => each.includes(of) && /NATS servers?\b/.test(each)),
          of,
        ).toHaveLength(1);
    }
  });
});
