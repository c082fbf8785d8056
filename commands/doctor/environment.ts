/** Environment of the deployed pods, and the Secrets and ConfigMaps that it comes from. */
import { LOCATIONS } from "../../contract/facts";
import { expand } from "../../contract/kubernetes/expand";
import { secretBytes, secretTexts } from "../../contract/kubernetes/objects";
import { USERS_FILE, usersIn } from "../../contract/nats/users";
import { knownSecrets } from "../../contract/mask";
import { answer, type Cluster } from "./kubernetes";
import type { Answer, VariableFacts } from "./evidence";

/** Whose environment is read, and how it is checked and shown. */
interface Wanted {
  readonly namespace: string;
  readonly deployment: string;
  /** What the stack gives, by variable. Default: nothing is compared. */
  readonly expected?: Readonly<Record<string, string | undefined>>;
  /** The image that the stack gives it. Default: it is not compared. */
  readonly image?: string;
  /** Hides what is secret in a text. Default: nothing is hidden. */
  readonly mask?: (text: string) => string;
}

/** What the pods of a Deployment get as environment, with every value that a Secret holds masked. */
export async function readEnvironment(
  cluster: Cluster,
  { namespace, deployment, expected = {}, image, mask = (text) => text }: Wanted,
): Promise<readonly VariableFacts[] | undefined> {
  const found = await cluster.read("deployments", { namespace, name: deployment });
  const container = found?.spec?.template.spec?.containers[0];
  if (!container) return undefined;
  const maps = new Map<string, Promise<Answer<Record<string, string> | undefined>>>();
  const dataOf = (kind: Kind, name: string) => {
    const key = `${kind} ${name}`;
    const reading = maps.get(key) ?? answer(() => readData(cluster, { kind, namespace, name }));
    maps.set(key, reading);
    return reading;
  };
  const variables = new Map<string, VariableFacts>();
  /** Not masked: to be compared and referred to. */
  const values: Record<string, string> = {};
  /** Of these what no Secret holds. */
  const plain: Record<string, string> = {};
  const put = (name: string, value: string | undefined, { kind, text }: Source): void => {
    const secret = kind === "Secret";
    delete plain[name];
    if (value !== undefined) values[name] = value;
    if (value !== undefined && !secret) plain[name] = value;
    const shown = value === undefined ? undefined : showVariable(value, secret, mask);
    const should = expected[name];
    variables.set(name, {
      name,
      source: text,
      value: shown,
      asDeployed: value === undefined || should === undefined ? undefined : value === should,
      looksAlike:
        value !== should && should !== undefined && shown === showVariable(should, secret, mask) ? true : undefined,
    });
  };
  for (const { prefix = "", configMapRef, secretRef } of container.envFrom ?? []) {
    const [kind, ref] = secretRef ? (["Secret", secretRef] as const) : (["ConfigMap", configMapRef] as const);
    const data = await dataOf(kind, ref?.name ?? "");
    if (!data.ok) continue;
    for (const [key, value] of Object.entries(data.value ?? {})) {
      put(`${prefix}${key}`, value, { kind, text: `${kind} ${ref?.name}, key ${key}` });
    }
  }
  for (const { name, value, valueFrom } of container.env ?? []) {
    const [kind, ref] = valueFrom?.secretKeyRef
      ? (["Secret", valueFrom.secretKeyRef] as const)
      : (["ConfigMap", valueFrom?.configMapKeyRef] as const);
    if (ref) {
      const data = await dataOf(kind, ref.name ?? "");
      const held = data.ok ? data.value?.[ref.key] : undefined;
      put(name, held, { kind, text: `${kind} ${ref.name}, key ${ref.key}` });
    } else if (!valueFrom) {
      const text = expand(value ?? "", values);
      // What it takes of a Secret is no less secret.
      put(name, text, { kind: text === expand(value ?? "", plain) ? undefined : "Secret", text: "literal" });
    }
  }
  const { image: value = "" } = container;
  if (image !== undefined && !isSameImage(value, image)) {
    variables.set("image", { name: "image", source: "literal", value: mask(value), asDeployed: false });
  }
  return [...variables.values()];
}

