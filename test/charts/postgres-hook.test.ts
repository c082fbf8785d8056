/** Postgres' postStart hook and probes, against a real Postgres that starts as the official image starts it. */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { setPassword, statefulSet } from "../../components/postgres/manifests";
import { projectRoot } from "../../contract/project";
import { type DatabaseTools, ensureDatabaseTools } from "../../embedded/toolchain/database";
import { closedPort, until } from "../support/nats";

const OLD = "old-canary-password";
const NEW = "new-canary-password";

let folder: string;
let bin: string;
let port: number;
let tools: DatabaseTools;
/** Postgres does not run as root. */
const unprivileged = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
const children: ChildProcess[] = [];

const environment = (password: string): NodeJS.ProcessEnv => ({
  PATH: [bin, process.env.PATH].join(path.delimiter),
  POSTGRES_USER: "postgres",
  POSTGRES_PASSWORD: password,
  PGHOST: folder,
  PGPORT: String(port),
});

interface Ended {
  code: number;
  output: string;
}
const run = (command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<Ended> =>
  new Promise((resolve) => {
    execFile(command, args, { env, timeout: 60_000, ...unprivileged }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, output: stdout + stderr }),
    );
  });
const hook = (password: string, seconds = 60) => run("sh", ["-ec", setPassword(seconds)], environment(password));

/** A server on the data folder; `addresses` empty listens on the socket alone, as the image's temporary one does. */
async function server(addresses: string): Promise<{ stop(): Promise<void> }> {
  const settings = {
    port,
    listen_addresses: addresses,
    unix_socket_directories: folder,
    fsync: "off",
    io_method: "sync",
  };
  const flags = Object.entries(settings).flatMap(([key, value]) => ["-c", `${key}=${value}`]);
  const child = spawn(path.join(bin, "postgres"), ["-D", path.join(folder, "data"), ...flags], {
    stdio: "ignore",
    env: environment(OLD),
    ...unprivileged,
  });
  children.push(child);
  await until("the server's socket", async () =>
    (await run("pg_isready", ["-q", "-h", folder], environment(OLD))).code === 0 ? true : undefined,
  );
  return {
    stop: async () => {
      const ended = once(child, "exit");
      child.kill("SIGINT");
      await ended;
    },
  };
}

const login = (password: string) =>
  run("psql", ["-h", "127.0.0.1", "-U", "postgres", "-d", "postgres", "-tAc", "SELECT 1"], {
    ...environment(password),
    PGPASSWORD: password,
  });

beforeAll(async () => {
  tools = await ensureDatabaseTools();
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-hook-"));
  // The server's user cannot be expected to reach the tool cache.
  await fs.promises.cp(tools.postgresRoot, path.join(folder, "postgres"), { recursive: true });
  bin = path.join(folder, "postgres", tools.postgresBin);
  fs.chmodSync(folder, 0o755);
  if (unprivileged.uid !== undefined) fs.chownSync(folder, unprivileged.uid, unprivileged.gid);
  port = await closedPort();
  const passwordFile = path.join(folder, "initial");
  fs.writeFileSync(passwordFile, OLD, { mode: 0o644 });
  const args = [
    "-D",
    path.join(folder, "data"),
    "-U",
    "postgres",
    `--pwfile=${passwordFile}`,
    "--auth-local=trust",
    "--encoding=UTF8",
  ];
  const made = await run("initdb", [...args, "--auth-host=scram-sha-256", "--no-sync"], environment(OLD));
  expect(made.code, made.output).toBe(0);
}, 120_000);
afterAll(() => {
  for (const child of children) child.kill("SIGKILL");
  fs.rmSync(folder, { recursive: true, force: true });
});

