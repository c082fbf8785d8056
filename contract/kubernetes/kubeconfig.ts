/**
 * Kubeconfigs: found as kubectl finds them, merged, and used to log in. The client library would need a second to load, and
 * takes neither lists of files that kubectl takes nor what a login command says when it fails. No content of a kubeconfig
 * is ever repeated in a message.
 */
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as http from "node:http";
import * as https from "node:https";
import * as tls from "node:tls";
import * as os from "node:os";
import * as path from "node:path";
import type * as Yaml from "yaml";
import { ConnectError } from "../errors";
import type { ClusterConnection } from "../inputs";
import { isContent } from "./kubectl";

type Fields = Readonly<Record<string, unknown>>;

/** A cluster, context or user under its name, with the file that it stands in. */
interface Entry {
  readonly name: string;
  readonly fields: Fields;
  readonly file?: string;
}

/** What one or more kubeconfigs say together. */
export interface Kubeconfig {
  /** Where it comes from, in words. */
  readonly source: string;
  readonly clusters: readonly Entry[];
  readonly contexts: readonly Entry[];
  readonly users: readonly Entry[];
  readonly currentContext?: string;
}

/** The context that counts, with what it names. */
export interface Chosen {
  readonly context: Entry;
  readonly cluster: Entry;
  /** Undefined where the context names nobody, or somebody who is not there. */
  readonly user?: Entry;
}

/** Under which key each kind of entry stands inside its list's items. */
const KINDS = { clusters: "cluster", contexts: "context", users: "user" } as const;

/** Fields that name files, relative to the kubeconfig. */
const PATHS = ["certificate-authority", "client-certificate", "client-key", "tokenFile"];

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const textOf = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined);
const unusable = (source: string, why: string): ConnectError => new ConnectError("bad-kubeconfig", `${source}: ${why}`);

const atHome = (file: string): string => file.replace(/^~(?=\/|$)/, os.homedir());

/** Files of the ambient kubeconfig, in the order in which they count. */
function ambientFiles(env: NodeJS.ProcessEnv = process.env): string[] {
  const listed = env.KUBECONFIG?.split(path.delimiter).filter(Boolean) ?? [];
  return listed.length > 0 ? listed : [path.join(os.homedir(), ".kube", "config")];
}

/**
 * The kubeconfig that a connection means: the one given, else the files of `$KUBECONFIG`, else `~/.kube/config`, else the
 * service account of the pod that this runs in. Of entries with one name the first counts, and of a list of files those that
 * are there, as with kubectl.
 *
 * @throws ConnectError `bad-kubeconfig`, without any of its content.
 */
export function readKubeconfig({ kubeconfig }: Pick<ClusterConnection, "kubeconfig">): Kubeconfig {
  if (kubeconfig !== undefined) {
    if (isContent(kubeconfig)) return merged("the kubeconfig given", [entriesOf("the kubeconfig given", kubeconfig)]);
    const source = `kubeconfig ${kubeconfig}`;
    return merged(source, [fromFile(source, atHome(kubeconfig))]);
  }
  const files = ambientFiles();
  const there = files.filter((file) => fs.existsSync(file));
  if (there.length > 0) {
    const source = there.length > 1 ? `the kubeconfigs ${there.join(", ")}` : `the ambient kubeconfig`;
    return merged(
      source,
      there.map((file) => fromFile(`kubeconfig ${file}`, file)),
    );
  }
  const inCluster = serviceAccount();
  if (inCluster && !process.env.KUBECONFIG) return inCluster;
  throw new ConnectError(
    "bad-kubeconfig",
    `there is no kubeconfig (looked for ${files.join(", ")}): set connection.kubeconfig (of a stack: kubeconfig) or KUBECONFIG, or connect ` +
      "through connection.servers",
  );
}

