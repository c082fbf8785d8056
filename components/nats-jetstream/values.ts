import * as crypto from "node:crypto";
import type * as pulumi from "@pulumi/pulumi";
import { DEFAULTS } from "../../contract/defaults";
import { fileStoreLimit } from "../../contract/nats/file-store";
import { type NatsMemory, natsMemory } from "../../contract/nats/memory";
import { LOCATIONS } from "../../contract/facts";
import { ROUTE_PORT } from "../../contract/network";
import { derived, together } from "../arguments";
import type { Resources } from "../shared";
import type { NatsJetStreamArgs } from "./arguments";
import { USERS_FILE } from "../../contract/nats/users";
import { stableJson } from "../../contract/stable-json";
import { containerAvailability, podAvailability } from "./availability";
import { clusterTls, routeScheme, serverTls, type TlsSecrets } from "./tls/values";
import { ACCOUNT, boxSecurity, containerSecurity, serverPods } from "./security";

/** What nats-box logs in with. */
export interface BoxLogin {
  user: pulumi.Input<string>;
  /** Name of the Secret that holds its password under {@link BOX_PASSWORD}. */
  secret: pulumi.Input<string>;
  /** What the subjects begin with on which it gets its answers. Default: `_INBOX`. */
  inbox?: string;
}

/** Arguments that stand among the values as they are given, and those that have a default of the component's. */
type Given =
  | "hostSpread"
  | "podSecurity"
  | "storageClass"
  | "maxConnections"
  | "clientNodePort"
  | "monitorNodePort"
  | "resources"
  | "reloaderResources"
  | "boxResources";
type Defaulted = "fileStoreSize" | "memoryStoreSize" | "memoryLimit" | "replicas";

/** The component's arguments with their defaults, and what follows from them. */
export interface NatsValuesArgs extends Pick<NatsJetStreamArgs, Given>, Required<Pick<NatsJetStreamArgs, Defaulted>> {
  /** Name of the Secret that holds the file of users, `users.conf`. */
  usersSecret: pulumi.Input<string>;
  /** Undefined: there is no nats-box. */
  box?: BoxLogin;
  /** Name of the Secret of {@link routeSecret}; of no use to a lone server. */
  routeSecret?: pulumi.Input<string>;
  /** Secrets with certificate and authorities. Default: no TLS. */
  tls?: TlsSecrets;
  chartDigest?: string;
}

/** Of the container that watches nats.conf: a small program that sleeps. */
const RELOADER_RESOURCES: Resources = {
  requests: { cpu: "10m", memory: "32Mi" },
  limits: { memory: "64Mi" },
};

/** Of nats-box: a shell that waits for somebody to run `nats` in it. */
const BOX_RESOURCES: Resources = {
  requests: { cpu: "10m", memory: "64Mi" },
  limits: { memory: "256Mi" },
};

/** Key of nats-box's Secret. */
export const BOX_PASSWORD = "password";

/** Volume with the file of users. The reloader mounts what is below /etc, too, and watches what nats.conf includes. */
const USERS_VOLUME = { name: "users", mountPath: "/etc/nats-users" } as const;

/** As nats.conf names it: relative to its own folder, /etc/nats-config. */
const USERS_INCLUDE = `..${USERS_VOLUME.mountPath.slice("/etc".length)}/${USERS_FILE}`;

/** Login of a cluster's servers for their routes to one another. Without one, whoever reaches their port becomes a server and needs no password. */
const ROUTE = {
  user: "route",
  passwordVariable: "NATS_ROUTE_PASSWORD",
  routesVariable: "NATS_ROUTES",
  port: ROUTE_PORT,
} as const;

/**
 * What a cluster's servers take from their Secret, by its keys. A route's login stands in its URL, so the list of routes is
 * a variable as a whole. Their hosts are those of the chart's StatefulSet and headless Service.
 */
export function routeSecret(password: string, replicas: number, isTls = false): Record<string, string> {
  const { service } = LOCATIONS.nats;
  const routes = Array.from(
    { length: replicas },
    (_, index) =>
      `${routeScheme(isTls)}://${ROUTE.user}:${password}@${service}-${index}.${service}-headless:${ROUTE.port}`,
  );
  return { "password.conf": JSON.stringify(password), "routes.conf": JSON.stringify(routes) };
}

const cluster = ({ replicas, routeSecret: secret, tls }: NatsValuesArgs): pulumi.Input<Record<string, unknown>> =>
  derived(replicas, (servers) => ({
    enabled: servers > 1,
    replicas: Math.max(2, servers),
    ...(tls && servers > 1 ? clusterTls(tls) : {}),
    merge:
      secret !== undefined && servers > 1
        ? {
            authorization: { user: ROUTE.user, password: `<< $${ROUTE.passwordVariable} >>` },
            routes: `<< $${ROUTE.routesVariable} >>`,
          }
        : undefined,
  }));

const fromSecret = (name: pulumi.Input<string>, key: string) => ({ valueFrom: { secretKeyRef: { name, key } } });

/**
 * Values of the chart nats/nats 2.14.x. No password is in them: nats.conf includes the file of users, which a Secret holds.
 * A Secret that is mounted changes in place, so that nats-server reads other users without a restart.
 */
