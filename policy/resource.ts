import { Secret } from "@pulumi/policy";
import { parse } from "yaml";
import { isRecord } from "../contract/records";

/** What a rule sees of a resource. */
export interface ResourceView {
  readonly type: string;
  readonly name: string;
  readonly urn: string;
  /** Inputs as the engine sent them: an encrypted value is a {@link Secret}, one that a preview cannot know {@link isUnknown}. */
  readonly props: Readonly<Record<string, unknown>>;
  /** The resource option `protect`. */
  readonly protect: boolean;
  /** Type of the component that the resource belongs to. */
  readonly parentType?: string;
  /** True for an object that a Helm release renders: the engine knows of the release alone. */
  readonly rendered?: true;
}

/** An object as a chart renders it. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata?: { readonly name?: string; readonly namespace?: string };
}

/** Type under which the engine would know an object, whatever somebody has written there. */
const typeOf = ({ apiVersion, kind }: { readonly apiVersion: unknown; readonly kind: unknown }): string => {
  const version = String(apiVersion);
  return `kubernetes:${version.includes("/") ? version : `core/${version}`}:${String(kind)}`;
};

/** What a rule sees of an object that `release` renders: the same as of one that the program declares. */
export const fromManifest = (manifest: Manifest, release: ResourceView): ResourceView => ({
  type: typeOf(manifest),
  name: `${manifest.kind} ${manifest.metadata?.name ?? "?"}`,
  urn: release.urn,
  props: { ...manifest },
  protect: release.protect,
  parentType: release.parentType || undefined,
  rendered: true,
});

/**
 * The bare properties behind what `@pulumi/policy` hands out. Its proxies hide which values are encrypted and throw at the
 * first one that a preview does not know, which would leave the rest of the resource unchecked.
 */
export function bareProperties(props: object): Record<string, unknown> {
  const descriptors = Object.entries(Object.getOwnPropertyDescriptors(props));
  return Object.fromEntries(descriptors.map(([key, { value }]) => [key, value as unknown]));
}

/** What the engine writes for a value that a preview cannot know, by the value's type (sdk/go/common/resource/plugin/rpc.go). */
const UNKNOWN = new Set([
  "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
  "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
  "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
  "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
  "030794c1-ac77-496b-92df-f27374a8bd58",
  "e48ece36-62e2-4504-bad9-02848725956a",
  "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
]);

/** The objects of a list; none of what is not a list. */
export const records = (value: unknown): Record<string, unknown>[] =>
  Array.isArray(value) ? value.filter(isRecord) : [];

/** The texts of a list, or the one that stands in its place. */
export const strings = (value: unknown): string[] =>
  (Array.isArray(value) ? value : [value]).filter((each): each is string => typeof each === "string");

/** True for a value that a preview cannot know; no rule checks it before the update does know it. */
export const isUnknown = (value: unknown): boolean => typeof value === "string" && UNKNOWN.has(value);

const ANY_UNKNOWN = new RegExp([...UNKNOWN].join("|"));

/** True for a text that a chart has made of a value that a preview cannot know. */
export const holdsUnknown = (text: string): boolean => ANY_UNKNOWN.test(text);

/** The value itself without its encryption mark; what it consists of keeps its own. */
const bare = (value: unknown): unknown => (value instanceof Secret ? bare(value.value) : value);

/** The same value with every encryption mark taken off. */
export function plain(value: unknown): unknown {
  if (value instanceof Secret) return plain(value.value);
  if (Array.isArray(value)) return value.map(plain);
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}

/** True for a stack on Google Cloud: one with a resource, or a provider, of it. */
export const onGoogleCloud = (resources: readonly ResourceView[]): boolean =>
  resources.some(({ type }) => type.startsWith("gcp:") || type === "pulumi:providers:gcp");

/** The value at a dotted path, without encryption marks; undefined where there is none. */
export function at(value: unknown, path: string): unknown {
  let found = bare(value);
  for (const key of path.split(".")) found = isRecord(found) ? bare(found[key]) : undefined;
  return plain(found);
}

