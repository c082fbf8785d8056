import type { V1Container, V1Pod } from "@kubernetes/client-node";
import type { DatabaseTools } from "../../toolchain/database";
import type { NoetlPackages } from "../../toolchain/noetl";
import type { Sources } from "../sources";

/** Where a container whose file system is read-only writes to; undefined of every other one. */
export async function writable({ container, mounts }: Situation): Promise<string[] | undefined> {
  if (container.securityContext?.readOnlyRootFilesystem !== true) return undefined;
  const place = await mounts();
  return (container.volumeMounts ?? []).flatMap(({ mountPath, readOnly }) =>
    readOnly ? [] : (place(mountPath) ?? []),
  );
}

/** What a program is made from. */
export interface Situation {
  readonly pod: V1Pod;
  readonly container: V1Container;
  readonly sources: Sources;
  /** Folder of the pod, as long-lived as it. */
  readonly folder: string;
  /** Folder of the cluster. */
  readonly dir: string;
  readonly tools: ProgramTools;
  /** Port of 127.0.0.1 that stands for a port of this pod, or of another pod of its namespace. */
  readonly port: (port: number, pod?: string) => Promise<number>;
  /** Where a path of the container is found on this machine; undefined where nothing of it is there. */
  readonly mounts: () => Promise<(inContainer: string) => string | undefined>;
  /** Local port behind an in-cluster address: 0 where nothing is ready, undefined where there is no such Service. */
  readonly lookUp: (host: string, port: number) => number | undefined;
}

/** Programs on this machine. */
export interface ProgramTools {
  readonly natsServer: string;
  readonly database: DatabaseTools;
  /** NoETL itself, for pods whose image's tag names this release; without it, and for other images, the stand-in runs. */
  readonly noetl?: NoetlPackages;
  /** The gateway's program, for pods whose image's tag names its release; without it, the stand-in runs. */
  readonly gateway?: string;
}
