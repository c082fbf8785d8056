/** What stops, moves or cannot be drained. */
import { LOCATIONS } from "../../../contract/facts";
import { GUARD_VARIABLES } from "../../../contract/guard/settings";
import { keysOf, nameOf } from "../path";
import { namespaceOf, type KubeObject } from "../objects";
import type { ContractInputs } from "../../../contract/inputs";
import { kindOf, notice, objectName, warning, type Finding, type ObjectDelta, type RiskRule } from "./facts";

export const AVAILABILITY_RULES: readonly RiskRule[] = [
  {
    id: "service-type",
    warns: "a Service of another type, which may lose its address",
    find: ({ objects, masker }) =>
      objects.flatMap((delta) =>
        delta.op === "create" || delta.op === "delete" || kindOf(delta) !== "Service"
          ? []
          : delta.changes
              .filter(({ path }) => keysOf(path).join(".") === "spec.type")
              .map(({ old, new: now }) =>
                warning(
                  objectName(delta),
                  `goes from ${masker.scalar(old ?? "ClusterIP", "type")} to ${masker.scalar(now ?? "ClusterIP", "type")}: its external address or node ports change.`,
                ),
              ),
      ),
  },
  {
    id: "scaled-to-zero",
    warns: "a workload with no pods left",
    find: ({ objects }) =>
      objects.flatMap((delta) =>
        delta.op === "delete"
          ? []
          : delta.changes
              .filter(({ path, new: now }) => keysOf(path).join(".") === "spec.replicas" && now === 0)
              .map(() => warning(objectName(delta), "is scaled to zero: nothing of it runs.")),
      ),
  },
  {
    id: "nats-restart",
    warns:
      "NATS servers that restart and lose what they hold in memory, and a lone server that becomes a cluster or back",
    find: ({ objects, oldContract }) =>
      objects.filter(isNatsServers).flatMap((delta) => natsRestart(delta, oldContract)),
  },
  {
    id: "contract-guard",
    warns: "a contract guard that goes, or only watches from now on",
    find: ({ objects }) =>
      objects.filter(isGuard).flatMap((delta) => {
        if (delta.op === "delete")
          return [
            warning(
              objectName(delta),
              "goes: between two updates nobody notices a stream, a consumer or a bucket that NATS lost, and nobody makes them again. " +
                "A restart of NATS is an outage until the next `pulumi up`.",
            ),
          ];
        return delta.changes
          .filter(({ path, new: now }) => nameOf(path) === GUARD_VARIABLES.mode && now === "watch")
          .map(() =>
            warning(
              objectName(delta),
              "only reports from now on: a stream that NATS lost is missing until somebody runs `pulumi up`.",
            ),
          );
      }),
  },
  {
    id: "unguarded-rolls",
    warns: "NATS servers that may restart while a stream lacks a leader or a copy, or drop what a lone server holds",
    find: ({ settings }) =>
      settings
        .filter(({ key, new: now }) => key === "natsGuardRolls" && String(now) === "false")
        .map(() =>
          warning(
            "natsGuardRolls",
            "is false: `pulumi up` restarts NATS servers whatever it costs the streams. Set it back after that update " +
              "(docs/availability.md).",
          ),
        ),
  },
  {
    id: "disruption-budget",
    warns: "a PodDisruptionBudget that lets no pod go, so that nodes cannot be drained",
    find: ({ objects, newObjects }) =>
      objects
        .filter((delta) => kindOf(delta) === "PodDisruptionBudget" && delta.new)
        .filter(({ new: budget }) => blocksDrains(budget, newObjects))
        .map((delta) =>
          warning(objectName(delta), "lets no pod go: draining a node, and every node upgrade, waits for it in vain."),
        ),
  },
];

const isGuard = (delta: ObjectDelta): boolean =>
  kindOf(delta) === "Deployment" && (delta.new ?? delta.old)?.metadata?.name === LOCATIONS.guard.deployment;

