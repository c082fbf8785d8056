/**
 * Values of the chart nats/nats that take from its pods what they do not need: root, capabilities, a token, a writable file
 * system. Why, and why a volume may need a step before: docs/decisions/0022-restricted-nats.md.
 */
import { LOCATIONS } from "../../contract/facts";
import { confined, type Resources, runsAs } from "../shared";

/**
 * What the namespace enforces. `restricted` leaves the volume to Kubernetes, which hands it over by `fsGroup` where its driver
 * can. `baseline` starts each server with a step that runs as root and hands over what root has written, on any volume.
 */
export const NATS_POD_SECURITY = ["baseline", "restricted"] as const;
export type NatsPodSecurity = (typeof NATS_POD_SECURITY)[number];

/** User and group of server, reloader and nats-box: those of the user that nats-box's image has. */
export const NATS_UID = 1000;

const POD = {
  automountServiceAccountToken: false,
  securityContext: runsAs(NATS_UID, { fsGroup: NATS_UID, fsGroupChangePolicy: "OnRootMismatch" }),
} as const;

/** For `merge` of a container. */
export const containerSecurity = { securityContext: confined } as const;

/** An account of its own, without rights and without a token. */
export const ACCOUNT = { enabled: true, merge: { automountServiceAccountToken: false } } as const;

/** The folder of the file store, by the chart's default. */
const STORE = "/data";

/** Hands over what is not the server's: all of it the first time, and nothing from then on. A volume that refuses it is left to the server. */
export const ownerScript = (store: string, uid: number): string =>
  `find ${store} ! -user ${uid} -exec chown -h ${uid}:${uid} {} + || echo "not all of ${store} belongs to ${uid}"`;

const OWNER_RESOURCES: Resources = { requests: { cpu: "10m", memory: "16Mi" }, limits: { memory: "64Mi" } };

/** Its image is the server's, which the chart knows: {@link OWNER_IMAGE} copies it. */
const owner = {
  name: "volume-owner",
  image: "",
  command: ["sh", "-c", ownerScript(STORE, NATS_UID)],
  securityContext: {
    ...confined,
    runAsUser: 0,
    runAsNonRoot: false,
    // To see what only its owner may, and to give it away.
    capabilities: { drop: ["ALL"], add: ["CHOWN", "DAC_OVERRIDE"] },
  },
  volumeMounts: [{ name: `${LOCATIONS.nats.service}-js`, mountPath: STORE }],
  resources: OWNER_RESOURCES,
} as const;

const OWNER_IMAGE = { op: "copy", from: "/spec/containers/0/image", path: "/spec/initContainers/0/image" } as const;

/** Of the servers' pods: what goes into `spec`, and the patches that complete it. */
export const serverPods = (level: NatsPodSecurity): { spec: object; patch: readonly object[] } =>
  level === "baseline" ? { spec: { ...POD, initContainers: [owner] }, patch: [OWNER_IMAGE] } : { spec: POD, patch: [] };

/** Folders of nats-box that are written to: the context that the chart makes, and whatever its user puts there. */
const BOX_FOLDERS = [
  { name: "home", mountPath: "/nsc" },
  { name: "tmp", mountPath: "/tmp" },
] as const;

const add = (path: string, value: object): object => ({ op: "add", path, value });

/** Of nats-box, beside its login. Its image begins in /root, where only root may go. */
export const boxSecurity = {
  serviceAccount: ACCOUNT,
  podTemplate: {
    merge: { spec: POD },
    patch: BOX_FOLDERS.map(({ name }) => add("/spec/volumes/-", { name, emptyDir: {} })),
  },
  container: {
    env: { HOME: "/nsc" },
    merge: { ...containerSecurity, workingDir: "/nsc" },
    patch: BOX_FOLDERS.map((mount) => add("/volumeMounts/-", mount)),
  },
} as const;
