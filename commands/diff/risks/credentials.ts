/** Credentials that change, that everybody can read, or that nobody is asked for. */
import { isCredential } from "../../../contract/mask";
import { SHOWN } from "../../../contract/mask/placeholders";
import type { Scalar } from "../compare";
import { rollsCluster } from "./availability";
import {
  at,
  danger,
  type Facts,
  type Finding,
  kindOf,
  nameOfPath,
  objectName,
  resourceName,
  typeOf,
  warning,
  type RiskRule,
} from "./facts";

/** Credentials that change without a client that is refused, where what changes them is there already. */
interface Move {
  /** Settings and resources that the credential follows from. */
  readonly sources: RegExp;
  /** The resource that changes with it. */
  readonly by: RegExp;
  readonly text: string;
}

const MOVES: readonly Move[] = [
  {
    sources: /(^|\s)(natsUser|natsPassword|natsPasswordRevision|nats-password)$/,
    by: /^NatsUsers /,
    text:
      "NoETL's login at NATS changes: a new user is let in beside the old one, which is refused once everything has moved; " +
      "NATS does not restart and keeps what waits. Whoever else logs in needs the outputs natsUser and natsPassword then",
  },
  {
    sources: /(^|\s)(noetlPassword|noetlPasswordRevision|(postgres-noetl|noetl-database)-password)$/,
    by: /^DatabaseLogin (postgres-noetl|noetl-database)-login$/,
    text:
      "NoETL's login at its database changes: a new one is let in beside the old one, which is refused once NoETL has moved; " +
      "Postgres does not restart. Whoever else logs in needs the output databaseUser and the new password then",
  },
  {
    sources: /(^|\s)(postgresPassword|postgresPasswordRevision|postgres-admin-password)$/,
    by: /^DatabaseLogin postgres-admin-login$/,
    text:
      "the password of Postgres' administrator changes in the database, too; neither Postgres nor NoETL restarts for it. Whoever " +
      "else logs in as the administrator is refused with the old one",
  },
];

/** Settings that a credential follows from. */
const isSource = (key: string): boolean => MOVES.some(({ sources }) => sources.test(key));

/** Where credentials change, and what they come from. */
function credentialChanges({ resources, objects, settings }: Facts) {
  const settingNames = settings
    .filter(({ key, old, new: now }) => old === SHOWN.secret || now === SHOWN.secret || isSource(key))
    .map(({ key }) => key);
  const drawn = resources
    .filter((delta) => typeOf(delta).endsWith(":RandomPassword") && delta.op !== "create" && delta.op !== "delete")
    .map(resourceName);
  const secrets = objects
    .filter(({ old, new: now, changes }) => old?.kind === "Secret" && now && changes.some((c) => at(c, "data")))
    .map(objectName);
  const pods = objects.filter(({ restarts }) => restarts).map(objectName);
  return { secrets, pods, sources: [...settingNames, ...drawn] };
}

/** What preview and update refuse while anything waits there. */
const PARTED = "A cluster that runs loses what only memory holds, and `pulumi up` refuses that (docs/tls.md).";

/** A change of natsTls. */
function natsTls(old: Scalar = "off", now: Scalar = "off", objects: Facts["objects"]): Finding[] {
  if (now === "off") {
    return [danger("natsTls", `passwords, commands and results cross the cluster's network in clear again. ${PARTED}`)];
  }
  if (old !== "off") return anotherSecret("natsTls", objects);
  const whoever =
    "NATS restarts, and from then on demands TLS of whoever else connects, who has to trust the output natsCa.";
  return [warning("natsTls", `${whoever} ${PARTED}`)];
}

/** Where the Secret is the same as before, nothing restarts. */
const anotherSecret = (setting: string, objects: Facts["objects"]): Finding[] =>
  rollsCluster(objects)
    ? [warning(setting, `NATS' servers restart one by one with the certificate of another Secret. ${PARTED}`)]
    : [];