describe("the hook", () => {
  it("is not taken in by the image's temporary server, and sets the password once the real one is there", async () => {
    const temporary = await server("");
    const hooked = hook(NEW);
    let ended = false;
    void hooked.then(() => (ended = true));
    // As long as the hook would have needed with a server that it believes in.
    await until(
      "the hook to ask twice",
      (() => {
        const from = Date.now();
        return () => (Date.now() - from > 2_500 ? true : undefined);
      })(),
    );
    expect(ended).toBe(false);
    await temporary.stop();
    const real = await server("127.0.0.1");
    expect(await hooked).toEqual({ code: 0, output: "" });
    expect((await login(NEW)).output).toBe("1\n");
    expect((await login(OLD)).code).not.toBe(0);
    await real.stop();
  });

  it("tries again where the server refuses, and says at its deadline what it refused, without the password", async () => {
    const real = await server("127.0.0.1");
    const { code, output } = await run("sh", ["-ec", setPassword(2)], { ...environment(NEW), POSTGRES_USER: "nobody" });
    expect(code).toBe(1);
    expect(output).toMatch(/could not be set within 2 s: .*role "nobody" does not exist/s);
    expect(output).not.toContain("canary");
    await real.stop();
  });

  it("says at its deadline that nobody answers over TCP", async () => {
    const temporary = await server("");
    const { code, output } = await hook(NEW, 1);
    expect([code, output]).toEqual([
      1,
      "the administrator's password could not be set within 1 s: the server does not answer over TCP\n",
    ]);
    await temporary.stop();
  });
});

describe("the limit of NoETL's connections", () => {
  /** As the schema's Job begins, without the schema. */
  const LET_IN = `
import load_schema
with load_schema.connect("postgres") as admin:
    load_schema.let_in(admin, "noetl", "noetl_2")
    limits = "SELECT rolname, rolconnlimit FROM pg_roles WHERE rolname ~ '^(noetl|postgres)' ORDER BY 1"
    print(dict(admin.execute(limits).fetchall()))
`;
  const letIn = (env: NodeJS.ProcessEnv) =>
    new Promise<Ended>((resolve) => {
      const { python } = tools;
      const all = { ...environment(""), PGHOST: "127.0.0.1", PGUSER: "postgres", PGPASSWORD: NEW, ...LOGIN, ...env };
      execFile(python, ["-c", LET_IN], { cwd: SCRIPTS, env: all, timeout: 60_000 }, (error, stdout, stderr) =>
        resolve({ code: error ? Number(error.code) : 0, output: stdout + stderr }),
      );
    });
  const LOGIN = { NOETL_PASSWORD: "canary-login", NOETL_ROLE: "noetl", PYTHONDONTWRITEBYTECODE: "1" };
  const SCRIPTS = path.join(projectRoot(), "components", "postgres");

  it("leaves some to others while NoETL holds all that it may, and is none where it is not asked for", async () => {
    const real = await server("127.0.0.1");
    try {
      expect((await hook(NEW)).code).toBe(0);
      expect(await letIn({})).toEqual({ code: 0, output: "{'noetl': -1, 'noetl_2': -1, 'postgres': -1}\n" });
      expect(await letIn({ NOETL_LEAVES_CONNECTIONS: "94" })).toEqual({
        code: 0,
        // Of 100, three of which are the superuser's.
        output: "{'noetl': -1, 'noetl_2': 3, 'postgres': -1}\n",
      });
      const place = { host: "127.0.0.1", port, database: "postgres", user: "noetl_2", password: "canary-login" };
      const clients = Array.from({ length: 3 }, () => new Client(place));
      await Promise.all(clients.map((client) => client.connect()));
      const refused = new Client(place);
      await expect(refused.connect()).rejects.toThrow('too many connections for role "noetl_2"');
      expect((await login(NEW)).output).toBe("1\n");
      await Promise.all(clients.map((client) => client.end()));
      // What would leave nothing leaves one.
      expect((await letIn({ NOETL_LEAVES_CONNECTIONS: "200" })).output).toContain("'noetl_2': 1,");
    } finally {
      await real.stop();
    }
  });
});

describe("the probes", () => {
  it("take the image's temporary server for none", async () => {
    const { spec } = statefulSet({
      namespace: "n",
      image: "postgres:17.4",
      adminUser: "postgres",
      secretName: "s",
      storageSize: "1Gi",
    }) as unknown as {
      spec: { template: { spec: { containers: Record<string, { exec: { command: string[] } }>[] } } };
    };
    const [container] = spec.template.spec.containers;
    const probes = ["startupProbe", "readinessProbe", "livenessProbe"].map((name) => container?.[name]?.exec.command);
    const codes = () =>
      Promise.all(
        probes.map(async (command) => (await run(command?.[0] ?? "", command?.slice(1) ?? [], environment(OLD))).code),
      );
    const temporary = await server("");
    expect(await codes()).toEqual([2, 2, 2]);
    await temporary.stop();
    const real = await server("127.0.0.1");
    await until("the server over TCP", async () => ((await codes()).every((code) => code === 0) ? true : undefined));
    await real.stop();
  });
});
