import * as fs from "node:fs";
import * as path from "node:path";
import type { CoreV1Api, V1PersistentVolume, V1PersistentVolumeClaim } from "@kubernetes/client-node";

/** The provisioner that the default StorageClass names. */
export const PROVISIONER = "noetl-nats.embedded/folder";

/**
 * Provisions volumes as a cluster's storage driver does: a folder for each claim, which goes when the claim goes.
 *
 * The controller manager has a provisioner of the kind too, but leaves its folders in /tmp when a cluster is thrown away.
 */
export class Volumes {
  constructor(
    private readonly core: CoreV1Api,
    private readonly folder: string,
  ) {}

  async reconcile(claims: readonly V1PersistentVolumeClaim[], volumes: readonly V1PersistentVolume[]): Promise<void> {
    const names = new Set(volumes.map(({ metadata }) => metadata?.name));
    await Promise.all([
      ...claims.filter((claim) => isOurs(claim) && !names.has(nameFor(claim))).map((claim) => this.provision(claim)),
      ...volumes.filter(isReleased).map((volume) => this.remove(volume)),
    ]);
  }

  private async provision(claim: V1PersistentVolumeClaim): Promise<void> {
    const { name, namespace, uid } = claim.metadata ?? {};
    const place = path.join(this.folder, uid ?? "");
    fs.mkdirSync(place, { recursive: true, mode: 0o700 });
    // What is above the volumes may be passed through, not listed.
    fs.chmodSync(this.folder, 0o711);
    await this.core.createPersistentVolume({
      body: {
        metadata: { name: nameFor(claim), annotations: { "pv.kubernetes.io/provisioned-by": PROVISIONER } },
        spec: {
          capacity: { storage: claim.spec?.resources?.requests?.storage ?? "1Gi" },
          accessModes: claim.spec?.accessModes ? claim.spec.accessModes : undefined,
          storageClassName: claim.spec?.storageClassName ? claim.spec.storageClassName : undefined,
          persistentVolumeReclaimPolicy: "Delete",
          claimRef: {
            apiVersion: "v1",
            kind: "PersistentVolumeClaim",
            name: name ?? "",
            namespace: namespace ?? "",
            uid: uid ?? "",
          },
          hostPath: { path: place },
        },
      },
    });
  }

  private async remove(volume: V1PersistentVolume): Promise<void> {
    const place = volume.spec?.hostPath?.path;
    if (place && path.dirname(place) === this.folder) fs.rmSync(place, { recursive: true, force: true });
    await this.core.deletePersistentVolume({ name: volume.metadata?.name ?? "" });
  }
}

/** Folder of the volume that a claim is bound to; undefined where it is bound to none of ours. */
export function folderOf(claim: V1PersistentVolumeClaim, volumes: readonly V1PersistentVolume[]): string | undefined {
  return volumes.find(({ metadata }) => metadata?.name === claim.spec?.volumeName)?.spec?.hostPath?.path;
}

const nameFor = (claim: V1PersistentVolumeClaim): string => `pvc-${claim.metadata?.uid}`;

/** The controller manager marks a claim that waits for an external provisioner with its name. */
const isOurs = (claim: V1PersistentVolumeClaim): boolean =>
  !claim.spec?.volumeName &&
  !claim.metadata?.deletionTimestamp &&
  claim.metadata?.annotations?.["volume.kubernetes.io/storage-provisioner"] === PROVISIONER;

const isReleased = (volume: V1PersistentVolume): boolean =>
  volume.status?.phase === "Released" &&
  !volume.metadata?.deletionTimestamp &&
  volume.metadata?.annotations?.["pv.kubernetes.io/provisioned-by"] === PROVISIONER;