/** Whether a selector of Kubernetes takes in an object with these labels; what a preview does not know yet takes in none. */
export function selects(selector: unknown, labels: Readonly<Record<string, unknown>>): boolean {
  const [wanted, expressions] = [at(selector, "matchLabels"), at(selector, "matchExpressions")];
  if ([selector, wanted, expressions].some(isUnknown)) return false;
  return (
    Object.entries(isRecord(wanted) ? wanted : {}).every(([name, value]) => labels[name] === value) &&
    records(expressions).every(({ key, operator, values }) => {
      const has = Object.hasOwn(labels, String(key));
      const isOne = has && strings(values).includes(String(labels[String(key)]));
      if (operator === "In" || operator === "NotIn") return !isUnknown(values) && isOne === (operator === "In");
      return has === (operator === "Exists");
    })
  );
}

/** The classes that an Ingress names: in its spec, and in the annotation, which stood for it before. What a preview cannot know is among them. */
export function ingressClasses(props: unknown): unknown[] {
  const annotations = at(props, "metadata.annotations");
  const annotated = isRecord(annotations) ? annotations["kubernetes.io/ingress.class"] : annotations;
  return [at(props, "spec.ingressClassName"), annotated].filter((each) => each !== undefined && each !== null);
}

/** A text inside a resource's inputs. */
export interface Text {
  /** Path inside the inputs, for example `values.config.server.NATS_URL` or `spec.containers[0].image`. */
  readonly path: string;
  /** Last key of the path that is a name; an index belongs to the list's name. */
  readonly key: string;
  readonly text: string;
  /** True where the text, or something that it is part of, is encrypted in the state. */
  readonly encrypted: boolean;
}

/** Every known text inside `value`, in order. */
export function* texts(value: unknown, path = ""): Generator<Text> {
  yield* textsAt(value, { path, key: "", encrypted: false });
}

function* textsAt(value: unknown, at: Omit<Text, "text">): Generator<Text> {
  if (value instanceof Secret) yield* textsAt(value.value, { ...at, encrypted: true });
  else if (typeof value === "string") {
    if (!isUnknown(value)) yield { ...at, text: value };
  } else if (Array.isArray(value)) {
    for (const [index, inner] of value.entries()) yield* textsAt(inner, { ...at, path: `${at.path}[${index}]` });
  } else if (isRecord(value)) {
    // A variable in a list stands under its name, `{ name: NATS_PASSWORD, value: x }`, in a map under its key: `NATS_PASSWORD: { value: x }`.
    // What compares a key with a value gives nothing its value: tolerations, taints.
    const compares = "operator" in value || "effect" in value || /(?:tolerations|taints)\[\d+\]$/i.test(at.path);
    const names = [value.name, ...(compares ? [] : [value.key])].map(plain);
    const called = names.find((each) => typeof each === "string") ?? at.key;
    for (const [key, inner] of Object.entries(value)) {
      const name = key === "value" && called !== "" ? called : key;
      yield* textsAt(inner, { ...at, path: at.path === "" ? key : `${at.path}.${key}`, key: name });
    }
  }
}

/** A container of a workload and where it stands. */
export interface Container {
  readonly path: string;
  readonly init: boolean;
  readonly spec: Readonly<Record<string, unknown>>;
}

const POD_SPECS: Readonly<Record<string, string>> = {
  Pod: "spec",
  PodTemplate: "template.spec",
  Deployment: "spec.template.spec",
  StatefulSet: "spec.template.spec",
  DaemonSet: "spec.template.spec",
  ReplicaSet: "spec.template.spec",
  ReplicationController: "spec.template.spec",
  Job: "spec.template.spec",
  CronJob: "spec.jobTemplate.spec.template.spec",
};

const KUBERNETES = /^kubernetes:[^:]+:(\w+?)(?:Patch)?$/;

/** Kind of a Kubernetes object, the same for a patch of it; undefined for every other resource. */
export const kindOf = (type: string): string | undefined => KUBERNETES.exec(type)?.[1];

/** Name of a Kubernetes object; where the program leaves that to the engine, its own for it. */
export const nameOf = ({ props, name }: Pick<ResourceView, "props" | "name">): unknown =>
  at(props, "metadata.name") ?? name;

/** Kind of a Kubernetes workload; undefined for every other resource. */
export function workloadKind(type: string): string | undefined {
  const kind = /^kubernetes:(?:apps|batch|core)\//.test(type) ? kindOf(type) : undefined;
  return kind !== undefined && kind in POD_SPECS ? kind : undefined;
}