const isNatsServers = (delta: ObjectDelta): boolean =>
  kindOf(delta) === "StatefulSet" && delta.new?.metadata?.name === LOCATIONS.nats.service;

const replicasOf = (object: KubeObject | undefined): number =>
  Number((object?.spec as { replicas?: number } | undefined)?.replicas ?? 1);

/** How many NATS servers there were and will be, where they restart. */
const restarting = (objects: readonly ObjectDelta[]): [before: number, after: number][] =>
  objects
    .filter((delta) => isNatsServers(delta) && delta.op === "update" && delta.restarts)
    .map(({ old, new: now }) => [replicasOf(old), replicasOf(now)]);

/** True where the one server there is restarts: what it holds in memory is gone. */
export const losesMemory = (objects: readonly ObjectDelta[]): boolean =>
  restarting(objects).some((servers) => Math.max(...servers) === 1);

/** True where the servers of a cluster restart one by one. */
export const rollsCluster = (objects: readonly ObjectDelta[]): boolean =>
  restarting(objects).some((servers) => Math.min(...servers) > 1);

/** Measured with nats-server 2.15: a server that joins a cluster drops the streams that it kept alone, on disk too. */
function natsRestart(delta: ObjectDelta, contract: ContractInputs | undefined): Finding[] {
  const [before, after] = [replicasOf(delta.old), replicasOf(delta.new)];
  const subject = objectName(delta);
  if (delta.op === "update" && before !== after && Math.min(before, after) === 1)
    return [
      warning(
        subject,
        before === 1
          ? "a lone server becomes a cluster, which does not take over its streams: commands, results, sessions and every other bucket start empty. `pulumi up` refuses it while streams hold messages (docs/availability.md). It costs " +
              `${after - 1} servers more.`
          : "a cluster becomes a lone server: what only the other servers held is gone; back up first what must stay (nats account backup).",
      ),
    ];
  if (delta.op === "update" && after < before)
    return [
      warning(
        subject,
        `goes from ${before} servers to ${after}: those that go stay members of the cluster and of every stream that has a copy on them, which ` +
          "then bears one loss less, or none. Move the copies away before (nats stream cluster peer-remove), and afterwards take the servers out " +
          "(nats server cluster peer-remove).",
      ),
    ];
  if (losesMemory([delta]) && contract?.expect.storage === "memory")
    return [
      warning(
        subject,
        `its server restarts, and what waits in stream ${contract.stream} is lost, because it is held in memory: let the workers finish ` +
          "first. NoETL answers no execution until the server is back and its own pods have restarted.",
      ),
    ];
  return delta.restarts
    ? [notice(subject, "its servers restart: what waits in a stream that is held in memory without replicas is lost.")]
    : [];
}

function blocksDrains(budget: KubeObject | undefined, objects: readonly KubeObject[]): boolean {
  const spec = (budget?.spec ?? {}) as {
    minAvailable?: number | string;
    maxUnavailable?: number | string;
    selector?: { matchLabels?: Record<string, string> };
  };
  if (spec.maxUnavailable !== undefined) return /^0%?$/.test(String(spec.maxUnavailable));
  if (spec.minAvailable === "100%") return true;
  if (typeof spec.minAvailable !== "number") return false;
  const labels = Object.entries(spec.selector?.matchLabels ?? {});
  const guarded = objects.find((object) => {
    const workload = object.spec as
      { replicas?: number; template?: { metadata?: { labels?: Record<string, string> } } } | undefined;
    return (
      (object.kind === "StatefulSet" || object.kind === "Deployment") &&
      namespaceOf(object) === (budget && namespaceOf(budget)) &&
      labels.length > 0 &&
      labels.every(([key, value]) => workload?.template?.metadata?.labels?.[key] === value)
    );
  });
  if (!guarded) return false;
  const { replicas = 1 } = guarded.spec as { replicas?: number };
  return spec.minAvailable >= replicas;
}
