import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as path from "node:path";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { POOLER, pgbouncerIni, userList } from "../../../components/gcp/pgbouncer/manifests";
import { isRoot, makeOpenFolder, openFolder } from "../../../embedded/cluster/places";
import { freePorts } from "../../../embedded/cluster/ports";
import type { Program } from "../../../embedded/cluster/container";
import { postgres } from "../../../embedded/cluster/programs/postgres";
import { ensureDatabaseTools } from "../../../embedded/toolchain/database";
import { ensurePgBouncer } from "../../support/pgbouncer";

// What breaks URLs and quotes: the file of users must keep it.
const PASSWORDS = { noetl: `pa:ss,w"o{}r%d`, noetl_2: "second-1", noetl_admin: "admin-1" };
const POOL = { maxClientConnections: 600, poolSize: 3, minPoolSize: 1, reservePoolSize: 1, maxDbConnections: 6 };
type User = keyof typeof PASSWORDS;

let dir: string;
let ports: { database: number; pooler: number };
let user: Program["user"];
let server: ChildProcess;
let pooler: ChildProcess;
let log = "";
let tracksStatements: boolean;
/** Does something in the database as its administrator, beside the pooler. */
let asAdmin: (...statements: string[]) => Promise<void>;
const clients: Client[] = [];

