/**
 * The images of a stack by the digest that their tags have now: `npm run images -- --stack gke`. It changes nothing: it writes the commands
 * that do, so that what runs from then on is what somebody has looked at. Run again, it raises them to what the tags have become.
 *
 * Source of the questions: the OCI Distribution Specification 1.1 and its token authentication. Nobody logs in: images that need it are
 * named with what the registry says.
 */
import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { parse } from "yaml";
import { PROJECT, projectRoot } from "../contract/project";
import { EXIT } from "../commands/shared/exit";
import { SETTINGS, type SettingKey } from "../config/schema";

/** Where an image is, and by which tag. */
export interface ImagePlace {
  readonly registry: string;
  readonly repository: string;
  readonly tag: string;
  /** As it is written, without a digest. */
  readonly named: string;
}

/** Registry of names without one, and the address that its API has. Source: Docker's documentation. */
const HUB = { name: "docker.io", api: "registry-1.docker.io" };
/** Longest time for an image, in milliseconds. */
const DEADLINE_MS = 30_000;
/** Of an image for several platforms, and of one. */
const MANIFESTS = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
];

/** Reads `registry/repository:tag@digest`; undefined without a tag, as nothing can be raised then. */
export function placeOf(reference: string): ImagePlace | undefined {
  const [named = ""] = reference.split("@");
  const [, whole = "", tag] = /^(.*?)(?::([\w][\w.-]{0,127}))?$/.exec(named) ?? [];
  if (tag === undefined || whole === "") return undefined;
  const [first = "", ...rest] = whole.split("/");
  const hasRegistry = rest.length > 0 && /[.:]|^localhost$/.test(first);
  if (hasRegistry && first !== HUB.name) return { registry: first, repository: rest.join("/"), tag, named };
  const repository = hasRegistry ? rest.join("/") : whole;
  return { registry: HUB.api, repository: repository.includes("/") ? repository : `library/${repository}`, tag, named };
}

/** TLS everywhere but on this machine, as Docker does. */
const origin = (registry: string): string =>
  `${/^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/.test(registry) ? "http" : "https"}://${registry}`;

/** Where an anonymous token is to be had, from the answer to somebody without one. */
function tokenUrl(challenge: string | null): URL | undefined {
  if (!challenge || !/^bearer /i.test(challenge)) return undefined;
  const pairs = [...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = "", value = ""]) => [key, value] as const);
  const { realm = "", ...fields } = Object.fromEntries(pairs) as Partial<Record<string, string>>;
  if (!URL.canParse(realm)) return undefined;
  const url = new URL(realm);
  for (const key of ["service", "scope"]) {
    const value = fields[key];
    if (value) url.searchParams.set(key, value);
  }
  return url;
}

/**
 * Digest of what a tag has now, over the manifest itself.
 *
 * @throws Error with what the registry says, within thirty seconds; also where the manifest is not what its digest says.
 */
export async function digestOf({ registry, repository, tag }: ImagePlace, deadlineMs = DEADLINE_MS): Promise<string> {
  const signal = AbortSignal.timeout(deadlineMs);
  const url = `${origin(registry)}/v2/${repository}/manifests/${encodeURIComponent(tag)}`;
  const ask = (token?: string) =>
    fetch(url, {
      signal,
      headers: { Accept: MANIFESTS.join(", "), ...(token ? { Authorization: `Bearer ${token}` } : {}) },
    });
  let response = await ask();
  if (response.status === 401) {
    const place = tokenUrl(response.headers.get("www-authenticate"));
    if (!place) throw new Error("it wants a login of another kind than an anonymous token");
    const given = await fetch(place, { signal });
    if (!given.ok) throw new Error(`it gives no anonymous token: ${given.status} ${given.statusText}`);
    const { token, access_token: other } = (await given.json()) as { token?: string; access_token?: string };
    response = await ask(token ?? other);
  }
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
  const manifest = Buffer.from(await response.arrayBuffer());
  const found = `sha256:${crypto.createHash("sha256").update(manifest).digest("hex")}`;
  const said = response.headers.get("docker-content-digest");
  if (said !== null && said.startsWith("sha256:") && said !== found)
    throw new Error(`its manifest has the digest ${found}, and the registry says ${said}`);
  return found;
}