/** A pod's specification and where it stands. */
export interface PodSpec {
  readonly path: string;
  readonly spec: Readonly<Record<string, unknown>>;
}

/** An object inside another one, and where it stands. */
type Nested = PodSpec;

const LISTS = ["initContainers", "containers", "ephemeralContainers"];

/** True for the specification of a pod: what has a list of containers. */
const isPod = ({ containers: found }: Nested["spec"]): boolean =>
  Array.isArray(found) && found.some((each) => isRecord(each) && [each.image, each.command, each.args].some(Boolean));

/** Objects anywhere in another one, without the containers of a pod, which belong to it. */
export function* nested(value: unknown, path = ""): Generator<Nested> {
  if (Array.isArray(value)) {
    for (const [index, each] of value.entries()) yield* nested(each, `${path}[${index}]`);
    return;
  }
  if (!isRecord(value)) return;
  if (path !== "") yield { path, spec: value };
  const ofPod = isPod(value) ? LISTS : [];
  for (const [key, each] of Object.entries(value)) {
    const place = path === "" ? key : `${path}.${key}`;
    // Argo's: a part of a pod, as text.
    if (!ofPod.includes(key)) yield* nested(key === "podSpecPatch" ? patchOf(each) : each, place);
  }
}

function patchOf(text: unknown): unknown {
  try {
    if (typeof text !== "string" || holdsUnknown(text)) return text;
    // Aliases may lead in a circle, and warnings would go to the command's own output.
    return parse(text.replace(/\{\{[^{}]*\}\}/g, "0"), { logLevel: "silent", maxAliasCount: 0 });
  } catch {
    return text;
  }
}

/** True for what is merged into a pod without being one: of a workflow, a task's template, an operator's object. */
const isPartOfPod = (spec: Nested["spec"]): boolean =>
  ["hostNetwork", "hostPID", "hostIPC"].some((right) => spec[right] === true) ||
  records(spec.volumes).some(({ hostPath, image }) => isRecord(hostPath) || isRecord(image));

/** What a container has beside its image, of which one tells it from other things with an image. */
const OF_CONTAINER = ["command", "args", "env", "envFrom", "volumeMounts", "ports", "resources", "script", "source"];

/** True for a container that stands alone, `container` of a workflow or a task's step, and for what an operator makes one of. */
const isContainer = (spec: Nested["spec"]): boolean =>
  !isPod(spec) &&
  (isRecord(spec.securityContext) || (typeof spec.image === "string" && OF_CONTAINER.some((part) => part in spec)));

/** Kinds that only say what others' pods have to be like, or are. */
const OF_PATTERNS =
  /^kubernetes:(?:(?:[\w-]+\.)*(?:kyverno\.io|gatekeeper\.sh|kubewarden\.io|wgpolicyk8s\.io|openreports\.io|aquasecurity\.github\.io)\/|[\w.]+\/\w+:(?:PodSecurityPolicy|SecurityContextConstraints)$)/;

/** Objects of somebody else's API in which pods may stand; of a kind's own definition the containers are an example, or the form of some. */
const isOthersObject = ({ type }: Pick<ResourceView, "type">): boolean =>
  ![undefined, "CustomResourceDefinition", "ConfigMap", "Secret"].includes(kindOf(type)) &&
  workloadKind(type) === undefined &&
  !type.startsWith("kubernetes:helm.sh/");

/** The specifications of pods that a resource makes, of somebody else's API too, parts of some last; none for every other resource. */
export function podSpecs(resource: Pick<ResourceView, "type" | "props">): PodSpec[] {
  const path = POD_SPECS[workloadKind(resource.type) ?? ""];
  if (path !== undefined) {
    const spec = at(resource.props, path);
    return isRecord(spec) ? [{ path, spec }] : [];
  }
  if (!isOthersObject(resource)) return [];
  const all = [...nested(plain(resource.props))];
  const parts = OF_PATTERNS.test(resource.type) ? [] : all.filter(({ spec }) => !isPod(spec) && isPartOfPod(spec));
  return [...all.filter(({ spec }) => isPod(spec)), ...parts];
}

/** The first of them. */
export const podSpec = (resource: Pick<ResourceView, "type" | "props">): PodSpec | undefined => podSpecs(resource)[0];

