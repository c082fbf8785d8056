/** The shape of the commands that findings print: programs, verbs, arguments and flags as their own help has them. */
import { SETTINGS } from "../../../config/schema";

/** Flags by name: whether a value follows. */
type Flags = Readonly<Record<string, "value" | "alone">>;

interface Verb {
  /** Fewest and most arguments after the verb. */
  readonly args: readonly [number, number];
  /** What each argument looks like; default: a name. */
  readonly like?: RegExp;
  readonly flags?: Flags;
}

const NAME = /^[A-Za-z0-9][\w.-]*$/;
/** `pods`, `pods,services`. */
const KINDS =
  /^(pods?|nodes|namespaces?|services?|statefulsets?|endpoints|ingress|events|storageclass|resourcequota|limitrange|managedcertificate|serviceaccount|deployment|deploy)(,[a-z]+)*$/;
const KIND_OR_NAME = new RegExp(`${KINDS.source}|${NAME.source}`);

const KUBECTL: Readonly<Record<string, Verb>> = {
  get: {
    args: [1, 2],
    like: KIND_OR_NAME,
    flags: { "-o": "value", "--show-labels": "alone", "--field-selector": "value" },
  },
  describe: { args: [1, 2], like: KIND_OR_NAME },
  logs: {
    args: [1, 1],
    like: /^(deploy\/)?[a-z0-9-]+$/,
    flags: { "--tail": "value", "-c": "value", "--all-containers": "alone", "--previous": "alone" },
  },
  top: { args: [2, 2], like: KIND_OR_NAME },
  "auth whoami": { args: [0, 0] },
  "cluster-info": { args: [0, 0] },
  "rollout restart": { args: [1, 3], like: /^(deploy|statefulset)\/[a-z0-9-]+$/ },
  "rollout resume": { args: [1, 1], like: /^deployment\/[a-z0-9-]+$/ },
  "port-forward": { args: [2, 2], like: /^((pod|service)\/[a-z0-9-]+|\d+)$/ },
  "delete pod": { args: [1, 1], flags: { "--force": "alone", "--grace-period": "value" } },
  "delete pvc": { args: [1, 1] },
  "delete secret": { args: [1, 1] },
  "create secret generic": { args: [1, 1], flags: { "--from-file": "value" } },
  "delete statefulset": { args: [1, 1], flags: { "--cascade": "value" } },
  "patch pvc": { args: [1, 1], flags: { "-p": "value" } },
  "create role": { args: [1, 1], flags: { "--verb": "value", "--resource": "value" } },
  "create rolebinding": { args: [1, 1], flags: { "--role": "value", "--user": "value" } },
};

const FORCE: Flags = { "-f": "alone" };
const NATS: Readonly<Record<string, Verb>> = {
  "stream rm": { args: [1, 1], flags: FORCE },
  "stream report": { args: [0, 0] },
  "stream edit": {
    args: [1, 1],
    flags: {
      ...FORCE,
      ...Object.fromEntries(
        ["retention", "subjects", "max-age", "max-msgs", "max-bytes", "max-msgs-per-subject", "max-msg-size"]
          .concat(["max-consumers", "discard", "dupe-window", "replicas"])
          .map((name) => [`--${name}`, "value" as const]),
      ),
      "--ack": "alone",
      "--no-discard-per-subject": "alone",
      "--no-transform": "alone",
      "--no-republish": "alone",
    },
  },
  "consumer rm": { args: [2, 2], flags: FORCE },
  "consumer resume": { args: [2, 2], flags: FORCE },
  "consumer edit": {
    args: [2, 2],
    flags: {
      ...FORCE,
      "--wait": "value",
      "--max-deliver": "value",
      "--max-pending": "value",
      "--replicas": "value",
      "--no-headers-only": "alone",
    },
  },
  "kv edit": {
    args: [1, 1],
    flags: { "--ttl": "value", "--max-bucket-size": "value", "--max-value-size": "value" },
  },
  pub: { args: [2, 2], like: /^([\w.-]+|\{.*\})$/, flags: { "--jetstream": "alone" } },
  "server report": { args: [1, 1] },
};

const IN_NAMESPACE: Flags = { "-n": "value" };
const HELM: Readonly<Record<string, Verb>> = {
  // Without a revision it is the one before.
  rollback: { args: [1, 2], flags: IN_NAMESPACE },
  uninstall: { args: [1, 1], flags: IN_NAMESPACE },
  history: { args: [1, 1], flags: IN_NAMESPACE },
};

const OF_STACK: Flags = { "--stack": "value" };
const PULUMI: Readonly<Record<string, Verb>> = {
  up: { args: [0, 0], flags: { ...OF_STACK, "--refresh": "alone" } },
  refresh: { args: [0, 0], flags: OF_STACK },
  "config set": { args: [1, 2], like: /./, flags: { ...OF_STACK, "--secret": "alone" } },
  "config rm": { args: [1, 1], like: /./, flags: OF_STACK },
};