function fromFile(source: string, file: string): Kubeconfig {
  let text: string;
  try {
    text = fs.readFileSync(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw unusable(source, code === "ENOENT" ? "no such file" : `it cannot be read (${code ?? "no reason given"})`);
  }
  return entriesOf(source, text, path.resolve(file));
}

function entriesOf(source: string, text: string, file?: string): Kubeconfig {
  // Loaded on demand: a program that reads no kubeconfig needs no parser.
  const { parse } = require("yaml") as typeof Yaml;
  let content: unknown;
  try {
    content = parse(text) ?? {};
  } catch {
    // A parser's message quotes the text around the mistake, which may be a key or a token.
  }
  const cannot = unusable(source, "it cannot be read as a kubeconfig");
  if (!isFields(content)) throw cannot;
  const document = content;
  const entries = (list: keyof typeof KINDS): Entry[] => {
    const items = document[list] ?? [];
    if (!Array.isArray(items)) throw cannot;
    return items.map((item: unknown) => {
      const fields = isFields(item) ? (item[KINDS[list]] ?? {}) : undefined;
      const name = isFields(item) ? textOf(item.name) : undefined;
      if (name === undefined || !isFields(fields)) throw cannot;
      return { name, fields: withAbsolutePaths(fields, file), file };
    });
  };
  const currentContext = textOf(document["current-context"]);
  return {
    source,
    clusters: entries("clusters"),
    contexts: entries("contexts"),
    users: entries("users"),
    currentContext,
  };
}

/** Paths count from the file that they stand in; so does a login command that is named by a path. */
function withAbsolutePaths(fields: Fields, file: string | undefined): Fields {
  if (file === undefined) return fields;
  const absolute = (value: unknown): unknown =>
    textOf(value) === undefined ? value : path.resolve(path.dirname(file), value as string);
  const paths = Object.fromEntries(PATHS.filter((key) => key in fields).map((key) => [key, absolute(fields[key])]));
  const { exec } = fields;
  const command = isFields(exec) ? textOf(exec.command) : undefined;
  return {
    ...fields,
    ...paths,
    ...(isFields(exec) && command?.includes("/") ? { exec: { ...exec, command: absolute(command) } } : {}),
  };
}

/** All of several kubeconfigs; the first entry of a name counts, and the first current context. */
function merged(source: string, parts: readonly Kubeconfig[]): Kubeconfig {
  const unique = (list: keyof typeof KINDS): Entry[] => {
    const byName = new Map<string, Entry>();
    for (const entry of parts.flatMap((part) => part[list])) if (!byName.has(entry.name)) byName.set(entry.name, entry);
    return [...byName.values()];
  };
  const currentContext = parts.map((part) => part.currentContext).find((name) => name !== undefined);
  return {
    source,
    clusters: unique("clusters"),
    contexts: unique("contexts"),
    users: unique("users"),
    currentContext,
  };
}

function serviceAccount(): Kubeconfig | undefined {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = "443" } = process.env;
  if (host === undefined || !fs.existsSync(`${SERVICE_ACCOUNT}/token`)) return undefined;
  const server = `https://${host.includes(":") ? `[${host}]` : host}:${port}`;
  return {
    source: "the pod's service account",
    clusters: [{ name: "in-cluster", fields: { server, "certificate-authority": `${SERVICE_ACCOUNT}/ca.crt` } }],
    users: [{ name: "service-account", fields: { tokenFile: `${SERVICE_ACCOUNT}/token` } }],
    contexts: [{ name: "in-cluster", fields: { cluster: "in-cluster", user: "service-account" } }],
    currentContext: "in-cluster",
  };
}

/**
 * The context asked for, or else the current one.
 *
 * @throws ConnectError `bad-kubeconfig` where there is none, or it names no cluster.
 */
export function chooseContext(kubeconfig: Kubeconfig, asked: string | undefined): Chosen {
  const { source, contexts, clusters, users } = kubeconfig;
  const name = asked ?? kubeconfig.currentContext;
  const context = contexts.find((each) => each.name === name);
  if (asked !== undefined && !context) {
    const known = contexts.map((each) => each.name);
    throw new ConnectError(
      "bad-kubeconfig",
      `${source} has no context ${asked}; it has ${known.length > 0 ? known.join(", ") : "none"}`,
    );
  }
  const cluster = context && clusters.find((each) => each.name === context.fields.cluster);
  if (!context || textOf(cluster?.fields.server) === undefined || !cluster) {
    throw new ConnectError(
      "bad-kubeconfig",
      `${source} names no current cluster: set connection.context, or run kubectl config use-context`,
    );
  }
  const user = users.find((each) => each.name === context.fields.user);
  return { context, cluster, user };
}

/**
 * The kubeconfig as one text. It holds the credentials.
 *
 * @param context The current one. Default: the kubeconfig's.
 * @param withoutExec A user whose login command is left out.
 */
export function exportKubeconfig(
  kubeconfig: Kubeconfig,
  { context = kubeconfig.currentContext, withoutExec }: { context?: string; withoutExec?: string } = {},
): string {
  const items = (list: keyof typeof KINDS): object[] =>
    kubeconfig[list].map(({ name, fields }) => {
      const { exec, ...rest } = fields;
      const kept = exec === undefined || (list === "users" && name === withoutExec) ? rest : fields;
      return { name, [KINDS[list]]: kept };
    });
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: items("clusters"),
    contexts: items("contexts"),
    users: items("users"),
    "current-context": context ?? "",
  });
}

