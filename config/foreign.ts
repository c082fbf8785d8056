/**
 * Keys of a stack's configuration in another namespace than this project's. Providers are declared here with all that they
 * need, so nothing reads such a key: whoever sets one believes that it works.
 */
import { SETTINGS, type SettingKey } from "./schema";
import { PROJECT } from "../contract/project";

/** Keys of the packages that this project uses, and the setting that takes their place. */
const INSTEAD: Readonly<Record<string, SettingKey>> = {
  "kubernetes:context": "kubeContext",
  "kubernetes:kubeconfig": "kubeconfig",
  "gcp:project": "projectId",
  "gcp:region": "region",
  "gcp:zone": "region",
};

/** Namespaces that the engine itself reads. */
const OF_THE_ENGINE = new Set(["pulumi"]);

/** A namespace that is meant to be this project's. */
const MISSPELT = /noetl|nats/i;

const KEYS = Object.keys(SETTINGS) as SettingKey[];

/** A key of another namespace. */
export interface ForeignKey {
  /** `kubernetes:context` */
  readonly key: string;
  /** The setting that does what the key seems to do. */
  readonly instead?: SettingKey;
  /** What the key does, and what to do: one sentence without a dot. */
  readonly text: string;
}

/** What is to be said of a full key (`namespace:name`); undefined where it is one of this project's or the engine's. */
export function foreignKey(key: string): ForeignKey | undefined {
  const [namespace = "", ...rest] = key.split(":");
  if (rest.length === 0 || namespace === PROJECT || OF_THE_ENGINE.has(namespace)) return undefined;
  const name = rest.join(":");
  const isMisspelt = MISSPELT.test(namespace);
  const instead =
    INSTEAD[`${namespace}:${name}`.toLowerCase()] ??
    (isMisspelt ? KEYS.find((each) => each.toLowerCase() === name.toLowerCase()) : undefined);
  if (instead === undefined)
    return { key, text: `has no effect: nothing in this project reads the namespace ${namespace}` };
  return { key, instead, text: `has no effect: the key is ${PROJECT}:${instead} here` };
}

/**
 * Keys that look as if they set something, and other keys without an effect. One that says the same as the right setting
 * misleads nobody: other tools may read it.
 *
 * @param all full key to text
 */
export function foreignKeys(all: Readonly<Record<string, string>>): { problems: string[]; warnings: string[] } {
  const found = Object.keys(all)
    .sort()
    .flatMap((key) => foreignKey(key) ?? [])
    .filter(({ key, instead }) => instead === undefined || all[key] !== all[`${PROJECT}:${instead}`]);
  const problems = found.flatMap(({ key, instead, text }) =>
    instead === undefined
      ? []
      : [
          `${key}: ${text}; for example pulumi config rm ${key} and pulumi config set ${SETTINGS[instead].secret ? "--secret " : ""}${instead}`,
        ],
  );
  return { problems, warnings: found.flatMap((each) => (each.instead ? [] : [`${each.key} ${each.text}`])) };
}
