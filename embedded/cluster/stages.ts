/** What kwok does with nodes and pods. Pods that {@link SUPERVISED} names are left to the supervisor. */
import type { V1Pod } from "@kubernetes/client-node";

/** Annotation of a node that kwok plays. One without it is a machine that is switched off. */
export const PLAYED_NODE = { name: "kwok.x-k8s.io/node", value: "fake" } as const;

/** Label and its values of pods behind which a real process runs. */
const SUPERVISED = {
  app: [
    "noetl-server",
    "noetl-worker",
    "gateway",
    "postgres",
    "pgbouncer",
    "noetl-schema",
    "noetl-logins",
    "contract-guard",
  ],
  "app.kubernetes.io/component": ["nats"],
} as const;

/** Annotation of a pod, or of a pod template, whose containers run their `sh` or `python` command on this machine. */
export const RUN_HERE = "noetl-nats.embedded/run";

export const runsHere = (pod: V1Pod): boolean => pod.metadata?.annotations?.[RUN_HERE] === "true";

/** True for a pod that the supervisor plays the kubelet of. */
export function isSupervised(pod: V1Pod): boolean {
  if (runsHere(pod)) return true;
  const labels = pod.metadata?.labels ?? {};
  return Object.entries(SUPERVISED).some(([label, values]) =>
    (values as readonly string[]).includes(labels[label] ?? ""),
  );
}

/** What happens to a node or pod that meets all conditions. */
interface Transition {
  kind: "Node" | "Pod";
  conditions: object[];
  next: object;
}

const stage = (name: string, { kind, conditions, next }: Transition) => ({
  kind: "Stage",
  apiVersion: "kwok.x-k8s.io/v1alpha1",
  metadata: { name },
  spec: { resourceRef: { apiGroup: "v1", kind }, selector: { matchExpressions: conditions }, next },
});

const absent = (key: string) => ({ key, operator: "DoesNotExist" });

const NODE_STATUS = `
{{ $now := Now }}
conditions:
{{ range NodeConditions }}
- lastHeartbeatTime: {{ $now | Quote }}
  lastTransitionTime: {{ $now | Quote }}
  message: {{ .message | Quote }}
  reason: {{ .reason | Quote }}
  status: {{ .status | Quote }}
  type: {{ .type | Quote }}
{{ end }}
phase: Running
`;

const POD_STATUS = `
{{ $now := Now }}
phase: Running
startTime: {{ $now | Quote }}
hostIP: {{ NodeIPWith .spec.nodeName | Quote }}
podIP: {{ PodIPWith .spec.nodeName false .metadata.uid .metadata.name .metadata.namespace | Quote }}
conditions:
{{ range $type := list "Initialized" "Ready" "ContainersReady" }}
- { type: {{ $type }}, status: "True", lastTransitionTime: {{ $now | Quote }} }
{{ end }}
{{ with .spec.initContainers }}
initContainerStatuses:
{{ range . }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  ready: true
  restartCount: 0
  state: { terminated: { exitCode: 0, reason: Completed, startedAt: {{ $now | Quote }}, finishedAt: {{ $now | Quote }} } }
{{ end }}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  ready: true
  restartCount: 0
  state: { running: { startedAt: {{ $now | Quote }} } }
{{ end }}
`;

/** Pods that are kwok's alone. */
const UNSUPERVISED = [
  ...Object.entries(SUPERVISED).map(([label, values]) => ({
    key: `.metadata.labels["${label}"]`,
    operator: "NotIn",
    values,
  })),
  { key: `.metadata.annotations["${RUN_HERE}"]`, operator: "NotIn", values: ["true"] },
];

/** Stages for kwok's configuration file. */
export function stages(): object[] {
  return [
    stage("node-ready", {
      kind: "Node",
      conditions: [
        absent(".metadata.deletionTimestamp"),
        absent('.status.conditions.[] | select( .type == "Ready" ) | .status'),
      ],
      next: { statusTemplate: NODE_STATUS },
    }),
    stage("pod-ready", {
      kind: "Pod",
      conditions: [
        absent(".metadata.deletionTimestamp"),
        absent(".status.podIP"),
        ...UNSUPERVISED,
        { key: ".metadata.ownerReferences.[].kind", operator: "NotIn", values: ["Job"] },
      ],
      next: { statusTemplate: POD_STATUS },
    }),
    stage("pod-delete", {
      kind: "Pod",
      // The supervisor removes its own, once their processes have ended.
      conditions: [{ key: ".metadata.deletionTimestamp", operator: "Exists" }, ...UNSUPERVISED],
      next: { delete: true, finalizers: { empty: true } },
    }),
  ];
}