type Raw = Readonly<Record<string, unknown>>;

/** What a stack sets, else the default, as text. */
function textOf(config: Raw, key: SettingKey): string {
  const own = config[`${PROJECT}:${key}`];
  const value = own === undefined || own === "" ? SETTINGS[key].default : own;
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Whether a stack has all of these parts. */
const has =
  (...parts: SettingKey[]) =>
  (config: Raw): boolean =>
    parts.every((key) => textOf(config, key) === "true");

/**
 * Images of parts that a stack may lack, by whether it has them: elsewhere the command would have no effect, or the next preview would be
 * refused for it.
 */
const DEPLOYED: Partial<Record<SettingKey, (config: Raw) => boolean>> = {
  noetlImage: has("deployNoetl"),
  contractGuardImage: (config) => has("deployNoetl")(config) && textOf(config, "contractGuard") !== "off",
  gatewayImage: has("deployGateway"),
  postgresImage: has("deployNoetl", "deployPostgres"),
  cloudSqlProxyImage: has("deployNoetl", "useCloudSql"),
  pgbouncerImage: has("deployNoetl", "useCloudSql"),
};

/** Settings that name the images of a stack, with their values there. */
export function imagesOf(config: Raw): Partial<Record<SettingKey, string>> {
  const keys = (Object.keys(SETTINGS) as SettingKey[]).filter((key) => key.endsWith("Image"));
  return Object.fromEntries(
    keys.filter((key) => DEPLOYED[key]?.(config) ?? true).map((key) => [key, textOf(config, key)] as const),
  );
}

const reason = (error: unknown): string => {
  const { message, cause } = error as Error & { cause?: unknown };
  return cause instanceof Error ? `${message}: ${cause.message}` : message;
};

/** What is to be set, and what could not be found out: a line each. */
export async function raised(
  images: Partial<Record<SettingKey, string>>,
  { stack, deadlineMs }: { stack: string; deadlineMs?: number },
): Promise<{ commands: string[]; problems: string[] }> {
  const commands: string[] = [];
  const problems: string[] = [];
  await Promise.all(
    Object.entries(images).map(async ([key, reference]) => {
      const place = placeOf(reference);
      if (!place) {
        problems.push(`${key}: "${reference}" has no tag, so nothing says what it is raised to`);
        return;
      }
      try {
        const pinned = `${place.named}@${await digestOf(place, deadlineMs)}`;
        if (pinned !== reference) commands.push(`pulumi config set ${key} ${pinned} --stack ${stack}`);
      } catch (error) {
        problems.push(`${key}: ${place.registry} does not tell the digest of ${place.named}: ${reason(error)}`);
      }
    }),
  );
  return { commands: commands.sort(), problems: problems.sort() };
}

async function main(args: readonly string[]): Promise<number> {
  const [option, stack = ""] = args;
  if (args.includes("--help") || args.includes("-h")) {
    console.log(
      "usage: npm run images -- --stack NAME\n\nPrints the commands that raise each image of a stack to the digest of its tag.",
    );
    return EXIT.ok.code;
  }
  if (args.length !== 2 || option !== "--stack" || !/^[\w.-]+$/.test(stack)) {
    console.error("usage: npm run images -- --stack NAME");
    return EXIT.usage.code;
  }
  const file = path.join(projectRoot(), `Pulumi.${stack}.yaml`);
  if (!fs.existsSync(file)) {
    console.error(`there is no stack ${stack} here: ${path.basename(file)} is missing`);
    return EXIT.usage.code;
  }
  const { config = {} } = (parse(fs.readFileSync(file, "utf8")) ?? {}) as { config?: Record<string, unknown> };
  const { commands, problems } = await raised(imagesOf(config), { stack });
  for (const each of commands) console.log(each);
  for (const each of problems) console.error(each);
  if (commands.length + problems.length === 0) console.error(`every image of ${stack} has the digest of its tag`);
  return EXIT[problems.length > 0 ? "wrong" : "ok"].code;
}

if (require.main === module) void main(process.argv.slice(2)).then((code) => (process.exitCode = code));