const NPM: Readonly<Record<string, Verb>> = {
  "run doctor": { args: [0, 0], flags: { "--": "alone", ...OF_STACK, "--repair": "alone" } },
  "run verify": { args: [0, 0], flags: { "--": "alone", ...OF_STACK } },
};

const OTHERS: Readonly<Record<string, RegExp>> = {
  curl: /^curl -X POST http:\/\/localhost:\d+\/api\/[\w/]+( -H 'Content-Type: application\/json' -d '\{[^']+\}')?$/,
  noetl: /^noetl register (credential|playbook) --file [\w.]+$/,
  "nats-server": /^nats-server --signal reload$/,
};

/** The words of a command line, as a POSIX shell takes them. */
function wordsOf(command: string): string[] {
  const words = command.match(/(?:'[^']*'|\\.|[^\s'\\])+/g) ?? [];
  return words.map((word) =>
    word.replace(/'([^']*)'|\\(.)/g, (_, quoted?: string, escaped?: string) => quoted ?? escaped ?? ""),
  );
}

/** Why a command that a finding prints is not one that its program takes; empty where it is. */
export function complaintsAbout(command: string): string[] {
  if (/[`$;&|<>]/.test(command.replace(/'[^']*'/g, ""))) return [`a shell takes a part of it for its own: ${command}`];
  const [program = "", ...words] = wordsOf(command);
  const other = OTHERS[program];
  if (other) return other.test(command) ? [] : [`${program} takes it otherwise: ${command}`];
  switch (program) {
    case "kubectl":
      return kubectl(words);
    case "helm":
      return against(HELM, program, withoutFlags(words, ["--kube-context", "--kubeconfig"]));
    case "nats":
      return against(NATS, program, withoutFlags(words, ["--server"]));
    case "pulumi":
      return pulumi(words);
    case "npm":
      // Whatever follows the stack is for nats.
      return words[0] === "run" && words[1] === "nats"
        ? [
            ...(words[2] === "--" && words[3] === "--stack" ? [] : [`no stack: ${command}`]),
            ...against(NATS, "nats", words.slice(5)),
          ]
        : against(NPM, program, words);
    default:
      return [`an unknown program: ${command}`];
  }
}

function kubectl(all: readonly string[]): string[] {
  const words = withoutFlags(all, ["--context", "--kubeconfig", "-n"]);
  const inner = words.indexOf("--");
  if (words[0] !== "exec") return against(KUBECTL, "kubectl", words);
  const within = words.slice(inner + 1);
  return [
    ...(/^exec (deploy\/[a-z0-9-]+|[a-z0-9-]+ -c nats) $/.test(`${words.slice(0, inner).join(" ")} `)
      ? []
      : [`exec names no workload: ${words.join(" ")}`]),
    // What is in nats-server's own image beside the server.
    ...(/^(df|du -d \d) \/data$/.test(within.join(" "))
      ? []
      : within[0] === "nats"
        ? against(NATS, "nats", within.slice(1))
        : [`exec runs ${within[0]}`]),
  ];
}

function pulumi(words: readonly string[]): string[] {
  const key = words[0] === "config" ? words.slice(2).find((word) => !word.startsWith("--")) : undefined;
  return [
    ...against(PULUMI, "pulumi", words),
    ...(words.includes("--stack") ? [] : [`no stack: ${words.join(" ")}`]),
    ...(key === undefined || key in SETTINGS ? [] : [`no setting ${key}`]),
  ];
}

/** Words without flags that a program takes before its verb. */
function withoutFlags(words: readonly string[], names: readonly string[]): string[] {
  let index = 0;
  while (names.includes(words[index] ?? "")) index += 2;
  return words.slice(index);
}

function against(verbs: Readonly<Record<string, Verb>>, program: string, words: readonly string[]): string[] {
  const text = `${program} ${words.join(" ")}`;
  const name = Object.keys(verbs).find((each) => each === words.slice(0, each.split(" ").length).join(" "));
  const verb = verbs[name ?? ""];
  if (name === undefined || !verb) return [`${program} has no such verb: ${text}`];
  const args: string[] = [];
  const complaints: string[] = [];
  const rest = words.slice(name.split(" ").length);
  for (let index = 0; index < rest.length; index++) {
    const word = rest[index] ?? "";
    if (!word.startsWith("-")) {
      args.push(word);
      continue;
    }
    const [flag = "", value] = word.split(/=(.*)/s);
    const kind = verb.flags?.[flag];
    if (kind === undefined) complaints.push(`${name} has no flag ${flag}: ${text}`);
    else if (kind === "value" && value === undefined && rest[++index] === undefined) {
      complaints.push(`${flag} lacks its value: ${text}`);
    } else if (kind === "alone" && value !== undefined) complaints.push(`${flag} takes no value: ${text}`);
  }
  const [fewest, most] = verb.args;
  if (args.length < fewest || args.length > most)
    complaints.push(`${name} takes ${fewest} to ${most} arguments: ${text}`);
  const strange = args.filter((arg) => !(verb.like ?? NAME).test(arg));
  return [...complaints, ...strange.map((arg) => `${name} takes no ${arg}: ${text}`)];
}
