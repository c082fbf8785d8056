import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cpuOf, fitPod, mayBurst, type Pod, podProblem, totalOf } from "../../../config/gke/autopilot";
import { connectionBudget, tierConnections, tierFor } from "../../../config/gke/connections";
import { podsOf } from "../../../config/gke/pods";
import { needsOf, quotaProblems } from "../../../stacks/gke/preflight/quota-rules";
import { resolveOrigins } from "../../../config/cors";
import { parseSettings } from "../../../config/parse";
import { publicHost } from "../../../config/validate";

const pod = (cpu: number, memory: number): Pod => ({
  name: "p",
  replicas: 1,
  containers: [{ name: "main", request: { cpu, memory }, limit: { cpu: cpu * 2, memory } }],
});
const requestOf = (fitted: Pod) => totalOf(fitted.containers);

describe("Autopilot's resource rules", () => {
  it.each([
    // requested cpu (thousandths) and memory (MiB) -> what Autopilot would make of it, with bursting
    [10, 10, { cpu: 50, memory: 52 }],
    [100, 256, { cpu: 100, memory: 256 }],
    [100, 1792, { cpu: 270, memory: 1792 }],
    [2000, 512, { cpu: 2000, memory: 2048 }],
    [1000, 1024, { cpu: 1000, memory: 1024 }],
    [1000, 6656, { cpu: 1000, memory: 6656 }],
    [1000, 6657, { cpu: 1010, memory: 6657 }],
  ])("%im CPU with %iMi", (cpu, memory, expected) =>
    expect(requestOf(fitPod(pod(cpu, memory), true))).toEqual(expected),
  );

  it("steps by 250m on an older cluster, and makes limits the requests", () => {
    const fitted = fitPod(pod(100, 300), false);
    expect(fitted.containers[0]).toMatchObject({
      request: { cpu: 250, memory: 512 },
      limit: { cpu: 250, memory: 512 },
    });
  });

  it("gives what a pod lacks to its first container, and leaves the sidecars alone", () => {
    const sidecar = { name: "side", request: { cpu: 10, memory: 32 }, limit: { cpu: 100, memory: 64 } };
    const fitted = fitPod({ ...pod(100, 1792), containers: [pod(100, 1792).containers[0], sidecar] }, true);
    expect(requestOf(fitted).cpu).toBe(280);
    expect(fitted.containers[1]).toEqual(sidecar);
  });

  it("any pod: within the ratio, never less than asked for, limits never below requests, and stable", () => {
    const size = fc.record({ cpu: fc.integer({ min: 1, max: 20_000 }), memory: fc.integer({ min: 1, max: 60_000 }) });
    const container = fc.record({ name: fc.string(), request: size, limit: size });
    const pods = fc
      .tuple(container, fc.array(container, { maxLength: 3 }))
      .map(([first, rest]): Pod => ({ name: "p", replicas: 1, containers: [first, ...rest] }));
    fc.assert(
      fc.property(pods, fc.boolean(), (asked, bursting) => {
        const fitted = fitPod(asked, bursting);
        const { cpu, memory } = requestOf(fitted);
        const least = bursting ? requestOf(asked) : totalOf(asked.containers.map((c) => ({ ...c, request: c.limit })));
        expect(cpu).toBeGreaterThanOrEqual(least.cpu);
        expect(memory).toBeGreaterThanOrEqual(least.memory);
        expect(memory / 1024 / (cpu / 1000)).toBeLessThanOrEqual(6.5 + 1e-9);
        expect(memory / 1024 / (cpu / 1000)).toBeGreaterThanOrEqual(1 - 1e-9);
        expect(cpu % (bursting ? 10 : 250)).toBe(0);
        expect(fitted.containers[0].limit.cpu).toBeGreaterThanOrEqual(fitted.containers[0].request.cpu);
        expect(requestOf(fitPod(fitted, true))).toEqual({ cpu, memory });
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    ["1.30.2-gke.1587003", true],
    ["1.30.1-gke.1", false],
    ["1.29.9-gke.1", false],
    ["1.31.0", true],
    ["2.0.0", true],
    ["", false],
    ["latest", false],
  ])("version %s may burst: %s", (version, expected) => expect(mayBurst(version)).toBe(expected));

  it("names a pod that is too large", () => {
    expect(podProblem(fitPod(pod(1000, 200 * 1024), true))).toContain("at most 30 vCPU and 110 GiB");
    expect(podProblem(fitPod(pod(100, 256), true))).toBeUndefined();
  });

  it("adds up what a stack requests", () => {
    const settings = parseSettings({
      natsReplicas: "3",
      natsBox: "true",
      deployGateway: "true",
      gatewayImage: "g:v1",
    });
    const pods = podsOf(settings).map((each) => fitPod(each, true));
    expect(pods.map((each) => each.name)).toEqual([
      "nats",
      "nats-box",
      "postgres",
      "noetl-schema",
      "noetl-server",
      "noetl-worker",
      "contract-guard",
      "gateway",
    ]);
    // 3 x 510m + 50m + 250m + 50m + 100m + 2 x 100m + 50m + 100m.
    expect(cpuOf(pods)).toBeCloseTo(2.33, 2);
    expect(podsOf({ ...settings, natsBox: false }).map(({ name }) => name)).not.toContain("nats-box");
  });
});

describe("connections of a Cloud SQL tier", () => {
  it.each([
    ["db-f1-micro", 25],
    ["db-g1-small", 50],
    ["db-custom-1-3840", 100],
    ["db-custom-2-7680", 400],
    ["db-custom-4-15360", 500],
    ["db-custom-16-122880", 1000],
    ["db-perf-optimized-N-2", 500],
  ])("%s takes %i", (tier, expected) => expect(tierConnections(tier)).toBe(expected));

  const settings = { cloudSqlTier: "db-f1-micro", pgbouncerReplicas: 2, pgbouncerMaxDbConnections: 8 };
  it("counts every pod, and keeps back what Postgres keeps back", () => {
    expect(connectionBudget({ ...settings, cloudSqlMaxConnections: undefined })).toEqual({
      limit: 25,
      usable: 22,
      wanted: 18,
    });
    expect(connectionBudget({ ...settings, cloudSqlMaxConnections: 40 }).usable).toBe(37);
  });
  it("knows a tier that would do", () => {
    expect(tierFor(47)).toBe("db-g1-small");
    expect(tierFor(48)).toBe("db-custom-1-3840");
    expect(tierFor(100_000)).toBeUndefined();
  });
});

describe("quotas", () => {
  const where = { place: "region europe-west1 of project acme", project: "acme" };
  const needs = needsOf({ cpus: 64, ssdGigabytes: 25, addresses: 0, globalAddresses: 1 });

  it("asks for what the stack needs and nothing else", () => {
    expect(needs.project.map(({ metric, amount }) => [metric, amount])).toEqual([
      ["CPUS_ALL_REGIONS", 64],
      ["STATIC_ADDRESSES", 1],
    ]);
    expect(needs.region.map(({ metric, amount }) => [metric, amount])).toEqual([
      ["CPUS", 64],
      ["SSD_TOTAL_GB", 25],
    ]);
  });

  it("compares limit minus usage, with the figures and the page in the message", () => {
    const quotas = [
      { metric: "CPUS", limit: 72, usage: 12 },
      { metric: "SSD_TOTAL_GB", limit: 500, usage: 475 },
    ];
    expect(quotaProblems(quotas, needs.region, where)).toEqual([
      "quota CPUS of region europe-west1 of project acme: 60 vCPU are free (limit 72, used 12), 64 are needed, because Autopilot replaces " +
        "nodes by surging: an upgrade needs the new nodes before the old ones are gone; raise it at " +
        "https://console.cloud.google.com/iam-admin/quotas?project=acme&filter=CPUS",
    ]);
  });

  it("has nothing to say where Google lists no such quota", () => {
    expect(quotaProblems([], needs.region, where)).toEqual([]);
  });
});

describe("origins of the gateway", () => {
  const none = { origins: [], domains: [], publicHosts: [], includeHttp: false, includeLocalhost: false };
  it.each([
    ["localhost", { includeLocalhost: true }, ["http://localhost:3001"]],
    ["public hosts", { publicHosts: ["g.acme.dev"] }, ["https://g.acme.dev"]],
    ["full origins", { origins: ["https://a.dev:8443", "http://b.dev"] }, ["https://a.dev:8443", "http://b.dev"]],
    ["a bare domain among origins", { origins: ["a.dev"] }, ["https://a.dev"]],
    ["domains", { domains: ["a.dev"] }, ["https://a.dev"]],
    ["domains with plain http", { domains: ["a.dev"], includeHttp: true }, ["https://a.dev", "http://a.dev"]],
    [
      "duplicates",
      { domains: ["a.dev"], origins: ["http://a.dev"], publicHosts: ["a.dev"] },
      ["https://a.dev", "http://a.dev"],
    ],
    ["nothing", {}, []],
  ])("%s", (_, given, expected) => expect(resolveOrigins({ ...none, ...given })).toEqual(expected));
});

describe("public hosts", () => {
  it.each(["gateway.acme.dev", "xn--bcher-kva.ch", "a.b.c.d.org"])("%s will do", (host) =>
    expect(publicHost(host)).toBeUndefined(),
  );
  it.each(["gateway.example.com", "example.org", "a.test", "db.internal", "localhost", "gateway"])(
    "%s will not",
    (host) => expect(publicHost(host)).toBeDefined(),
  );
});
