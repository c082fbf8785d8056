/** Questions to the Kubernetes API. */
import { apiAnswer, clusterAccess, type Resource } from "../../contract/kubernetes/api";
import type { ClusterAccess } from "../../contract/kubernetes/kubeconfig";
import {
  allOf,
  changeOf,
  type Kinds,
  listObjects,
  logOf,
  type Named,
  oneOf,
  type Query,
  readObject,
} from "../../contract/kubernetes/objects";
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
  async list<K extends keyof Kinds>(kind: K, namespace: string, query?: Query): Promise<readonly Kinds[K][]> {
    const list = (signal: AbortSignal) => listObjects(this.access, { kind, namespace, query }, signal);
    const { items } = await this.ask(allOf(kind, namespace, query), list);
    return items;
  }

  /** An object; undefined where there is none of that name. */
  read<K extends keyof Kinds>(kind: K, named: Named): Promise<Kinds[K] | undefined> {
    return this.ask(oneOf(kind, named), (signal) => readObject(this.access, { kind, ...named }, signal));
  }

  /** Changes an object, as {@link changeOf} has it. @returns false where there is no such object. */
  async patch(kind: keyof Kinds, named: Named, change: { why: string; body: object }): Promise<boolean> {
    const resource = changeOf(kind, named, change);
    return (await this.ask(resource, (signal) => apiAnswer(this.access, resource, signal))) !== undefined;
  }

  /** The log of one of a pod's containers; undefined where there is no such pod. */
  async log(pod: Named, query: { readonly container: string } & Query): Promise<string | undefined> {
    const resource = logOf(pod, query);
    return (await this.ask(resource, (signal) => apiAnswer(this.access, resource, signal)))?.body;
  }

  private ask<T>({ what }: Resource, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.slowness.watch(`the Kubernetes API to ${what}`, () =>
      within(ANSWER_MILLISECONDS, `the Kubernetes API at ${this.server} to ${what}`, work),
    );
  }
}