/** What is needed of a cluster to ask its API; the client library's KubeConfig is one. */
export interface ClusterAccess {
  getCurrentCluster(): { readonly server: string } | null;
  getCurrentUser(): { readonly name: string } | null;
  applyToHTTPSOptions(options: https.RequestOptions): Promise<void>;
}

/** What only the client library can do: a proxy, and the login providers that Kubernetes itself has given up. */
export const needsLibrary = ({ cluster, user }: Chosen): boolean =>
  cluster.fields["proxy-url"] !== undefined || user?.fields["auth-provider"] !== undefined;

/** Access with certificates, tokens, passwords and login commands. */
export function accessTo({ cluster, user }: Chosen): ClusterAccess {
  const server = textOf(cluster.fields.server) ?? "";
  const credential = user ? execCredentials(user, cluster) : undefined;
  const agentOf = lastingAgent(server);
  return {
    getCurrentCluster: () => ({ server }),
    getCurrentUser: () => user ?? null,
    applyToHTTPSOptions: async (options) => {
      const terms: https.AgentOptions = {
        ...optional("ca", bytes(cluster.fields, "certificate-authority")),
        ...optional("cert", user && bytes(user.fields, "client-certificate")),
        ...optional("key", user && bytes(user.fields, "client-key")),
        ...optional("servername", textOf(cluster.fields["tls-server-name"])),
        ...(cluster.fields["insecure-skip-tls-verify"] === true ? { rejectUnauthorized: false } : {}),
      };
      const given = credential && (await credential());
      Object.assign(terms, optional("cert", given?.cert), optional("key", given?.key));
      const token = given?.token ?? (user && tokenOf(user.fields));
      const name = textOf(user?.fields.username);
      const headers = {
        ...options.headers,
        ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
        ...(user ? impersonation(user.fields) : {}),
      };
      Object.assign(options, terms, {
        headers,
        auth: name === undefined ? undefined : `${name}:${textOf(user?.fields.password) ?? ""}`,
        agent: agentOf(terms),
      });
    },
  };
}

/** How long a connection may wait for the next request, in milliseconds: as Node's own agent has it. */
const IDLE_MILLISECONDS = 5_000;

/**
 * One agent for all requests with the same certificates: a second connection takes up the session of the first, and one that is free is
 * used again. Each handshake of its own costs as much as the answer.
 */
function lastingAgent(server: string): (terms: https.AgentOptions) => http.Agent {
  const lasting = { keepAlive: true, scheduling: "lifo", timeout: IDLE_MILLISECONDS } as const;
  let last: { readonly key: string; readonly agent: http.Agent } | undefined;
  return (terms) => {
    const key = JSON.stringify(terms);
    if (last?.key !== key) {
      const agent = server.startsWith("http:")
        ? new http.Agent(lasting)
        : new https.Agent({ ...terms, ...lasting, secureContext: secureContext(terms) });
      last = { key, agent };
    }
    return last.agent;
  };
}

function secureContext({ ca, cert, key }: https.AgentOptions): tls.SecureContext {
  try {
    return tls.createSecureContext({ ca, cert, key });
  } catch (error) {
    const [why] = String((error as Error).message).split("\n");
    throw new Error(`its certificate-authority, client-certificate or client-key cannot be used (${why})`);
  }
}

/** On whose behalf the user asks, where the kubeconfig says so. */
const impersonation = (fields: Fields): http.OutgoingHttpHeaders => ({
  ...optional("Impersonate-User", textOf(fields.as)),
  ...optional("Impersonate-Uid", textOf(fields["as-uid"])),
  ...optional("Impersonate-Group", Array.isArray(fields["as-groups"]) ? fields["as-groups"].map(String) : undefined),
});

const optional = <K extends string, T>(key: K, value: T | undefined): Partial<Record<K, T>> =>
  value === undefined ? {} : ({ [key]: value } as Record<K, T>);

/** A certificate or key: the content that stands under `<field>-data`, else that of the file. */
function bytes(fields: Fields, field: string): Buffer | undefined {
  const data = textOf(fields[`${field}-data`]);
  if (data !== undefined) return Buffer.from(data, "base64");
  const file = textOf(fields[field]);
  return file === undefined ? undefined : readLoginFile(file);
}

function tokenOf(fields: Fields): string | undefined {
  const file = textOf(fields.tokenFile);
  return file === undefined ? textOf(fields.token) : readLoginFile(file).toString().trim();
}

function readLoginFile(file: string): Buffer {
  try {
    return fs.readFileSync(file);
  } catch (error) {
    throw new Error(`${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? "no reason given"})`);
  }
}

