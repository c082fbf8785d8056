import * as fs from "node:fs";
import * as path from "node:path";
import type { V1Pod } from "@kubernetes/client-node";
import { CreateError, type Program } from "../container";
import { answers } from "../probe";
import type { Situation } from ".";

const [CLIENT, MONITOR] = [4222, 8222];
/** Ports that nats-server listens on in a pod. */
export const NATS_PORTS = [CLIENT, MONITOR] as const;
/** How often a changed ConfigMap is looked for. */
const RELOAD_MS = 2000;

/** nats-server with the deployed nats.conf and the deployed environment. */
export async function nats(situation: Situation): Promise<Program> {
  const { pod, container, sources, folder, dir } = situation;
  const env = await sources.environment(container);
  const claim = pod.spec?.volumes?.find((each) => each.persistentVolumeClaim)?.persistentVolumeClaim?.claimName;
  const store = claim
    ? path.join(dir, "volumes", pod.metadata?.namespace ?? "", claim)
    : path.join(folder, "volumes", "store");
  fs.mkdirSync(store, { recursive: true, mode: 0o700 });
  const file = path.join(folder, "nats.conf");
  const deployed = () => sources.key("configmap", configMapOf(pod), "nats.conf");
  const write = (config: string) => fs.writeFileSync(file, withStore(config, store), { mode: 0o600 });
  let config = await deployed();
  write(config);

  // Flags win over the file, so the deployed file runs as it is but for the places that cannot be the same here.
  const [client, monitor] = await Promise.all([situation.port(CLIENT), situation.port(MONITOR)]);
  const args = ["-c", file, "-a", "127.0.0.1", "-p", String(client), "-m", String(monitor)];
  let readAt = Date.now();
  const reloads = pod.spec?.containers.some((each) => each.name === "reloader") ?? false;
  return {
    command: situation.tools.natsServer,
    args: [...args, "-P", path.join(folder, "nats.pid")],
    env,
    isReady: () => answers(`http://127.0.0.1:${monitor}/healthz?js-server-only=true`),
    // A changed ConfigMap makes nats-server read its configuration again, as the reloader container does.
    refresh: async (signal) => {
      if (!reloads || Date.now() - readAt < RELOAD_MS) return;
      readAt = Date.now();
      const found = await deployed();
      if (found === config) return;
      config = found;
      write(config);
      signal("SIGHUP");
    },
  };
}

function configMapOf(pod: V1Pod): string {
  const name = pod.spec?.volumes?.find((each) => each.configMap)?.configMap?.name;
  if (name === undefined) throw new CreateError("CreateContainerError", "the pod mounts no ConfigMap with nats.conf");
  return name;
}

/** The configuration with its store elsewhere. No flag can do this: nats-server refuses `-sd` beside a `store_dir`. */
function withStore(config: string, store: string): string {
  return config.replace(
    /("?store_?dir"?\s*[:=]?\s*)("[^"]*"|[^\s,}]+)/,
    (_, key: string) => key + JSON.stringify(store),
  );
}