async function until(what: string, works: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await works())) {
    if (Date.now() > deadline) throw new Error(`waited 60 s for ${what}; PgBouncer's log:\n${log}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A client of the pooler, as the deployed one is reached. */
async function connect(as: User, database = "noetl", password = PASSWORDS[as], options?: string): Promise<Client> {
  const client = new Client({ host: "127.0.0.1", port: ports.pooler, user: as, password, database, options });
  // A pooler that goes away says so also to those that ask nothing.
  client.on("error", () => undefined);
  await client.connect();
  clients.push(client);
  return client;
}

const one = async (client: Client, text: string, values: unknown[] = [], name?: string): Promise<unknown> =>
  Object.values(
    (await client.query<Record<string, unknown>>({ text, values, ...(name ? { name } : {}) })).rows[0] ?? {},
  )[0];

beforeAll(async () => {
  const { command, env, version } = ensurePgBouncer();
  tracksStatements = version[0] > 1 || version[1] >= 21;
  const [database = 0, listen = 0] = await freePorts(2);
  ports = { database, pooler: listen };
  dir = path.join("/tmp", `noetl-nats-pgbouncer-${process.pid}`);
  makeOpenFolder(dir);
  const open = openFolder(dir);
  const program = await postgres({
    pod: { metadata: { name: "pg", namespace: "test" } },
    container: { name: "postgres" },
    sources: {
      environment: () =>
        Promise.resolve({
          POSTGRES_USER: "noetl_admin",
          POSTGRES_PASSWORD: PASSWORDS.noetl_admin,
          POSTGRES_DB: "noetl",
          PGDATA: path.join(open, "data"),
        }),
    } as never,
    folder: open,
    dir,
    tools: { natsServer: "", database: await ensureDatabaseTools() },
    port: () => Promise.resolve(ports.database),
    mounts: () => Promise.resolve((file: string) => file),
    lookUp: () => undefined,
  });
  user = program.user;
  server = spawn(program.command, program.args, { env: program.env, ...user, stdio: "ignore" });
  await until("Postgres", () => program.isReady?.(0) ?? true);
  asAdmin = async (...statements) => {
    const password = PASSWORDS.noetl_admin;
    const place = { host: "127.0.0.1", port: ports.database, database: "noetl" };
    const admin = new Client({ ...place, user: "noetl_admin", password });
    await until("the database", () => admin.connect().then(() => true));
    for (const statement of statements) await admin.query(statement);
    await admin.end();
  };
  await asAdmin(
    `CREATE ROLE noetl LOGIN PASSWORD '${PASSWORDS.noetl}'`,
    "CREATE SCHEMA noetl AUTHORIZATION noetl",
    "CREATE TABLE noetl.found AS SELECT 'by the search path' AS how",
    "GRANT SELECT ON noetl.found TO noetl",
    // The next login of NoETL's, as load_schema.py lets it in.
    `CREATE ROLE noetl_2 LOGIN PASSWORD '${PASSWORDS.noetl_2}'`,
    "GRANT noetl TO noetl_2",
    "ALTER ROLE noetl_2 SET role TO 'noetl'",
  );

  const folder = path.join(open, "pooler");
  fs.mkdirSync(folder, { mode: 0o755 });
  const deployed = pgbouncerIni({ ...POOL, database: "noetl", adminUser: "noetl_admin" });
  // Other places than in the pod: ports, the file of users. Debian 12's version is older than the pod's and does not know
  // one key; without it prepared statements are not tried.
  const ini = deployed
    .replaceAll(`port=${POOLER.proxyPort}`, `port=${ports.database}`)
    .replace(`listen_port = ${POOLER.port}`, `listen_port = ${ports.pooler}`)
    .replace("listen_addr = 0.0.0.0", "listen_addr = 127.0.0.1")
    .replace(/^auth_file = .*$/m, `auth_file = ${path.join(folder, "userlist.txt")}`)
    .replace(/^max_prepared_statements = 200\n/m, (line) => (tracksStatements ? line : ""));
  fs.writeFileSync(path.join(folder, "pgbouncer.ini"), ini);
  fs.writeFileSync(path.join(folder, "userlist.txt"), userList(PASSWORDS));
  // The cache may be out of reach for the user that PgBouncer, which refuses to be root, runs as.
  let binary = { command, env };
  if (isRoot && env.LD_LIBRARY_PATH) {
    const root = path.resolve(path.dirname(command), "..", "..");
    fs.cpSync(root, path.join(open, "bin"), { recursive: true, verbatimSymlinks: true });
    binary = {
      command: path.join(open, "bin", "usr", "sbin", "pgbouncer"),
      env: { LD_LIBRARY_PATH: env.LD_LIBRARY_PATH.replaceAll(root, path.join(open, "bin")) },
    };
  }
  pooler = spawn(binary.command, [path.join(folder, "pgbouncer.ini")], {
    env: { ...process.env, ...binary.env },
    ...user,
    stdio: ["ignore", "ignore", "pipe"],
  });
  pooler.stderr?.on("data", (chunk: Buffer) => (log += chunk.toString()));
  await until("PgBouncer", () => /process up/.test(log));
});

afterAll(async () => {
  await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
  for (const [child, signal] of [
    [pooler, "SIGKILL"],
    [server, "SIGINT"],
  ] as const) {
    if (!child || child.exitCode !== null || child.signalCode !== null) continue;
    const gone = once(child, "close");
    child.kill(signal);
    await gone;
  }
  fs.rmSync(openFolder(dir), { recursive: true, force: true });
});

describe("a real PgBouncer with the deployed configuration, before a real Postgres", () => {
  it("takes the configuration without a complaint", () => {
    expect(log).not.toMatch(/ERROR|WARNING|FATAL/);
  });

  it("lets NoETL's user in by its password, to the schema that it expects, whatever options it sends", async () => {
    const client = await connect("noetl", "noetl", PASSWORDS.noetl, "-c search_path=public");
    expect(await one(client, "SHOW search_path")).toBe("noetl, public");
    expect(await one(client, "SELECT how FROM found")).toBe("by the search path");
    await expect(connect("noetl", "noetl", "wrong")).rejects.toThrow(/SASL|password/);
  });

  it("shares the pool's connections among all clients, by the transaction", async () => {
    const many = await Promise.all(Array.from({ length: 30 }, () => connect("noetl")));
    const pids = await Promise.all(many.map((client) => one(client, "SELECT pg_backend_pid() FROM pg_sleep(0.02)")));
    expect(new Set(pids).size).toBeLessThanOrEqual(POOL.poolSize + POOL.reservePoolSize);
    const named = tracksStatements ? "how" : undefined;
    const found = many.map((client, index) => one(client, "SELECT how || $1 FROM found", [String(index)], named));
    expect(await Promise.all(found)).toEqual(many.map((_, index) => `by the search path${index}`));
  });

  it("gives the administrator a session, which keeps its lock, in both databases", async () => {
    const [holder, other] = [await connect("noetl_admin"), await connect("noetl_admin")];
    await holder.query("SELECT pg_advisory_lock(7)");
    expect(await one(other, "SELECT pg_try_advisory_lock(7)")).toBe(false);
    expect(
      await one(holder, "SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"),
    ).toBe(1);
    await Promise.all([holder.end(), other.end()]);
    const maintenance = await connect("noetl_admin", "postgres");
    expect(await one(maintenance, "SELECT current_database()")).toBe("postgres");
    await maintenance.end();
  });

  it("serves both logins of NoETL's while pods move, as its role, and the old one no longer once the database refuses it", async () => {
    const [old, moved] = [await connect("noetl"), await connect("noetl_2")];
    for (const client of [old, moved]) expect(await one(client, "SELECT current_user::text")).toBe("noetl");
    const sessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'noetl'";
    await asAdmin("ALTER ROLE noetl WITH NOLOGIN PASSWORD NULL", sessions);
    // An older PgBouncer has the client wait, a newer one says what the database said; neither serves it.
    const answers: unknown[] = [];
    void one(old, "SELECT 1").then(
      (answer) => answers.push(answer),
      () => undefined,
    );
    await until("the database to refuse", () => /password authentication failed for user "noetl"/.test(log));
    expect(answers).toEqual([]);
    await old.end();
    expect(await one(moved, "SELECT how FROM found")).toBe("by the search path");
  });

  it("ends by the signal of the hook once what runs is through, although clients stay connected", async () => {
    const busy = await connect("noetl_2");
    const running = one(busy, "SELECT 'through' FROM pg_sleep(2)");
    const place = { host: "127.0.0.1", port: ports.database, database: "noetl" };
    const admin = new Client({ ...place, user: "noetl_admin", password: PASSWORDS.noetl_admin });
    await admin.connect();
    const runs =
      "SELECT count(*)::int FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%''through''%pg_sleep%'";
    await until(
      "the statement to run",
      async () => Number(await one(admin, `${runs} AND pid <> pg_backend_pid()`)) > 0,
    );
    await admin.end();
    const gone = once(pooler, "close") as Promise<[number]>;
    pooler.kill("SIGINT");
    expect(await running).toBe("through");
    expect(await gone).toEqual([0, null]);
  });
});
