import * as fs from "node:fs";
import * as path from "node:path";
import { ApiException, type CoreV1Api, type V1ConfigMap, type V1Container, type V1Pod } from "@kubernetes/client-node";
import { expand } from "../../contract/kubernetes/expand";
import { CreateError } from "./container";

export const isMissing = (error: unknown): boolean => error instanceof ApiException && error.code === 404;

const decoded = (value: string): Buffer => Buffer.from(value, "base64");

const bad = (message: string) => new CreateError("CreateContainerConfigError", message);

/** What a pod's containers get from the cluster's API: environment and files, as the kubelet hands them out. */
export class Sources {
  constructor(
    private readonly core: CoreV1Api,
    private readonly pod: V1Pod,
    private readonly ip: string,
  ) {}

  /**
   * The environment of a container.
   *
   * @throws CreateError for a missing ConfigMap, Secret or key, in the kubelet's words.
   */
  async environment(container: V1Container): Promise<Record<string, string>> {
    const env: Record<string, string> = {};
    for (const { prefix = "", configMapRef, secretRef } of container.envFrom ?? []) {
      const ref = configMapRef ?? secretRef;
      if (!ref) continue;
      const values = await this.data(configMapRef ? "configmap" : "secret", ref.name ?? "").catch((error: unknown) => {
        if (ref.optional) return {};
        throw error;
      });
      for (const [key, value] of Object.entries(values)) env[prefix + key] = value;
    }
    for (const { name, value, valueFrom } of container.env ?? []) {
      const ref = valueFrom?.secretKeyRef ?? valueFrom?.configMapKeyRef;
      if (ref) {
        const kind = valueFrom?.secretKeyRef ? "secret" : "configmap";
        try {
          env[name] = await this.key(kind, ref.name ?? "", ref.key);
        } catch (error) {
          if (!ref.optional) throw error;
        }
      } else if (valueFrom?.fieldRef) {
        env[name] = this.field(valueFrom.fieldRef.fieldPath);
      } else if (valueFrom) {
        throw bad(`environment variable ${name}: this source is not supported here`);
      } else {
        env[name] = expand(value ?? "", env);
      }
    }
    return env;
  }

  /**
   * What a container mounts, under `folder`: ConfigMaps are written there, a claim's volume stays where it is, and an
   * `emptyDir` is made. Secrets are not written to the disk.
   *
   * @param claimed folder of the volume of a claim of this namespace
   * @returns where a path of the container is found on this machine; undefined where nothing of it is there
   */
  async mounts(
    container: V1Container,
    folder: string,
    claimed: (claim: string) => string | undefined,
  ): Promise<(inContainer: string) => string | undefined> {
    const places: [string, string][] = [];
    for (const { name, mountPath } of container.volumeMounts ?? []) {
      const volume = this.pod.spec?.volumes?.find((each) => each.name === name);
      const claim = volume?.persistentVolumeClaim?.claimName;
      const place = claim === undefined ? path.join(folder, "volumes", name) : claimed(claim);
      if (place === undefined) throw bad(`persistentvolumeclaim "${claim}" not found`);
      if (volume?.secret || !volume) continue;
      fs.mkdirSync(place, { recursive: true, mode: 0o700 });
      if (volume.configMap?.name) {
        for (const [key, value] of Object.entries(await this.files(volume.configMap.name))) {
          fs.writeFileSync(path.join(place, key), value, { mode: 0o600 });
        }
      }
      places.push([mountPath, place]);
    }
    return (inContainer) => {
      for (const [mountPath, place] of places) {
        const inside = path.relative(mountPath, inContainer);
        if (!inside.startsWith("..") && !path.isAbsolute(inside)) return path.join(place, inside);
      }
      return undefined;
    };
  }

  /** Value of a key of a ConfigMap or Secret. @throws CreateError in the kubelet's words where it is missing. */
  async key(kind: "configmap" | "secret", name: string, key: string): Promise<string> {
    const found = (await this.data(kind, name))[key];
    if (found === undefined) throw bad(`couldn't find key ${key} in ${kind} ${this.namespace}/${name}`);
    return found;
  }

  private get namespace(): string {
    return this.pod.metadata?.namespace ?? "";
  }

  private async data(kind: "configmap" | "secret", name: string): Promise<Record<string, string>> {
    if (kind === "configmap") return (await this.configMap(name)).data ?? {};
    const { data } = await this.found(kind, name, this.core.readNamespacedSecret({ name, namespace: this.namespace }));
    return Object.fromEntries(Object.entries(data ?? {}).map(([key, value]) => [key, decoded(value).toString("utf8")]));
  }

  /** Files that a ConfigMap makes as a volume. */
  private async files(name: string): Promise<Record<string, string | Buffer>> {
    const { data, binaryData = {} } = await this.configMap(name);
    return { ...data, ...Object.fromEntries(Object.entries(binaryData).map(([key, value]) => [key, decoded(value)])) };
  }

  private configMap(name: string): Promise<V1ConfigMap> {
    const of = { name, namespace: this.namespace };
    return this.found("configmap", name, this.core.readNamespacedConfigMap(of));
  }

  private async found<T>(kind: "configmap" | "secret", name: string, read: Promise<T>): Promise<T> {
    try {
      return await read;
    } catch (error) {
      throw isMissing(error) ? bad(`${kind} "${name}" not found`) : error;
    }
  }

  private field(fieldPath: string): string {
    const { metadata, spec } = this.pod;
    const entry = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(fieldPath);
    if (entry) return metadata?.[entry[1] as "labels" | "annotations"]?.[entry[2] ?? ""] ?? "";
    const fields: Record<string, string | undefined> = {
      "metadata.name": metadata?.name,
      "metadata.namespace": metadata?.namespace,
      "metadata.uid": metadata?.uid,
      "spec.nodeName": spec?.nodeName,
      "spec.serviceAccountName": spec?.serviceAccountName,
      "status.podIP": this.ip,
      "status.hostIP": "127.0.0.1",
    };
    const value = fields[fieldPath];
    if (value === undefined) throw bad(`field ${fieldPath} is not supported here`);
    return value;
  }
}
