import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { stopScript } from "../../../components/nats-jetstream/availability";
import { natsValues, type NatsValuesArgs } from "../../../components/nats-jetstream/values";

const values = (more: Partial<NatsValuesArgs>) =>
  natsValues({
    usersSecret: "users",
    box: { user: "noetl", secret: "box" },
    fileStoreSize: "5Gi",
    memoryStoreSize: "1Gi",
    memoryLimit: "2Gi",
    replicas: 3,
    ...more,
  }) as {
    container: { merge: { startupProbe: object; lifecycle?: { preStop: { exec: { command: string[] } } } } };
    podTemplate: {
      topologySpreadConstraints: object;
      merge: { spec: { terminationGracePeriodSeconds?: number; affinity?: { podAntiAffinity: object } } };
    };
  };

describe("values for the servers", () => {
  it("hold no start up for a client's consumer", () => {
    for (const replicas of [1, 3])
      expect(values({ replicas }).container.merge.startupProbe).toEqual({
        httpGet: { path: "/healthz?js-server-only=true" },
      });
  });

  it("keep those of a cluster on nodes of their own, as firmly as asked, and spread them over zones", () => {
    const term = {
      topologyKey: "kubernetes.io/hostname",
      labelSelector: { matchLabels: { "app.kubernetes.io/name": "nats", "app.kubernetes.io/component": "nats" } },
    };
    const affinity = (more: Partial<NatsValuesArgs>) => values(more).podTemplate.merge.spec.affinity;
    expect(affinity({ hostSpread: "required" })).toEqual({
      podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] },
    });
    expect(affinity({})).toEqual({
      podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, podAffinityTerm: term }] },
    });
    expect(affinity({ replicas: 1, hostSpread: "required" })).toBeUndefined();
    expect(values({}).podTemplate.topologySpreadConstraints).toEqual({
      "topology.kubernetes.io/zone": { maxSkew: 1, whenUnsatisfiable: "ScheduleAnyway" },
    });
  });

  it("leave a server of a cluster the time to wait for the others and for its lame duck mode, and a lone one the chart's", () => {
    const { container, podTemplate } = values({});
    const script = container.merge.lifecycle?.preStop.exec.command[2] ?? "";
    const waits = Number(/\+ (\d+)\)/.exec(script)?.[1]);
    // The chart's nats.conf: lame_duck_grace_period 10s, lame_duck_duration 30s.
    expect(podTemplate.merge.spec.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(waits + 10 + 30 + 10);
    expect(script).toContain(
      "for peer in nats-0.nats-headless:8222 nats-1.nats-headless:8222 nats-2.nats-headless:8222;",
    );
    const lone = values({ replicas: 1 });
    expect(lone.container.merge.lifecycle).toBeUndefined();
    expect(lone.podTemplate.merge.spec).not.toHaveProperty("terminationGracePeriodSeconds");
  });
});

describe("a server that is asked to stop", () => {
  const servers: http.Server[] = [];
  let folder: string;

  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "nats-stop-"));
    // In the place of the command that sends the signal.
    fs.writeFileSync(path.join(folder, "nats-server"), '#!/bin/sh\necho "$@"\n', { mode: 0o755 });
  });
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
    fs.rmSync(folder, { recursive: true, force: true });
  });

  /** A server's monitoring port; unhealthy for its first questions. */
  async function peer(unhealthy: number): Promise<{ address: string; asked: string[] }> {
    const asked: string[] = [];
    const server = http.createServer(({ url = "" }, response) => {
      asked.push(url);
      response.writeHead(asked.length > unhealthy ? 200 : 503, { connection: "close" }).end();
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
  }
  const stop = (peers: readonly string[], self: string, seconds: number) =>
    promisify(execFile)("sh", ["-c", stopScript(peers, self, seconds)], {
      env: { ...process.env, PATH: `${folder}:${process.env.PATH}` },
      timeout: 60_000,
    });

  it("waits until the others are in step, does not ask itself, and then enters lame duck mode", async () => {
    const [own, first, second] = [await peer(0), await peer(2), await peer(0)];
    const { stdout } = await stop([own.address, first.address, second.address], own.address, 15);
    expect(stdout).toBe("-sl=ldm=/var/run/nats/nats.pid\n");
    expect([own.asked, first.asked, second.asked].map(({ length }) => length)).toEqual([0, 3, 1]);
    expect(new Set(first.asked)).toEqual(new Set(["/healthz"]));
  });

  it("does not wait for ever for one that is away, or whose consumer never gets current", async () => {
    const [gone, broken] = [await peer(0), await peer(1_000)];
    servers.shift()?.close();
    const started = Date.now();
    const { stdout } = await stop([gone.address, broken.address], "nobody", 2);
    expect(stdout).toBe("-sl=ldm=/var/run/nats/nats.pid\n");
    expect(Date.now() - started).toBeLessThan(30_000);
  });
});
