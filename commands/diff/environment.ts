import { LOCATIONS } from "../../contract/facts";
import { expand } from "../../contract/kubernetes/expand";
import type { Scalar } from "./compare";
import { Opaque, type Masker } from "../../contract/mask";
import { secretEntries, titleOf, type KubeObject } from "./objects";
import type { EnvironmentRow, EnvironmentTable } from "./report";

/** One variable as the container gets it. */
export interface Variable {
  readonly value: string | Opaque;
  readonly source: string;
}

interface Container {
  readonly name?: string;
  readonly image?: string;
  readonly env?: readonly { name: string; value?: string; valueFrom?: Record<string, Reference | undefined> }[];
  readonly envFrom?: readonly { prefix?: string; configMapRef?: Reference; secretRef?: Reference }[];
}

interface Reference {
  readonly name?: string;
  readonly key?: string;
  readonly fieldPath?: string;
  readonly resource?: string;
}

/** The workloads whose environment the contract is about. */
const WORKLOADS = [
  { workload: "server", name: LOCATIONS.noetl.serverDeployment, namespace: LOCATIONS.noetl.namespace },
  { workload: "worker", name: LOCATIONS.noetl.workerDeployment, namespace: LOCATIONS.noetl.namespace },
  { workload: "gateway", name: LOCATIONS.gateway.deployment, namespace: LOCATIONS.gateway.namespace },
] as const;

export function podSpec(object: KubeObject): { containers?: Container[]; initContainers?: Container[] } | undefined {
  const spec = object.spec as
    { template?: { spec?: object }; jobTemplate?: { spec?: { template?: { spec?: object } } } } | undefined;
  if (object.kind === "Pod") return spec as object;
  return spec?.template?.spec ?? spec?.jobTemplate?.spec?.template?.spec;
}

/** A container's variables, resolved as the kubelet does: later sources win, `env` over `envFrom`. */
export function environmentOf(workload: KubeObject, objects: readonly KubeObject[]): Record<string, Variable> {
  const [container] = podSpec(workload)?.containers ?? [];
  const variables: Record<string, Variable> = {};
  const source = (kind: "ConfigMap" | "Secret", name: string): Record<string, string | Opaque> | undefined => {
    const found = objects.find(
      (object) =>
        object.kind === kind &&
        object.metadata?.name === name &&
        (object.metadata.namespace ?? "default") === (workload.metadata?.namespace ?? "default"),
    );
    if (!found) return undefined;
    if (kind === "ConfigMap") return (found.data ?? {}) as Record<string, string>;
    return Object.fromEntries(Object.entries(secretEntries(found)).map(([key, text]) => [key, new Opaque(text)]));
  };
  for (const { prefix = "", configMapRef, secretRef } of container?.envFrom ?? []) {
    for (const [kind, reference] of [
      ["ConfigMap", configMapRef],
      ["Secret", secretRef],
    ] as const) {
      if (!reference?.name) continue;
      const from = `${kind} ${reference.name}`;
      const data = source(kind, reference.name);
      if (data === undefined) variables[`${prefix}*`] = { value: `everything in ${from}`, source: from };
      for (const [key, value] of Object.entries(data ?? {})) variables[`${prefix}${key}`] = { value, source: from };
    }
  }
  for (const { name, value, valueFrom } of container?.env ?? []) {
    const { configMapKeyRef, secretKeyRef, fieldRef, resourceFieldRef } = valueFrom ?? {};
    if (configMapKeyRef?.name !== undefined && configMapKeyRef.key !== undefined) {
      const from = `ConfigMap ${configMapKeyRef.name}`;
      const found = source("ConfigMap", configMapKeyRef.name)?.[configMapKeyRef.key];
      variables[name] = { value: found ?? `key ${configMapKeyRef.key}`, source: from };
    } else if (secretKeyRef?.name !== undefined && secretKeyRef.key !== undefined) {
      const from = `Secret ${secretKeyRef.name}`;
      const found = source("Secret", secretKeyRef.name)?.[secretKeyRef.key];
      variables[name] = { value: found ?? new Opaque(`${secretKeyRef.name}/${secretKeyRef.key}`), source: from };
    } else if (fieldRef ?? resourceFieldRef) {
      const path = fieldRef?.fieldPath ?? resourceFieldRef?.resource ?? "";
      variables[name] = { value: path, source: "field of the pod" };
    } else {
      // What it refers to has a row of its own.
      variables[name] = { value: expand(value ?? "", {}), source: "literal" };
    }
  }
  return variables;
}

/** The deployment of server, worker or gateway; the usual namespace is preferred where there are several. */
export function findWorkload(workload: (typeof WORKLOADS)[number]["workload"], objects: readonly KubeObject[]) {
  const wanted = WORKLOADS.find((each) => each.workload === workload);
  const found = objects.filter((object) => object.kind === "Deployment" && object.metadata?.name === wanted?.name);
  return found.find((object) => object.metadata?.namespace === wanted?.namespace) ?? found[0];
}

const sameValue = (a: Variable | undefined, b: Variable | undefined): boolean =>
  a?.value instanceof Opaque && b?.value instanceof Opaque ? a.value.text === b.value.text : a?.value === b?.value;

/** The tables of server, worker and gateway; a workload that neither side has is left out. */
export function environmentTables(
  olds: readonly KubeObject[],
  news: readonly KubeObject[],
  masker: Masker,
): EnvironmentTable[] {
  return WORKLOADS.flatMap(({ workload }) => {
    const [before, after] = [findWorkload(workload, olds), findWorkload(workload, news)];
    const object = after ?? before;
    if (!object) return [];
    const oldVariables = before ? environmentOf(before, olds) : {};
    const newVariables = after ? environmentOf(after, news) : {};
    const rows = [...new Set([...Object.keys(oldVariables), ...Object.keys(newVariables)])].sort().map((name) => {
      const [old, now] = [oldVariables[name], newVariables[name]];
      const changed = !sameValue(old, now);
      const shown = (variable: Variable): Scalar => masker.scalar(variable.value, name);
      const row: EnvironmentRow = {
        name: masker.text(name),
        old: old ? shown(old) : undefined,
        new: now ? shown(now) : undefined,
        source: masker.text((now ?? old)?.source ?? ""),
        changed,
        note: changed && old && now && shown(old) === shown(now) ? "secret changed" : undefined,
      };
      return row;
    });
    return [{ workload, object: masker.text(titleOf(object)), rows }];
  });
}
