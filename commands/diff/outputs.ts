/** What the engine and the plugins would fill in, as far as programs commonly read it before a deployment. */
import { RELEASE } from "../../contract/project";
import { kubernetesKind, immutablePaths } from "./replacement";
import type { Placeholders } from "../../contract/mask/placeholders";

type Inputs = Record<string, unknown>;

/** Key of the objects that the engine wraps secrets in. */
export const SECRET_SIGNATURE = "4dabf18193072939515e22adb298388d";

/** Takes the engine's wrapping of secrets off, at any depth. */
export function unwrapSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unwrapSecrets);
  if (value === null || typeof value !== "object") return value;
  if (SECRET_SIGNATURE in value && "value" in value) return unwrapSecrets(value.value);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, unwrapSecrets(inner)]));
}

const record = (value: unknown): Inputs => (value !== null && typeof value === "object" ? (value as Inputs) : {});

/** A resource as the program declares it. */
interface Resource {
  readonly type: string;
  readonly name: string;
  readonly inputs: Inputs;
}

/**
 * The state of a resource before its deployment: its inputs, and stand-ins for what is made up while deploying.
 * Anything else is left out, which a preview takes for "known after deployment".
 */
export function stateOf(wrapped: Resource, placeholders: Placeholders): Inputs {
  const { type, name } = wrapped;
  const inputs = unwrapSecrets(wrapped.inputs) as Inputs;
  if (type.startsWith("random:")) return { ...inputs, ...randomOutputs({ type, name, inputs }, placeholders) };
  if (type === RELEASE) {
    // Every upgrade raises the revision, so whatever hangs on it runs again exactly when the release changes.
    const revision = placeholders.number("generated", "revision", name, inputs);
    return { ...inputs, status: { revision, status: "deployed", name: inputs.name, namespace: inputs.namespace } };
  }
  if (type.endsWith(":NatsUsers")) return { ...inputs, named: usersNamed(inputs) };
  const object = kubernetesKind(type);
  return object ? { ...inputs, ...objectOutputs(object, { name, inputs }, placeholders) } : inputs;
}

/** Users whose names change with their passwords, each by the name that its first login has: which one it has now only the state knows. */
function usersNamed({ extraUsers = [] }: { extraUsers?: readonly { user: string; rotates?: boolean }[] }): object {
  return Object.fromEntries(extraUsers.flatMap(({ user, rotates }) => (rotates ? [[user, { user }]] : [])));
}

function randomOutputs({ type, name, inputs }: Resource, placeholders: Placeholders): Inputs {
  // A random value is drawn again exactly when its inputs, keepers included, change.
  const secret = /:(RandomPassword|RandomBytes)$/.test(type);
  const text = placeholders.text(secret ? "secret" : "generated", type, name, inputs);
  return {
    result: text,
    hex: text,
    b64Std: text,
    b64Url: text,
    dec: text,
    base64: text,
    bcryptHash: secret ? placeholders.text("secret", "bcrypt", type, name, inputs) : undefined,
  };
}

function objectOutputs(
  object: { apiVersion: string; kind: string },
  { name, inputs }: Omit<Resource, "type">,
  placeholders: Placeholders,
): Inputs {
  const metadata = record(inputs.metadata);
  // The provider names what has no name, and draws another one when the object is replaced.
  const identity = immutablePaths(object).map((path) =>
    path.split(".").reduce<unknown>((value, key) => record(value)[key], inputs),
  );
  const drawn = `${name}-${placeholders.text("generated", "name", object, name, identity)}`;
  const own = typeof metadata.name === "string" ? metadata.name : drawn;
  const uid = placeholders.text("generated", "uid", object, metadata.namespace ?? "", own, identity);
  return {
    ...object,
    metadata: { namespace: "default", ...metadata, name: own, uid },
    // Of these, programs wait for the status but do not look into it.
    ...(["Service", "Ingress"].includes(object.kind) ? {} : { status: {} }),
  };
}
