import { CREDENTIAL_WORDS, isCredentialName, isVariable } from "../config/credentials";
import { RELEASE } from "./release";
import { containers, isRecord, type ResourceView, type Text, texts, workloadKind } from "./resource";

/** A URL with a password in it, which is not a reference to a variable. */
const URL_PASSWORD = /\b[a-z][a-z0-9+.-]*:\/\/[^\s/:@"']*:(?!\$|%s|\{|<|\*+@)[^\s/@"']+@/i;
const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----|\bclient-key-data["']?\s*:/;
/** `password: x` and `password = "x"` in a configuration file, where x is not a reference. */
const ASSIGNMENT = new RegExp(
  `^[ \\t]*["']?[\\w.-]*(?:${CREDENTIAL_WORDS})["']?[ \\t]*[:=][ \\t]*["']?(?![$<{(%"'])[^\\s"',{}[\\]]+`,
  "im",
);
const OPTION = new RegExp(`^--?[\\w-]*(?:${CREDENTIAL_WORDS})[= ](?!\\$)\\S`, "i");
/** Names of configuration files, and those without an ending; a program's file assigns variables, not values. */
const CONFIGURATION = /^[^.]*$|\.(?:conf|cnf|cfg|ini|env|properties|ya?ml|json|toml)$/i;

const holdsCredential = (text: string): boolean => URL_PASSWORD.test(text) || PRIVATE_KEY.test(text);

/** Why a text is taken for a credential, in words that do not repeat it; undefined where it is none. */
function suspicion({ key, text }: Pick<Text, "key" | "text">): string | undefined {
  if (URL_PASSWORD.test(text)) return "is a URL with a password";
  if (PRIVATE_KEY.test(text)) return "holds a private key";
  return isCredentialName(key) && text !== "" && !isVariable(text) ? "has the name of a credential" : undefined;
}

/**
 * Every credential that a resource carries in plain text: in a ConfigMap, in a container's environment or arguments, or
 * unencrypted in the state. Paths and reasons only; a value is never repeated.
 */
export function plaintextCredentials(resource: ResourceView): string[] {
  if (/^kubernetes:core\/[^:]+:ConfigMap$/.test(resource.type)) return inConfigMap(resource);
  if (/^kubernetes:core\/[^:]+:Secret$/.test(resource.type)) return inSecret(resource);
  if (workloadKind(resource.type) !== undefined) return inWorkload(resource);
  return unencrypted(resource);
}

function inConfigMap(resource: ResourceView): string[] {
  const { data, binaryData } = resource.props;
  return [...texts(data, "data"), ...texts(binaryData, "binaryData")].flatMap((entry) => {
    const file = entry.path.replace(/^(?:data|binaryData)\./, "");
    const reason = entry.encrypted
      ? "is a secret of the program"
      : (suspicion({ key: file, text: entry.text }) ??
        (CONFIGURATION.test(file) && ASSIGNMENT.test(entry.text) ? "assigns a credential" : undefined));
    return reason
      ? [`${entry.path} ${reason}, and everybody who reads the namespace reads ConfigMaps: use a Secret`]
      : [];
  });
}

function inSecret(resource: ResourceView): string[] {
  const { data, stringData } = resource.props;
  return [...texts(data, "data"), ...texts(stringData, "stringData")].flatMap(({ path, text, encrypted }) =>
    encrypted || text === "" ? [] : [`${path} stands unencrypted in the state: wrap it in pulumi.secret(...)`],
  );
}

function inWorkload(resource: ResourceView): string[] {
  return containers(resource).flatMap(({ path, spec }) => [
    ...list(spec.env).flatMap((variable) => {
      const { name, value } = variable;
      if (typeof name !== "string" || typeof value !== "string") return [];
      const reason = suspicion({ key: name, text: value });
      return reason ? [`${path}.env ${name} ${reason}: take it from a Secret (valueFrom.secretKeyRef)`] : [];
    }),
    ...["command", "args"].flatMap((part) =>
      [...texts(spec[part], `${path}.${part}`)]
        .filter(({ text }) => holdsCredential(text) || OPTION.test(text))
        .map(
          (entry) => `${entry.path} holds a credential, and process lists show arguments: use a variable from a Secret`,
        ),
    ),
  ]);
}

/** What chart a release has and what a custom resource does with its inputs is not known here: both stand in the state. */
function unencrypted(resource: ResourceView): string[] {
  // The serialised code of a dynamic resource is not an input of the user's.
  const { __provider: _, ...props } = resource.props;
  const inputs = resource.type === RELEASE ? { values: props.values, valueYamlFiles: props.valueYamlFiles } : props;
  return [...texts(inputs)].flatMap((entry) => {
    const reason = entry.encrypted ? undefined : suspicion(entry);
    return reason ? [`${entry.path} ${reason}: wrap it in pulumi.secret(...)`] : [];
  });
}

const list = (value: unknown): Record<string, unknown>[] => (Array.isArray(value) ? value.filter(isRecord) : []);
