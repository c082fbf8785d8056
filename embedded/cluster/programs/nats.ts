import * as fs from "node:fs";
import * as path from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { V1Pod } from "@kubernetes/client-node";
import { CreateError, type Program } from "../container";
import { memoryFolder, writeSecretFile } from "../places";
import { answers } from "../probe";
import type { Situation } from "./situation";

const [CLIENT, MONITOR] = [4222, 8222];
/** Ports that nats-server listens on in a pod. */
export const NATS_PORTS = [CLIENT, MONITOR] as const;
/** How often a changed ConfigMap or Secret is looked for; the kubelet takes up to two minutes. */
const RELOAD_MS = 2000;

/** nats-server with the deployed nats.conf and the deployed environment. */
export async function nats(situation: Situation): Promise<Program> {
  const { pod, container, sources, folder } = situation;
  const env = await sources.environment(container);
  const place = await situation.mounts();
  const file = path.join(folder, "nats.conf");
  const deployed = async () => withIncludes(await sources.key("configmap", configMapOf(pod), "nats.conf"), situation);
  const write = async ({ text, files }: Configuration) => {
    for (const [included, content] of Object.entries(files)) writeSecretFile(included, content);
    fs.writeFileSync(file, withStore(await withRoutes(text, situation, env), place), { mode: 0o600 });
  };
  let config = await deployed();
  await write(config);

  // Flags win over the file, so the deployed file runs as it is but for the places that cannot be the same here.
  const [client, monitor] = await Promise.all([situation.port(CLIENT), situation.port(MONITOR)]);
  const args = ["-c", file, "-a", "127.0.0.1", "-p", String(client), "-m", String(monitor)];
  let readAt = Date.now();
  const reloads = pod.spec?.containers.some((each) => each.name === "reloader") ?? false;
  return {
    command: situation.tools.natsServer,
    args: [...args, "-P", path.join(folder, "nats.pid")],
    env,
    isReady: () => answers(`http://127.0.0.1:${monitor}/healthz?js-server-only=true`, situation.container),
    // A changed ConfigMap or Secret makes nats-server read its configuration again, as the reloader container does.
    refresh: async (signal) => {
      if (!reloads || Date.now() - readAt < RELOAD_MS) return;
      readAt = Date.now();
      const found = await deployed();
      if (isDeepStrictEqual(found, config)) return;
      config = found;
      await write(config);
      signal("SIGHUP");
    },
  };
}

function configMapOf(pod: V1Pod): string {
  const name = pod.spec?.volumes?.find((each) => each.configMap)?.configMap?.name;
  if (name === undefined) throw new CreateError("CreateContainerError", "the pod mounts no ConfigMap with nats.conf");
  return name;
}

/** nats.conf, and the files that it includes by their places on this machine. */
interface Configuration {
  readonly text: string;
  readonly files: Readonly<Record<string, string>>;
}

/** Where the chart mounts nats.conf; what it includes is named relative to that. */
const CONFIG_FOLDER = "/etc/nats-config";

/** The configuration with the files of mounted Secrets that it includes; nats-server takes relative paths alone. */
async function withIncludes(
  config: string,
  { pod, container, sources, dir, folder }: Situation,
): Promise<Configuration> {
  const files: Record<string, string> = {};
  let text = config;
  const here = async (wanted: string): Promise<string> => {
    const mount = container.volumeMounts?.find(({ mountPath }) => mountPath === path.posix.dirname(wanted));
    const secret = pod.spec?.volumes?.find(({ name }) => name === mount?.name)?.secret?.secretName;
    if (secret === undefined) throw new CreateError("CreateContainerError", `no Secret is mounted with ${wanted}`);
    const local = path.join(memoryFolder(dir), pod.metadata?.uid ?? "", mount?.name ?? "", path.posix.basename(wanted));
    files[local] = await sources.key("secret", secret, path.posix.basename(wanted));
    return local;
  };
  for (const [whole, indent = "", named = ""] of config.matchAll(/^(\s*)include ([^;\n]+);/gm)) {
    const local = await here(path.posix.join(CONFIG_FOLDER, named));
    text = text.replace(whole, `${indent}include ${path.relative(folder, local)};`);
  }
  // Certificates, keys and authorities.
  for (const [whole, key = "", wanted = ""] of config.matchAll(/("(?:cert|key|ca)_file": )"([^"]+)"/g)) {
    text = text.replaceAll(whole, `${key}${JSON.stringify(await here(wanted))}`);
  }
  return { text, files };
}

/** The configuration with its store elsewhere. No flag can do this: nats-server refuses `-sd` beside a `store_dir`. */
function withStore(config: string, place: (inContainer: string) => string | undefined): string {
  return config.replace(/("?store_?dir"?\s*[:=]?\s*)("[^"]*"|[^\s,}]+)/, (whole, key: string, value: string) => {
    const folder = place(value.replace(/^"|"$/g, ""));
    return folder === undefined ? whole : key + JSON.stringify(folder);
  });
}

/**
 * The configuration with the places of a cluster's servers: each listens on loopback, and routes lead to the ports that
 * stand for those of the other pods, also where they come from the environment. No flag can do this: `-cluster` would drop
 * the cluster's login.
 */
export async function withRoutes(
  config: string,
  { port }: Pick<Situation, "port">,
  env: NodeJS.ProcessEnv = {},
): Promise<string> {
  const start = /"?\bcluster"?\s*[:=]?\s*\{/.exec(config);
  if (!start) return config;
  const end = closing(config, start.index + start[0].length);
  let block = config
    .slice(start.index, end)
    .replace(/\$(\w+)/g, (variable, name: string) => (env[name]?.includes("://") ? env[name] : variable));
  const listens = /("?)\bport\1\s*[:=]?\s*(\d+)/.exec(block);
  if (listens) {
    block = block.replace(listens[0], `"listen": "127.0.0.1:${await port(Number(listens[2]))}"`);
  }
  // scheme://login@pod.service...:port
  for (const [url, head, pod, number] of block.matchAll(
    /(\w+:\/\/(?:[^@\s"/]*@)?)([a-z0-9-]+)(?:\.[a-z0-9.-]+):(\d+)/g,
  )) {
    block = block.replace(url, `${head}127.0.0.1:${await port(Number(number), pod)}`);
  }
  return config.slice(0, start.index) + block + config.slice(end);
}

/** Index after the brace that closes the block whose content starts at `from`; braces in texts do not count. */
function closing(config: string, from: number): number {
  let depth = 1;
  for (const match of config.slice(from).matchAll(/"(?:[^"\\]|\\.)*"|[{}]/g)) {
    if (match[0] === "{") depth++;
    if (match[0] === "}" && --depth === 0) return from + match.index + 1;
  }
  return config.length;
}