/** Whether both name one image: a cluster may take it from a mirror of its own, and put the digest behind a tag. */
function isSameImage(one: string, other: string): boolean {
  const parts = (image: string) => /^(?:.*\/)?([^/@]*)(?:@(.*))?$/.exec(image) ?? [];
  const [, name, digest] = parts(one);
  const [, otherName, otherDigest] = parts(other);
  return name === otherName && (digest === undefined || otherDigest === undefined || digest === otherDigest);
}

type Kind = "ConfigMap" | "Secret";

/** Where a value stands, and that in words. */
interface Source {
  readonly kind?: Kind;
  readonly text: string;
}

/** A Secret's value is shown only as far as it is a URL, whose password the mask hides. */
function showVariable(value: string, secret: boolean, mask: (text: string) => string): string {
  return secret && !/^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? "***" : mask(value);
}

async function readData(
  cluster: Cluster,
  { kind, namespace, name }: { kind: Kind; namespace: string; name: string },
): Promise<Record<string, string> | undefined> {
  if (kind === "ConfigMap") return (await cluster.read("configmaps", { namespace, name }))?.data;
  const found = await cluster.read("secrets", { namespace, name });
  return found && secretTexts(found.data);
}

/**
 * The password that the NATS pods are deployed with: the one in the file of users that they mount, or in the Secret that their
 * environment names, as older versions of this project have it. Undefined where NATS was not installed by this program, or the
 * Secret may not be read.
 */
export async function deployedPassword(cluster: Cluster, namespace: string, user: string): Promise<string | undefined> {
  const found = await answer(async () => {
    const set = await cluster.read("statefulsets", { namespace, name: LOCATIONS.nats.service });
    const pod = set?.spec?.template.spec;
    const mounted = pod?.volumes?.flatMap(({ secret }) => secret?.secretName ?? []) ?? [];
    for (const secret of mounted) {
      const text = (await readData(cluster, { kind: "Secret", namespace, name: secret }))?.[USERS_FILE];
      const login = text === undefined ? undefined : usersIn(text)?.find((each) => each.user === user);
      if (login) return login.password;
    }
    const named = pod?.containers
      .flatMap(({ env = [] }) => env)
      .map(({ valueFrom }) => valueFrom?.secretKeyRef)
      .find((ref) => ref?.key === `${user}.conf`)?.name;
    if (named === undefined) return undefined;
    return (await readData(cluster, { kind: "Secret", namespace, name: named }))?.[user];
  });
  return found.ok ? found.value : undefined;
}

/** Of a URL its password: who logs in where may be shown. */
const secretPart = (value: string): string =>
  /^[a-z][a-z0-9+.-]*:\/\/[^\s/:@]*:([^\s@]+)@[^\s@]*$/i.exec(value)?.[1] ?? value;

/**
 * What the Secrets of the namespaces hold that must not be shown: passwords that the stack generates too, which neither its
 * configuration nor its outputs have. Without the permission to list Secrets it is empty.
 */
export async function deployedSecrets(cluster: Cluster, namespaces: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    [...new Set(namespaces)].map((namespace) =>
      answer(async () => {
        // Helm's own are large, and say what the cluster has anyway.
        const secrets = await cluster.list("secrets", namespace, { fieldSelector: "type!=helm.sh/release.v1" });
        return secrets.flatMap(({ data }) => {
          const content = secretTexts(data);
          const logins = usersIn(content[USERS_FILE] ?? "") ?? [];
          return [
            ...knownSecrets(content).map(secretPart),
            ...secretBytes(data),
            ...logins.map(({ password }) => password),
          ];
        });
      }),
    ),
  );
  return found.flatMap((each) => (each.ok ? each.value : []));
}
