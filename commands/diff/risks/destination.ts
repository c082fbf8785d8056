/** A change that sends a part of the installation elsewhere: what it holds does not move along. */
import type { RawChange } from "../compare";
import { danger, lastKey, resourceName, typeOf, type Finding, type ResourceDelta, type RiskRule } from "./facts";

const OWN_STACK = "For another cluster use a stack of its own.";

/** Settings that say where data is, and what stays behind when they change. */
const PLACES_OF_DATA: readonly { keys: readonly string[]; text: string }[] = [
  {
    keys: ["natsHost", "natsPort"],
    text:
      "NoETL goes to another NATS server: stream, consumer and buckets are made new there. What waits, results and sessions stay on " +
      "the old one, where no worker takes them: let the workers finish first.",
  },
  {
    keys: ["postgresHost", "postgresPort", "noetlDatabase", "cloudSqlInstance"],
    text:
      "NoETL goes to another database: executions, credentials and playbooks stay in the old one. Where the new one does not hold them " +
      "already, dump and restore them first (pg_dump, pg_restore).",
  },
  {
    keys: ["projectId", "region", "clusterName"],
    text:
      "the stack goes to another cluster: everything is made new there, and nothing that the old one holds moves along; what the stack " +
      `itself created is deleted. ${OWN_STACK}`,
  },
];

export const DESTINATION_RULES: readonly RiskRule[] = [
  {
    id: "another-cluster",
    warns: "another kubeconfig, or another context of it",
    find: ({ resources }) => resources.flatMap(anotherCluster),
  },
  {
    id: "another-place",
    warns: "a server, database, project or cluster elsewhere, to which nothing moves along",
    find: ({ settings }) =>
      PLACES_OF_DATA.flatMap(({ keys, text }) => {
        const changed = settings.filter(({ key }) => keys.includes(key));
        const shown = changed.map(
          ({ key, old, new: now }) => `${key} from ${String(old ?? "unset")} to ${String(now ?? "unset")}`,
        );
        return changed.length > 0
          ? [danger(changed.map(({ key }) => key).join(", "), `${shown.join(", ")}: ${text}`)]
          : [];
      }),
  },
];

/** Where the engine keeps what it created: in its state, which says nothing about the cluster that it asks next. */
function anotherCluster(delta: ResourceDelta): Finding[] {
  if (typeOf(delta) !== "pulumi:providers:kubernetes" || !delta.old || !delta.new) return [];
  const changes = delta.changes.filter(({ path }) => /^(context|kubeconfig|cluster)$/.test(lastKey(path)));
  if (changes.length === 0) return [];
  const what = changes.map(shown).join(", ");
  // The provider compares the clusters that the two name, which it can only where it is given a kubeconfig.
  const compared = delta.old.inputs.kubeconfig !== undefined || delta.new.inputs.kubeconfig !== undefined;
  return [
    danger(
      resourceName(delta),
      `${what}: the stack goes to another cluster unless both names lead to one. Nothing moves along: streams, databases and what waits stay ` +
        "in the old one. " +
        (compared
          ? "Everything is made new there, and deleted in the old one where that still answers. "
          : "Pulumi goes on taking what it knows for what is there, so the new one stays empty until pulumi up --refresh makes everything new there. ") +
        OWN_STACK,
    ),
  ];
}

/** A path or a name is shown, the contents of a kubeconfig are not. */
function shown({ path, old, new: now }: RawChange): string {
  const text = (value: unknown) => (typeof value === "string" ? value : "unset");
  const isShort = [old, now].every(
    (value) => value === undefined || (typeof value === "string" && /^[^\n{]{0,200}$/.test(value)),
  );
  return isShort ? `${lastKey(path)} from ${text(old)} to ${text(now)}` : `another ${lastKey(path)}`;
}
