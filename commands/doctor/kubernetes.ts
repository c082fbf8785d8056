/** Questions to the Kubernetes API. */
import type * as k8s from "@kubernetes/client-node" with { "resolution-mode": "import" };
import { kubernetesClient, loadCluster, refused, unreachable } from "../../contract/kubernetes/api";
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

/** The API of one cluster; every question has a deadline and fails with a {@link ConnectError}. */
export class Cluster {
  readonly core: k8s.CoreV1Api;
  readonly apps: k8s.AppsV1Api;
  readonly batch: k8s.BatchV1Api;
  /** What was answered late. */
  readonly slowness = new Slowness();

  private constructor(
    readonly config: k8s.KubeConfig,
    library: typeof k8s,
  ) {
    this.core = config.makeApiClient(library.CoreV1Api);
    this.apps = config.makeApiClient(library.AppsV1Api);
    this.batch = config.makeApiClient(library.BatchV1Api);
  }

  /** @throws ConnectError `bad-kubeconfig` */
  static async open(connection: Target["cluster"]): Promise<Cluster> {
    const config = await loadCluster({ namespace: "", service: "", port: 0, ...connection });
    return new Cluster(config, await kubernetesClient());
  }

  /** Address of the API server. */
  get server(): string {
    return this.config.getCurrentCluster()?.server ?? "";
  }

  /**
   * Asks one question; undefined where there is no such object.
   *
   * @param what What is asked, in words that follow "may not": `list the pods of namespace nats`.
   * @param needs What a role must have for it: `list on pods`.
   * @throws ConnectError `cluster-unreachable`, `cluster-login`, `forbidden` or `no-answer`.
   */
  async ask<T>(what: string, needs: string, question: () => Promise<T>): Promise<T | undefined> {
    const { ApiException } = await kubernetesClient();
    const asking = async (): Promise<T | undefined> => {
      try {
        return await question();
      } catch (error) {
        if (!(error instanceof ApiException)) throw unreachable(this.config, error);
        if (error.code === 404) return undefined;
        throw refused(this.config, error.code, { what, needs });
      }
    };
    return this.slowness.watch(`the Kubernetes API to ${what}`, () =>
      within(ANSWER_MILLISECONDS, `the Kubernetes API at ${this.server} to ${what}`, asking),
    );
  }
}
