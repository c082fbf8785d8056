import {
  type KubeConfig,
  type KubernetesListObject,
  type KubernetesObject,
  makeInformer,
} from "@kubernetes/client-node";

const RETRY_MS = 500;

/** All objects of a kind, kept up to date by watching the API server. */
export interface Watched<T> {
  list(): T[];
  stop(): Promise<void>;
}

export interface WatchOptions<T extends KubernetesObject> {
  /** Of the kind at the API server. */
  readonly path: string;
  readonly list: () => Promise<KubernetesListObject<T>>;
  readonly onError: (error: unknown) => void;
}

/** Watches until stopped; a broken watch begins again. Resolves with the first list. */
export async function watch<T extends KubernetesObject>(
  kubeconfig: KubeConfig,
  { path, list, onError }: WatchOptions<T>,
): Promise<Watched<T>> {
  const informer = makeInformer(kubeconfig, path, list);
  let stopped = false;
  informer.on("error", (error: unknown) => {
    if (stopped) return;
    onError(error);
    setTimeout(() => void (stopped || informer.start().catch(onError)), RETRY_MS);
  });
  await informer.start();
  return {
    list: () => [...informer.list()],
    stop: () => {
      stopped = true;
      return informer.stop();
    },
  };
}
