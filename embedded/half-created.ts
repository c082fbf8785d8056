/**
 * What an engine was creating when it was killed. It may be there or not, and the state does not hold it: the next update would create it
 * once more and be refused for good, `already exists`, since the engine clears such operations only where it can ask somebody.
 */
import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import type { Stack } from "@pulumi/pulumi/automation";
import type { KubernetesObject } from "@kubernetes/client-node";
import { PROJECT } from "../contract/project";
import { embeddedPaths } from "./home";

interface Operation {
  readonly type: string;
  readonly resource: {
    readonly urn: string;
    readonly type: string;
    readonly inputs?: { readonly name?: string; readonly namespace?: string; readonly kind?: string } & Pick<
      KubernetesObject,
      "apiVersion" | "metadata"
    >;
  };
}

interface Deployment {
  pending_operations?: Operation[];
}

const RELEASE = "kubernetes:helm.sh/v3:Release";
const DELETED_AFTER_MS = 120_000;

/** What is in the way of being created once more, as the state in `dir` has it. */
export function halfCreated(dir: string, stack: string): Operation[] {
  const file = path.join(embeddedPaths(dir).state, ".pulumi", "stacks", PROJECT, `${stack}.json`);
  if (!fs.existsSync(file)) return [];
  const { checkpoint } = JSON.parse(fs.readFileSync(file, "utf8")) as { checkpoint?: { latest?: Deployment } };
  return (checkpoint?.latest?.pending_operations ?? []).filter(({ type }) => type === "creating");
}

/** Removes from the cluster what a killed engine was creating, and the operations from the state. */
export async function removeHalfCreated(
  stack: Stack,
  { dir, kubeconfig, helm, say }: { dir: string; kubeconfig: string; helm: string; say: (line: string) => void },
): Promise<void> {
  const operations = halfCreated(dir, stack.name);
  if (operations.length === 0) return;
  const names = operations.map(({ resource }) => resource.urn.split("::").at(-1));
  say(
    `An update was killed while it created ${names.join(", ")}: what there is of them is removed, and created again.`,
  );
  for (const { resource } of operations) {
    const { inputs = {}, type } = resource;
    if (type === RELEASE) await uninstall(helm, kubeconfig, inputs);
    else if (inputs.kind !== undefined && inputs.apiVersion !== undefined) await deleteObject(kubeconfig, inputs);
  }
  const exported = await stack.exportStack();
  const { pending_operations: pending = [], ...deployment } = exported.deployment as Deployment;
  const kept = pending.filter(({ type }) => type !== "creating");
  await stack.importStack({ ...exported, deployment: { ...deployment, pending_operations: kept } });
}

async function uninstall(
  helm: string,
  kubeconfig: string,
  { name, namespace }: { readonly name?: string; readonly namespace?: string },
): Promise<void> {
  if (name === undefined || namespace === undefined) return;
  const args = [
    "uninstall",
    name,
    "--namespace",
    namespace,
    "--kubeconfig",
    kubeconfig,
    "--ignore-not-found",
    "--wait",
  ];
  await promisify(execFile)(helm, args, { timeout: DELETED_AFTER_MS });
}

/** Deletes an object and waits until it is gone: what takes its name before is not created. */
async function deleteObject(file: string, { apiVersion, kind, metadata }: KubernetesObject): Promise<void> {
  const { ApiException, KubeConfig, KubernetesObjectApi } = await import("@kubernetes/client-node");
  const kubeconfig = new KubeConfig();
  kubeconfig.loadFromFile(file);
  const api = KubernetesObjectApi.makeApiClient(kubeconfig);
  const { name = "", namespace } = metadata ?? {};
  const object = { apiVersion, kind, metadata: { name, ...(namespace === undefined ? {} : { namespace }) } };
  const isGone = (error: unknown): boolean => error instanceof ApiException && error.code === 404;
  const deadline = Date.now() + DELETED_AFTER_MS;
  while (Date.now() < deadline) {
    try {
      await api.delete(object, undefined, undefined, undefined, undefined, "Background");
    } catch (error) {
      if (isGone(error)) return;
      throw error;
    }
    await sleep(200);
  }
  throw new Error(`${kind} ${name}, which an update was creating when it was killed, cannot be deleted`);
}