export const CREDENTIAL_RULES: readonly RiskRule[] = [
  {
    id: "credential-rotation",
    warns: "a changed credential",
    find: (facts) => {
      const { secrets, pods, sources } = credentialChanges(facts);
      const where = [
        ...(secrets.length > 0 ? [`changed Secrets: ${secrets.join(", ")}`] : []),
        pods.length > 0 ? `pods that restart: ${pods.join(", ")}` : "no pod restarts by itself",
      ].join("; ");
      if (sources.length === 0 && secrets.length === 0) return [];
      const updated = facts.resources.filter(({ op }) => op === "update").map(resourceName);
      const moving = MOVES.filter(({ by }) => updated.some((each) => by.test(each))).flatMap(
        ({ sources: from, text }) => {
          const theirs = sources.filter((each) => from.test(each));
          return theirs.length === 0 ? [] : [{ theirs, text }];
        },
      );
      const others = sources.filter((each) => !moving.some(({ theirs }) => theirs.includes(each)));
      return [
        ...moving.map(({ theirs, text }) => warning(theirs.join(", "), `${text} (${where}).`)),
        ...(moving.length > 0 && others.length === 0
          ? []
          : [
              warning(
                others.join(", ") || "Secrets",
                `credentials change: clients with the old ones are refused until they restart (${where}).`,
              ),
            ]),
      ];
    },
  },
  {
    id: "plain-credential",
    warns:
      "a credential in plain text in a ConfigMap or a container's environment, a known one wherever it stands outside a Secret",
    find: ({ objects, masker }) =>
      objects
        .filter((delta) => kindOf(delta) !== "Secret")
        .flatMap((delta) =>
          delta.changes
            .filter(({ op, path, new: value }) => {
              if (op === "remove" || (typeof value !== "string" && typeof value !== "number")) return false;
              const text = String(value);
              const inUrl = /:\/\/[^\s/:@]*:[^\s/@$]+@/.test(text);
              const named = isCredential(nameOfPath(path), text);
              const isData = path[0] === "data" || path.some((step) => step === "env" || step === "args");
              // A known secret is one wherever it stands, whatever a chart has made of it.
              return (isData && (named || inUrl)) || masker.holdsSecret(text);
            })
            .map(({ path }) =>
              danger(
                objectName(delta),
                `${nameOfPath(path)} holds a credential in plain text: everybody who may read the object can read it; move it to a Secret.`,
              ),
            ),
        ),
  },
  {
    id: "accepted-risk",
    warns: "a risk that the stack takes knowingly from now on (acceptedRisks)",
    find: ({ settings }) =>
      settings
        .filter(({ key, new: now }) => key === "acceptedRisks" && now !== undefined)
        .map(({ old, new: now }) =>
          danger(
            "acceptedRisks",
            `what is refused otherwise is taken knowingly: ${old ?? "nothing"} before, ${now} now.`,
          ),
        ),
  },
  {
    id: "login-shared",
    warns: "server, workers and gateway that log in to NATS as one again (natsUsers)",
    find: ({ settings }) =>
      settings
        .filter(({ key, old, new: now }) => key === "natsUsers" && old === "each" && now !== "each")
        .map(() =>
          danger(
            "natsUsers",
            "server, workers and gateway log in to NATS as natsUser again, which may do everything: whoever has the environment of one can " +
              "forge commands, read sessions and delete streams.",
          ),
        ),
  },
  {
    id: "nats-tls",
    warns:
      "a NATS whose clients speak TLS no more, or from now on (natsTls), and a cluster whose servers get the certificate of another Secret",
    find: ({ settings, objects }) =>
      settings.flatMap(({ key, old, new: now }) => {
        if (key === "natsTls") return natsTls(old, now, objects);
        // Where it comes or goes, natsTls does, too.
        return key === "natsTlsSecret" && old !== undefined && now !== undefined ? anotherSecret(key, objects) : [];
      }),
  },
  {
    id: "authentication-off",
    warns: "a gateway without authentication",
    find: ({ objects }) =>
      objects.flatMap((delta) =>
        delta.changes
          .filter(
            ({ path, op, new: now }) =>
              op !== "remove" && nameOfPath(path) === "GATEWAY_AUTH_BYPASS" && String(now) === "true",
          )
          .map(() =>
            danger(
              objectName(delta),
              "GATEWAY_AUTH_BYPASS is true: everybody who reaches the gateway may do everything.",
            ),
          ),
      ),
  },
];
