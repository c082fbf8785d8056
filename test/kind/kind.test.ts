import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { parseSettings } from "../../config/parse";
import { projectRoot } from "../../contract/project";
import { NODE_PORTS } from "../../contract/facts";

interface KindCluster {
  name: string;
  nodes: { extraPortMappings: { hostPort: number; containerPort: number; listenAddress: string }[] }[];
}

const read = (name: string): unknown => parse(fs.readFileSync(path.join(projectRoot(), name), "utf8"));

describe("the kind stack", () => {
  const cluster = read("kind/cluster.yaml") as KindCluster;
  const { config } = read("Pulumi.kind.yaml") as { config: Record<string, string> };
  const raw = Object.fromEntries(
    Object.entries(config).map(([key, value]) => [key.replace(/^noetl-nats:/, ""), value]),
  );
  const settings = parseSettings(raw);

  it("deploys to the cluster that kind/cluster.yaml makes", () => {
    expect(settings.kubeContext).toBe(`kind-${cluster.name}`);
  });

  it("opens the NodePorts of the contract, and the cluster maps each of them to loopback", () => {
    expect({
      natsClient: settings.natsNodePort,
      natsMonitor: settings.natsMonitorNodePort,
      noetl: settings.noetlNodePort,
      postgres: settings.postgresNodePort,
      gateway: settings.gatewayNodePort,
    }).toEqual(NODE_PORTS);
    const mapped = cluster.nodes.flatMap((node) => node.extraPortMappings);
    expect(mapped.map(({ containerPort }) => containerPort).sort()).toEqual(Object.values(NODE_PORTS).sort());
    expect(new Set(mapped.map(({ listenAddress }) => listenAddress))).toEqual(new Set(["127.0.0.1"]));
  });

  it("is the minimal path, and the full bootstrap with one more switch", () => {
    expect(settings).toMatchObject({ deployNats: true, deployPostgres: true, deployNoetl: true, deployGateway: false });
    expect(parseSettings({ ...raw, deployGateway: "true" }).deployGateway).toBe(true);
  });
});
