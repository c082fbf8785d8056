import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { promisify } from "node:util";
import type { DatabaseTools } from "../../toolchain/database";
import { CreateError, type Program } from "../container";
import { isRoot, openFolder } from "../places";
import type { Situation } from "./situation";

const run = promisify(execFile);

const PORT = 5432;
const HOOK_TIMEOUT_MS = 120_000;
const PROBE_TIMEOUT_MS = 5000;

/**
 * What the official image does at start-up: an empty data folder gets a cluster with the administrator and password of
 * the environment, trust over the local socket and passwords over TCP, and a database named like the administrator.
 * Nothing here outlives a crash of the machine, so nothing is synced.
 */
const ENTRYPOINT = `
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  if [ -z "$POSTGRES_PASSWORD" ]; then
    echo "Error: Database is uninitialized and superuser password is not specified." >&2
    exit 1
  fi
  printf '%s\\n' "$POSTGRES_PASSWORD" | initdb --username="$POSTGRES_USER" --pwfile=/dev/stdin \\
    --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 --locale=C --no-sync --wal-segsize=1
  if [ "\${POSTGRES_DB:=$POSTGRES_USER}" != postgres ]; then
    echo "CREATE DATABASE \\"$POSTGRES_DB\\"" | postgres --single postgres > /dev/null
  fi
fi
exec postgres "$@"
`;

/** A real Postgres with the deployed environment, its data on the pod's volume. */
export async function postgres(situation: Situation): Promise<Program> {
  const { pod, container, tools } = situation;
  const deployed = await situation.sources.environment(container);
  const place = await situation.mounts();
  const data = place(deployed.PGDATA ?? "/var/lib/postgresql/data");
  if (data === undefined) throw new CreateError("CreateContainerError", "no volume is mounted for the data");

  const user = isRoot ? unprivileged() : undefined;
  const own = (folder: string): void => {
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (user) fs.chownSync(folder, user.uid, user.gid);
  };
  const sockets = path.join(openFolder(situation.dir), `${pod.metadata?.namespace}-${pod.metadata?.name}`);
  for (const folder of [path.dirname(data), data, sockets]) own(folder);
  const bin = await programs(situation.dir, tools.database);
  const port = String(await situation.port(PORT));
  const env = {
    ...deployed,
    PATH: [bin, process.env.PATH].join(path.delimiter),
    POSTGRES_USER: deployed.POSTGRES_USER ?? "postgres",
    PGDATA: data,
    // For the hook and the probes, which connect over the local socket.
    PGHOST: sockets,
    PGPORT: port,
  };
  const settings = {
    listen_addresses: "127.0.0.1",
    port,
    unix_socket_directories: sockets,
    fsync: "off",
    shared_buffers: "16MB",
    io_method: "sync",
  };
  const execute = async (command: readonly string[], timeout: number): Promise<void> => {
    const [file = "", ...args] = command;
    await run(file, args, { env, timeout, ...user });
  };
  const hook = container.lifecycle?.postStart?.exec?.command;
  const probe = container.readinessProbe?.exec?.command;
  return {
    command: "sh",
    args: [
      "-ec",
      ENTRYPOINT,
      "postgres",
      ...Object.entries(settings).flatMap(([key, value]) => ["-c", `${key}=${value}`]),
    ],
    env,
    user,
    postStart: hook ? () => execute(hook, HOOK_TIMEOUT_MS) : undefined,
    isReady: () =>
      execute(probe ?? ["pg_isready", "-q"], PROBE_TIMEOUT_MS).then(
        () => true,
        () => false,
      ),
    probeSeconds: container.readinessProbe?.periodSeconds ?? 10,
    // Fast shutdown: what the image asks its runtime for.
    stopSignal: "SIGINT",
  };
}

/**
 * Postgres refuses to run as root, and initdb as a user that this machine does not know, such as the pod's. So it runs
 * as `nobody`.
 */
function unprivileged(): { uid: number; gid: number } {
  const [, uid, gid] = /^nobody:[^:]*:(\d+):(\d+):/m.exec(fs.readFileSync("/etc/passwd", "utf8")) ?? [];
  if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  throw new CreateError("CreateContainerError", "Postgres does not run as root, and this machine has no user nobody");
}

/** Folder of the server's programs; a copy where the server's user cannot be expected to reach the tool cache. */
async function programs(dir: string, { postgresRoot, postgresBin }: DatabaseTools): Promise<string> {
  if (!isRoot) return path.join(postgresRoot, postgresBin);
  const copy = path.join(openFolder(dir), "postgres");
  if (!fs.existsSync(copy)) {
    const unfinished = fs.mkdtempSync(`${copy}-`);
    fs.chmodSync(unfinished, 0o755);
    await fs.promises.cp(postgresRoot, unfinished, { recursive: true });
    // Another pod may have been faster.
    if (fs.existsSync(copy)) fs.rmSync(unfinished, { recursive: true });
    else fs.renameSync(unfinished, copy);
  }
  return path.join(copy, postgresBin);
}
