import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { StreamContract } from "../../components";
import { deploy } from "../../program";
import { parseSettings } from "../../config/parse";
import { embeddedConfig, STAND_IN_CHART } from "../../embedded/settings";

/** Stands for every credential of the program; it must not appear in anything that the engine prints. */
export const CANARY = "Canary-7f3a";

/** A program that breaks every rule about a Kubernetes resource, and the one about the stack. */
export const breaksTheRules = (kubeconfig: string) => (): Promise<Record<string, unknown>> => {
  const provider = new k8s.Provider("cluster", { kubeconfig, enableServerSideApply: true });
  const options = { provider };
  const namespace = new k8s.core.v1.Namespace("place", { metadata: { name: "rules" } }, options).metadata.name;
  new k8s.core.v1.ConfigMap(
    "settings",
    { metadata: { namespace }, data: { NATS_URL: `nats://noetl:${CANARY}@nats:4222` } },
    options,
  );
  // The right way beside it: this one is not to be reported.
  new k8s.core.v1.Secret("auth", { metadata: { namespace }, stringData: { password: pulumi.secret(CANARY) } }, options);
  new k8s.apps.v1.Deployment(
    "server",
    {
      metadata: { namespace, annotations: { "pulumi.com/skipAwait": "true" } },
      spec: {
        selector: { matchLabels: { app: "server" } },
        template: {
          metadata: { labels: { app: "server" } },
          spec: {
            containers: [
              { name: "server", image: "noetl", env: [{ name: "NATS_PASSWORD", value: pulumi.secret(CANARY) }] },
            ],
          },
        },
      },
    },
    options,
  );
  const release = new k8s.helm.v3.Release(
    "noetl",
    {
      name: "noetl",
      chart: "./charts/noetl",
      namespace,
      values: {
        image: { tag: "latest" },
        config: { server: { NATS_URL: pulumi.secret(`nats://noetl:${CANARY}@nats:4222`), NATS_STREAM: "OTHER" } },
        secrets: { postgresPassword: CANARY, noetlPassword: pulumi.secret(CANARY) },
        worker: { resources: null, probe: { restartAfterSeconds: null } },
      },
    },
    options,
  );
  new StreamContract(
    "contract",
    { connection: { kubeconfig }, user: "noetl", password: CANARY, expect: { retention: "interest" } },
    { dependsOn: [release] },
  );
  return Promise.resolve({});
};

/** The project's own program as it stands. */
export const keepsTheRules = (kubeconfig: string) => (): Promise<Record<string, unknown>> =>
  Promise.resolve(deploy(parseSettings({ ...embeddedConfig(kubeconfig), natsChart: STAND_IN_CHART }, () => true)));