export function natsValues(args: NatsValuesArgs): Record<string, unknown> {
  const { memoryStoreSize: store, memoryLimit: limit } = args;
  const memory = derived(together({ store, limit }), (known) => natsMemory(known.store, known.limit));
  const tls = args.tls && serverTls(args.tls);
  return {
    config: {
      cluster: cluster(args),
      jetstream: jetstream(args, memory),
      ...tls?.config,
      merge: { authorization: { users$include: USERS_INCLUDE }, ...limits(args) },
    },
    container: container(args, memory),
    // The chart gives these two none, and a container without is the first to be evicted.
    reloader: { merge: { ...containerSecurity, resources: args.reloaderResources ?? RELOADER_RESOURCES } },
    // Where somebody turns it on.
    promExporter: { merge: containerSecurity },
    serviceAccount: ACCOUNT,
    service: service(args),
    podTemplate: podTemplate(args),
    natsBox: natsBox(args),
    ...tls?.authority,
    chartDigest: args.chartDigest,
  };
}

/** Largest message, in bytes: the largest result that NoETL's bucket takes, and what nats-server takes where nothing is set. */
const MAX_PAYLOAD = 1024 ** 2;

/** What one client may take from the others: connections, each with buffers of its own, and messages that are not fetched. */
const limits = ({ maxConnections = DEFAULTS.natsMaxConnections }: NatsValuesArgs): Record<string, unknown> => ({
  max_connections: maxConnections,
  max_payload: MAX_PAYLOAD,
  // Whoever does not take what it is sent for so long is cut off; nats-server's own.
  write_deadline: "10s",
});

type Memory = pulumi.Input<NatsMemory>;

function jetstream(args: NatsValuesArgs, memory: Memory): Record<string, unknown> {
  return {
    enabled: true,
    fileStore: {
      enabled: true,
      maxSize: derived(args.fileStoreSize, fileStoreLimit),
      pvc: {
        enabled: true,
        size: args.fileStoreSize,
        storageClassName: args.storageClass && derived(args.storageClass, (name) => name || undefined),
      },
    },
    memoryStore: { enabled: true, maxSize: derived(memory, ({ store }) => store) },
  };
}

/** The login of the routes, for the servers of a cluster alone. */
const routeVariables = ({ replicas, routeSecret: secret }: NatsValuesArgs): pulumi.Input<Record<string, unknown>> =>
  derived(replicas, (servers) =>
    secret === undefined || servers === 1
      ? {}
      : {
          [ROUTE.passwordVariable]: fromSecret(secret, "password.conf"),
          [ROUTE.routesVariable]: fromSecret(secret, "routes.conf"),
        },
  );

function container(args: NatsValuesArgs, memory: Memory): Record<string, unknown> {
  const limit = derived(memory, (known) => known.limit);
  const resources = args.resources ?? { requests: { cpu: "100m", memory: limit }, limits: { memory: limit } };
  return {
    env: derived(routeVariables(args), (routes) => ({
      GOMEMLIMIT: derived(memory, ({ goMemoryLimit }) => goMemoryLimit),
      ...routes,
    })),
    merge: derived(args.replicas, (servers) => ({
      ...containerAvailability(servers),
      ...containerSecurity,
      resources,
    })),
    // Added to the chart's own, which `merge` would replace.
    patch: [{ op: "add", path: "/volumeMounts/-", value: { ...USERS_VOLUME, readOnly: true } }],
  };
}

function service({ clientNodePort, monitorNodePort }: NatsValuesArgs): Record<string, unknown> {
  const nodePorts = clientNodePort !== undefined || monitorNodePort !== undefined;
  return {
    merge: nodePorts ? { spec: { type: "NodePort" } } : undefined,
    ports: {
      nats: { enabled: true, nodePort: clientNodePort },
      monitor: { enabled: monitorNodePort !== undefined, nodePort: monitorNodePort },
    },
  };
}

function podTemplate(args: NatsValuesArgs): Record<string, unknown> {
  const pods = serverPods(args.podSecurity ?? "baseline");
  const zones = { "topology.kubernetes.io/zone": { maxSkew: 1, whenUnsatisfiable: "ScheduleAnyway" } };
  return {
    topologySpreadConstraints: derived(args.replicas, (servers) => (servers > 1 ? zones : {})),
    patch: [
      {
        op: "add",
        path: "/spec/volumes/-",
        value: { name: USERS_VOLUME.name, secret: { secretName: args.usersSecret } },
      },
      ...pods.patch,
    ],
    merge: {
      spec: derived(args.replicas, (servers) => ({
        ...podAvailability(servers, args.hostSpread ?? "preferred"),
        ...pods.spec,
      })),
    },
  };
}

function natsBox({ box, boxResources }: NatsValuesArgs): Record<string, unknown> {
  if (box === undefined) return { enabled: false };
  const { container, ...rest } = boxSecurity;
  return {
    ...rest,
    // The command takes it from its context alone.
    contexts: box.inbox === undefined ? undefined : { default: { merge: { inbox_prefix: box.inbox } } },
    container: {
      ...container,
      env: { ...container.env, NATS_USER: box.user, NATS_PASSWORD: fromSecret(box.secret, BOX_PASSWORD) },
      merge: { ...container.merge, resources: boxResources ?? BOX_RESOURCES },
    },
  };
}

/** Parts of the values that leave the servers' pods alone. */
const BESIDE_THE_SERVERS: readonly string[] = ["natsBox", "service"];

/**
 * Digest of what the servers' pods are made of: chart, version, and values that hold no credential. SHA-256 in hex. The order of
 * keys changes no pod, and not the digest.
 */
export function serversDigest(
  chart: string,
  version: string | undefined,
  values: Readonly<Record<string, unknown>> | undefined,
): string {
  const theirs = Object.entries(values ?? {}).filter(([key]) => !BESIDE_THE_SERVERS.includes(key));
  return crypto
    .createHash("sha256")
    .update(stableJson([chart, version ?? "", Object.fromEntries(theirs)]))
    .digest("hex");
}
