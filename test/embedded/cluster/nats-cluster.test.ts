import type { V1Pod } from "@kubernetes/client-node";
import { connect } from "nats";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { forwardPort } from "../../../contract/nats/port-forward";
import { openRelay } from "../../../contract/nats/relay";
import type { Cluster } from "../../../embedded/cluster";
import { withRoutes } from "../../../embedded/cluster/programs/nats";
import { Client, isReady, launch, NATS_CONF, natsObjects, PASSWORD, until } from "../../support/cluster";
import { onceElected } from "../../support/nats";

const PODS = ["nats-0", "nats-1", "nats-2"];
const routes = PODS.map((pod) => `nats://route:s3cret@${pod}.nats-headless:6222`);
const CONF = `${NATS_CONF}
cluster { name: nats, port: 6222, no_advertise: true, routes: ["${routes.join('", "')}"]
  authorization { user: route, password: "s3cret" } }
`;

describe("the configuration of a cluster's servers", () => {
  const port = (number: number, pod?: string) => Promise.resolve(number + 1 + ["nats-0", "nats-1"].indexOf(pod ?? ""));

  it("listens on loopback and routes to the other pods' ports; logins stay", async () => {
    const config = `{"cluster": {"authorization": {"password": "p@{", "user": "r"}, "port": 6222, "routes": [
      "nats://r:p%40%7B@nats-0.nats-headless.nats.svc.cluster.local:6222", "nats://nats-1.nats-headless:6222"]}, "port": 4222}`;
    expect(await withRoutes(config, { port })).toBe(
      `{"cluster": {"authorization": {"password": "p@{", "user": "r"}, "listen": "127.0.0.1:6222", "routes": [
      "nats://r:p%40%7B@127.0.0.1:6223", "nats://127.0.0.1:6224"]}, "port": 4222}`,
    );
  });

  it("reaches the other pods' ports also where the routes come from the environment", async () => {
    const env = { NATS_ROUTES: '["nats://r:p@nats-0.nats-headless:6222"]', NATS_ROUTE_PASSWORD: '"p"' };
    const config = `{"cluster": {"authorization": {"password": $NATS_ROUTE_PASSWORD, "user": "r"}, "routes": $NATS_ROUTES}}`;
    expect(await withRoutes(config, { port }, env)).toBe(
      `{"cluster": {"authorization": {"password": $NATS_ROUTE_PASSWORD, "user": "r"}, "routes": ["nats://r:p@127.0.0.1:6223"]}}`,
    );
  });

  it("stays as it is without a cluster", async () => {
    expect(await withRoutes(NATS_CONF, { port })).toBe(NATS_CONF);
  });
});

// In this order: each step starts from what the one before left.
describe("a cluster of three servers", () => {
  let cluster: Cluster;
  let client: Client;

  beforeAll(async () => {
    cluster = await launch();
    client = new Client(cluster);
    await client.namespace("nats");
    await client.create(...natsObjects("nats", CONF, PODS.length));
  });
  afterAll(() => cluster?.stop());

  const ready = (name: string, fresh: (pod: V1Pod) => boolean = () => true) =>
    client.pod("nats", name, (pod) => isReady(pod) && fresh(pod));

  it("a port-forward leads to the server of its pod, and they agree on a leader", async () => {
    const leaders = await Promise.all(
      PODS.map(async (name) => {
        const pod = await ready(name);
        expect(await (await client.request(pod, 8222, "/varz")).json()).toMatchObject({ server_name: name });
        return until(`the leader as ${name} sees it`, async () => {
          const found = (await (await client.request(pod, 8222, "/jsz")).json()) as {
            meta_cluster?: { leader?: string; cluster_size?: number };
          };
          return found.meta_cluster?.cluster_size === 3 ? found.meta_cluster.leader : undefined;
        });
      }),
    );
    expect(PODS).toContain(leaders[0]);
    expect(new Set(leaders).size).toBe(1);
  });

  it("a stream with three replicas outlives one of its pods, which finds its way back", async () => {
    const signal = AbortSignal.timeout(60_000);
    const target = { namespace: "nats", pod: "nats-1", port: 4222 };
    const relay = await openRelay(await forwardPort(client.config, target, { milliseconds: 30_000, signal }));
    const nats = await connect({ servers: `127.0.0.1:${relay.port}`, user: "noetl", pass: PASSWORD });
    try {
      const manager = await onceElected("JetStream", () => nats.jetstreamManager());
      // Who has just been elected may not have heard of all the others yet: "no suitable peers for placement, peer offline".
      await onceElected("a stream with three replicas", () =>
        manager.streams.add({ name: "THREE", subjects: ["three"], num_replicas: 3 }),
      );
      const publish = (msgID: string) =>
        onceElected("a leader that takes the message", () => nats.jetstream().publish("three", undefined, { msgID }));
      await publish("first");
      const before = await ready("nats-2");
      await client.core.deleteNamespacedPod({ name: "nats-2", namespace: "nats" });
      // The pod that goes may have been the stream's leader.
      await publish("second");
      await ready("nats-2", ({ metadata }) => metadata?.uid !== before.metadata?.uid);
      await until("the third replica", async () => {
        const { cluster: found, state } = await onceElected("the stream", () => manager.streams.info("THREE"));
        const others = found?.replicas ?? [];
        const whole = others.length === 2 && others.every(({ current, offline }) => current && !offline);
        return whole && state.messages === 2 ? true : undefined;
      });
    } finally {
      await nats.close();
      relay.close();
    }
  });
});
