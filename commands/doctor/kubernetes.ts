/** Questions to the Kubernetes API. */
import type * as k8s from "@kubernetes/client-node" with { "resolution-mode": "import" };
import { apiAnswer, clusterAccess, jsonOf, type Resource } from "../../contract/kubernetes/api";
import type { ClusterAccess } from "../../contract/kubernetes/kubeconfig";
import { within } from "../../contract/deadline";
import { ConnectError } from "../../contract/errors";
import type { Answer } from "./evidence";
import { Slowness } from "./slowness";
import type { Target } from "./target";

/** Longest wait for one answer of the API server, in milliseconds. */
const ANSWER_MILLISECONDS = 10_000;

/** The failure as an answer. Anything but a {@link ConnectError} is a defect and goes on. */
export function failure(error: unknown): { ok: false } & Pick<ConnectError, "problem" | "message"> {
  if (!(error instanceof ConnectError)) throw error;
  return { ok: false, problem: error.problem, message: error.message };
}

/** Runs `work`; a {@link ConnectError} becomes an answer. */
export async function answer<T>(work: () => Promise<T>): Promise<Answer<T>> {
  try {
    return { ok: true, value: await work() };
  } catch (error) {
    return failure(error);
  }
}

/** A type of the client library as the API writes it: times are text. */
export type Written<T> = T extends Date
  ? string
  : T extends readonly (infer E)[]
    ? Written<E>[]
    : T extends object
      ? { [key in keyof T]: Written<T[key]> }
      : T;

/** What is asked for, by its name in a role. */
export interface Kinds {
  readonly pods: Written<k8s.V1Pod>;
  readonly services: Written<k8s.V1Service>;
  readonly secrets: Written<k8s.V1Secret>;
  readonly configmaps: Written<k8s.V1ConfigMap>;
  readonly persistentvolumeclaims: Written<k8s.V1PersistentVolumeClaim>;
  readonly events: Written<k8s.CoreV1Event>;
  readonly deployments: Written<k8s.V1Deployment>;
  readonly statefulsets: Written<k8s.V1StatefulSet>;
  readonly jobs: Written<k8s.V1Job>;
}

/** Which API a kind is of, and how one of it is called. */
const KINDS: { readonly [kind in keyof Kinds]: readonly [api: string, one: string] } = {
  pods: ["/api/v1", "Pod"],
  services: ["/api/v1", "Service"],
  secrets: ["/api/v1", "Secret"],
  configmaps: ["/api/v1", "ConfigMap"],
  persistentvolumeclaims: ["/api/v1", "PersistentVolumeClaim"],
  events: ["/api/v1", "Event"],
  deployments: ["/apis/apps/v1", "Deployment"],
  statefulsets: ["/apis/apps/v1", "StatefulSet"],
  jobs: ["/apis/batch/v1", "Job"],
};

/** One object. */
export interface Named {
  readonly namespace: string;
  readonly name: string;
}

type Query = Readonly<Record<string, string | number | boolean>>;

function pathOf(
  kind: keyof Kinds,
  namespace: string,
  { name, part, query }: { name?: string; part?: string; query?: Query } = {},
): string {
  const parts = [namespace, kind, name, part].filter((each) => each !== undefined).map(encodeURIComponent);
  const given = Object.entries(query ?? {}).map(([key, value]): [string, string] => [key, String(value)]);
  const asked = new URLSearchParams(given).toString();
  return `${KINDS[kind][0]}/namespaces/${parts.join("/")}${asked && `?${asked}`}`;
}

/**
 * The API of one cluster; every question has a deadline and fails with a {@link ConnectError} `cluster-unreachable`, `cluster-login`,
 * `forbidden` or `no-answer`.
 */
export class Cluster {
  /** What was answered late. */
  readonly slowness = new Slowness();

  private constructor(readonly access: ClusterAccess) {}

  /** @throws ConnectError `bad-kubeconfig` */
  static async open(connection: Target["cluster"]): Promise<Cluster> {
    return new Cluster(await clusterAccess({ namespace: "", service: "", port: 0, ...connection }));
  }

  /** Address of the API server. */
  get server(): string {
    return this.access.getCurrentCluster()?.server ?? "";
  }

  /** The objects of a namespace, or those of them that `query` selects. */
  async list<K extends keyof Kinds>(kind: K, namespace: string, query?: Query): Promise<Kinds[K][]> {
    const resource = {
      path: pathOf(kind, namespace, { query }),
      what: `list the ${kind} of namespace ${namespace}`,
      needs: `list on ${kind}`,
    };
    const found = await this.ask(resource);
    if (found === undefined) return [];
    return jsonOf<{ items?: Kinds[K][] | null }>(this.access, resource, found).items ?? [];
  }

  /** An object; undefined where there is none of that name. */
  async read<K extends keyof Kinds>(kind: K, { namespace, name }: Named): Promise<Kinds[K] | undefined> {
    const resource = {
      path: pathOf(kind, namespace, { name }),
      what: `read ${KINDS[kind][1]} ${namespace}/${name}`,
      needs: `get on ${kind}`,
    };
    const found = await this.ask(resource);
    return found === undefined ? undefined : jsonOf<Kinds[K]>(this.access, resource, found);
  }

  /**
   * Changes an object as `kubectl patch` does.
   *
   * @param why What for, in one word that the object's kind and name follow.
   * @returns false where there is no such object.
   */
  async patch(
    kind: keyof Kinds,
    { namespace, name }: Named,
    { why, body }: { why: string; body: object },
  ): Promise<boolean> {
    const found = await this.ask({
      path: pathOf(kind, namespace, { name }),
      what: `${why} ${KINDS[kind][1]} ${namespace}/${name}`,
      needs: `patch on ${kind}`,
      patch: { type: "strategic-merge-patch+json", body },
    });
    return found !== undefined;
  }

  /** The log of one of a pod's containers; undefined where there is no such pod. */
  log({ namespace, name }: Named, query: { readonly container: string } & Query): Promise<string | undefined> {
    return this.ask({
      path: pathOf("pods", namespace, { name, part: "log", query }),
      what: `read the log of pod ${namespace}/${name}`,
      needs: "get on pods/log",
    });
  }

  private async ask(resource: Resource): Promise<string | undefined> {
    const { what } = resource;
    return this.slowness.watch(`the Kubernetes API to ${what}`, () =>
      within(ANSWER_MILLISECONDS, `the Kubernetes API at ${this.server} to ${what}`, async (signal) => {
        const found = await apiAnswer(this.access, resource, signal);
        return found?.body;
      }),
    );
  }
}