/** Labels of its pods; none where they have none, or it is not a workload. */
export function podLabels(resource: Pick<ResourceView, "type" | "props">): Record<string, unknown> {
  const pod = podSpec(resource);
  const labels = pod && at(resource.props, pod.path.replace(/spec$/, "metadata.labels"));
  return isRecord(labels) ? labels : {};
}

/** Containers of a workload, init containers first; none for every other resource. */
export const containers = (resource: Pick<ResourceView, "type" | "props">): Container[] => [
  ...containersOf(podSpecs(resource)),
  ...singleContainers(resource),
];

/** Those of somebody else's API that stand in no list of a pod's. */
function singleContainers(resource: Pick<ResourceView, "type" | "props">): Container[] {
  if (!isOthersObject(resource) || OF_PATTERNS.test(resource.type)) return [];
  return [...nested(plain(resource.props))]
    .filter(({ spec }) => isContainer(spec))
    .map(({ path, spec }) => ({ path, init: true, spec }));
}

/**
 * The same without what only looks like a pod in somebody else's API: what its operator merges over a pod of its own, or a pattern
 * that pods are held to. What such a container lacks it may have from elsewhere.
 */
export const wholeContainers = (resource: Pick<ResourceView, "type" | "props">): Container[] =>
  containersOf(
    podSpecs(resource).filter(
      ({ path }) => path === POD_SPECS[workloadKind(resource.type) ?? ""] || /(?:^|\.)template\.spec$/.test(path),
    ),
  );

/** An image of a resource's pods, and where it is named. */
export interface Image {
  readonly path: string;
  readonly reference: string;
  /** False where an operator may add what it lacks, the version for one. */
  readonly isWhole: boolean;
}

/** Places of somebody else's API at which a container stands as it is run: of workflows and tasks. */
const RUN_AS_IT_IS = /(?:^|\.)(?:container|script|(?:steps|sidecars|initContainers|containerSet\.containers)\[\d+\])$/;

/** Every image that a resource names, of volumes too; none of what only says how others' images have to be. */
export function images(resource: Pick<ResourceView, "type" | "props">): Image[] {
  if (OF_PATTERNS.test(resource.type)) return [];
  const whole = new Set(wholeContainers(resource).map(({ path }) => path));
  const inVolumes = podSpecs(resource).flatMap(({ path, spec }) =>
    records(spec.volumes).map((volume, index) => ({
      path: `${path}.volumes[${index}].image.reference`,
      reference: at(volume, "image.reference"),
      isWhole: true,
    })),
  );
  return [
    ...containers(resource).map(({ path, spec }) => ({
      path: `${path}.image`,
      reference: spec.image,
      isWhole: whole.has(path) || RUN_AS_IT_IS.test(path),
    })),
    ...inVolumes,
  ].filter((each): each is Image => typeof each.reference === "string");
}

function containersOf(pods: readonly PodSpec[]): Container[] {
  return pods.flatMap((pod) =>
    LISTS.flatMap((list) => {
      const found = pod.spec[list];
      if (!Array.isArray(found)) return [];
      return found.flatMap((spec, index) =>
        isRecord(spec) ? [{ path: `${pod.path}.${list}[${index}]`, init: list !== "containers", spec }] : [],
      );
    }),
  );
}

/** The objects of a list, each as one that the program declares by itself; the resource alone where it is none. */
export function itemsOf(resource: ResourceView): ResourceView[] {
  const { type, props, name } = resource;
  const [, api, kind] = /^(kubernetes:[^:]+):(\w*?)List$/.exec(type) ?? [];
  if (api === undefined || !Array.isArray(props.items)) return [resource];
  // Of somebody else's API a kind may be called so and not be a list of objects.
  const isOthers = api.includes(".") && !/\.k8s\.io\//.test(api);
  if (isOthers && !props.items.every((item) => isRecord(item) && item.kind !== undefined)) return [resource];
  return props.items.filter(isRecord).map((item) => {
    const stated = plain(item.kind);
    // Whatever somebody has written there.
    const its = { apiVersion: plain(item.apiVersion), kind: typeof stated === "string" ? stated : "" };
    const place = at(item, "metadata.name");
    return {
      ...resource,
      type: its.apiVersion === undefined ? `${api}:${kind || its.kind}` : typeOf(its),
      name: `${name}, ${kind || its.kind} ${typeof place === "string" ? place : "?"}`,
      props: item,
    };
  });
}
