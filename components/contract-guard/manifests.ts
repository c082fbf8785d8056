import type * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { alertGroup } from "../../contract/guard/alerts";
import { LOCATIONS } from "../../contract/facts";
import { GUARD_PORT, GUARD_VARIABLES, guardCommand, type GuardMode } from "../../contract/guard/settings";
import { confined, type Resources, runsAs } from "../shared";

const { deployment: NAME } = LOCATIONS.guard;

const LABELS = { app: NAME, "app.kubernetes.io/name": NAME, "app.kubernetes.io/component": NAME };

/** Keys of the ConfigMap; both are files of the pod. */
export const FILES = { program: LOCATIONS.guard.program, contract: "contract.json" } as const;
/** Key of the Secret. */
export const PASSWORD_KEY = "password";

const FOLDER = "/guard";
/** User `node` of the official image, as a number: `runAsNonRoot` cannot check a name. */
const NODE_UID = 1000;

/** It sleeps nearly always. A third of the limit is Node's own. */
export const GUARD_RESOURCES: Resources = {
  requests: { cpu: "50m", memory: "64Mi" },
  limits: { memory: "128Mi" },
};

export interface DeploymentArgs {
  namespace: pulumi.Input<string>;
  image: pulumi.Input<string>;
  mode: pulumi.Input<GuardMode>;
  configMap: pulumi.Input<string>;
  secret: pulumi.Input<string>;
  user: pulumi.Input<string>;
  resources?: Resources;
  /** Annotations by which a Prometheus without an operator finds pods. */
  annotated: boolean;
}

const scraped = {
  "prometheus.io/scrape": "true",
  "prometheus.io/port": String(GUARD_PORT),
  "prometheus.io/path": "/metrics",
};

/** One pod that needs nothing but its way to NATS: no token, no volume that it could write to, no right of Linux. */
export function deployment(args: DeploymentArgs): k8s.apps.v1.DeploymentArgs {
  const probe = (failureThreshold: number, periodSeconds: number) => ({
    httpGet: { path: "/healthz", port: "http" },
    failureThreshold,
    periodSeconds,
    timeoutSeconds: 5,
  });
  return {
    metadata: { name: NAME, namespace: args.namespace, labels: LABELS },
    spec: {
      replicas: 1,
      // Two for a moment do no harm: what one has created the other finds.
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      selector: { matchLabels: { app: LABELS.app } },
      template: {
        metadata: { labels: LABELS, annotations: args.annotated ? scraped : undefined },
        spec: {
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          terminationGracePeriodSeconds: 10,
          securityContext: runsAs(NODE_UID),
          containers: [
            {
              name: NAME,
              image: args.image,
              command: guardCommand(`${FOLDER}/${FILES.program}`),
              ports: [{ name: "http", containerPort: GUARD_PORT }],
              env: [
                { name: GUARD_VARIABLES.contract, value: `${FOLDER}/${FILES.contract}` },
                { name: GUARD_VARIABLES.mode, value: args.mode },
                { name: GUARD_VARIABLES.port, value: String(GUARD_PORT) },
                { name: GUARD_VARIABLES.user, value: args.user },
                {
                  name: GUARD_VARIABLES.password,
                  valueFrom: { secretKeyRef: { name: args.secret, key: PASSWORD_KEY } },
                },
              ],
              terminationMessagePolicy: "FallbackToLogsOnError",
              startupProbe: probe(30, 1),
              readinessProbe: probe(3, 5),
              livenessProbe: probe(3, 10),
              resources: args.resources ?? GUARD_RESOURCES,
              securityContext: confined,
              volumeMounts: [{ name: "guard", mountPath: FOLDER, readOnly: true }],
            },
          ],
          volumes: [{ name: "guard", configMap: { name: args.configMap } }],
        },
      },
    },
  };
}

/** Seconds between two scrapes; the guard looks as often. */
const SCRAPE_SECONDS = 15;

/** What Prometheus' operator takes: where the metrics are, and what to warn of. */
export function operatorObjects(place: pulumi.Output<string>): Record<string, k8s.apiextensions.CustomResourceArgs> {
  const apiVersion = "monitoring.coreos.com/v1";
  const metadata = { name: NAME, namespace: place, labels: LABELS };
  const endpoint = { port: "http", path: "/metrics", interval: `${SCRAPE_SECONDS}s` };
  return {
    monitor: {
      apiVersion,
      kind: "PodMonitor",
      metadata,
      spec: { selector: { matchLabels: { app: LABELS.app } }, podMetricsEndpoints: [endpoint] },
    },
    rules: {
      apiVersion,
      kind: "PrometheusRule",
      metadata,
      // The operator calls a PodMonitor's job by its namespace and name.
      spec: { groups: [place.apply((namespace) => alertGroup(`${namespace}/${NAME}`, pulumi.getStack()))] },
    },
  };
}