/** What a login command answers. */
interface Credential {
  readonly token?: string;
  readonly cert?: string;
  readonly key?: string;
  /** In milliseconds since 1970. */
  readonly expires: number;
}

/** Runs a user's login command, where there is one, once and again when what it gave has expired. */
export function execCredentials(user: Entry, cluster: Entry): (() => Promise<Credential>) | undefined {
  const { exec } = user.fields;
  if (!isFields(exec)) return undefined;
  let known: Credential | undefined;
  let running: Promise<Credential> | undefined;
  const login = async (): Promise<Credential> => {
    try {
      return (known = await runLogin(exec, cluster));
    } finally {
      running = undefined;
    }
  };
  // Who asks while it runs waits for the same answer.
  return () => (known && known.expires > Date.now() ? Promise.resolve(known) : (running ??= login()));
}

async function runLogin(exec: Fields, cluster: Entry): Promise<Credential> {
  const command = textOf(exec.command);
  if (command === undefined) throw new Error("its login command has no name");
  const variables = (Array.isArray(exec.env) ? exec.env : []).filter(isFields);
  const info = {
    apiVersion: exec.apiVersion,
    kind: "ExecCredential",
    spec: { interactive: false, cluster: exec.provideClusterInfo === true ? clusterInfo(cluster) : undefined },
  };
  const env = {
    ...process.env,
    KUBERNETES_EXEC_INFO: JSON.stringify(info),
    ...Object.fromEntries(variables.map(({ name, value }) => [String(name), String(value)])),
  };
  const args = (Array.isArray(exec.args) ? exec.args : []).map(String);
  const output = await outputOf(command, args, { env, hint: textOf(exec.installHint) });
  let status: unknown;
  try {
    status = (JSON.parse(output) as { status?: unknown }).status;
  } catch {
    // What it is instead may hold a part of the credential.
  }
  if (!isFields(status)) throw new Error(`${command} answered with something that is not an ExecCredential`);
  const expires = Date.parse(textOf(status.expirationTimestamp) ?? "");
  return {
    ...optional("token", textOf(status.token)),
    ...optional("cert", textOf(status.clientCertificateData)),
    ...optional("key", textOf(status.clientKeyData)),
    expires: Number.isNaN(expires) ? Infinity : expires,
  };
}

const clusterInfo = ({ fields }: Entry): object => ({
  server: fields.server,
  ...optional("certificate-authority-data", fields["certificate-authority-data"]),
  ...optional("insecure-skip-tls-verify", fields["insecure-skip-tls-verify"]),
});

/** How long a login command may take, in seconds. */
const LOGIN_SECONDS = 30;

/** @param hint What the kubeconfig says about how to install the command. */
function outputOf(
  command: string,
  args: string[],
  { env, hint }: { env: NodeJS.ProcessEnv; hint: string | undefined },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    const said: Record<"stdout" | "stderr", Buffer[]> = { stdout: [], stderr: [] };
    const lastSaid = (): string => lastWords(Buffer.concat(said.stderr).toString());
    child.stdout.on("data", (chunk: Buffer) => said.stdout.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => said.stderr.push(chunk));
    const limit = setTimeout(() => {
      child.kill("SIGKILL");
      // What it has started may hold them open.
      child.stdout.destroy();
      child.stderr.destroy();
      const advice = "it may wait for somebody, so log in by hand first";
      reject(new Error(`${command} did not end within ${LOGIN_SECONDS} s${lastSaid()}; ${advice}`));
    }, LOGIN_SECONDS * 1000);
    child.once("error", (error: NodeJS.ErrnoException) => {
      clearTimeout(limit);
      const why =
        error.code === "ENOENT" ? "is not installed, or not on PATH" : `cannot be run (${error.code ?? error.message})`;
      reject(new Error(`${command}, the login command that the kubeconfig names, ${why}${hintWords(hint)}`));
    });
    child.once("close", (code, signal) => {
      clearTimeout(limit);
      if (code === 0) return resolve(Buffer.concat(said.stdout).toString());
      const how = code === null ? `was ended by ${signal ?? "a signal"}` : `ended with exit code ${code}`;
      reject(new Error(`${command} ${how}${lastSaid()}`));
    });
  });
}

const hintWords = (hint: string | undefined): string =>
  hint === undefined ? "" : `: ${hint.replace(/\s+/g, " ").trim()}`;

/** The sentence of an error: its first line, or the last where Python shows where it happened. */
function lastWords(text: string): string {
  const lines = text.split("\n").filter((each) => each.trim() !== "");
  const line = lines[0]?.startsWith("Traceback") ? lines.at(-1) : lines[0];
  return line === undefined ? " without a word" : `: ${line.trim()}`;
}
