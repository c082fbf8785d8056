import * as fs from "node:fs";
import * as path from "node:path";
import type { KubernetesObject, V1Pod } from "@kubernetes/client-node";
import { Client as Postgres } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  retireJob,
  schemaJob,
  type SchemaJobArgs,
  scripts,
  SERVER_SECRET,
  service,
} from "../../../components/postgres/manifests";
import type { Cluster } from "../../../embedded/cluster";
import { imageFolder, namesFile } from "../../../embedded/cluster/places";
import {
  Client,
  isReady,
  launch,
  natsObjects,
  noetl,
  object,
  postgres,
  secret as secretOf,
  service as serviceOf,
  until,
} from "../../support/cluster";

const NAMESPACE = "postgres";
const HOST = "postgres.postgres.svc.cluster.local";
const IMAGE = "ghcr.io/noetl/noetl:v2.8.9";
/** Sets of passwords, one after the other. */
const FIRST = { POSTGRES_PASSWORD: "first-Admin.1", NOETL_PASSWORD: "first-Noetl.1" };
const SECOND = { POSTGRES_PASSWORD: "second-Admin.2", NOETL_PASSWORD: "second-Noetl.2" };
const THIRD = { POSTGRES_PASSWORD: "third-Admin.3", NOETL_PASSWORD: "third-Noetl.3" };
const REFUSED = "password authentication failed";

let cluster: Cluster;
let client: Client;

beforeAll(async () => {
  cluster = await launch();
  client = new Client(cluster);
});
afterAll(() => cluster?.stop());

/** What a Job is, where it is not the one that loads the schema as NoETL's role itself. */
interface JobOptions extends Partial<SchemaJobArgs> {
  makes?: typeof schemaJob;
  env?: { name: string; value: string }[];
}

/** The Job as the component makes it, with a name and without a second try. */
function job(name: string, secretName: string, { makes = schemaJob, env = [], ...more }: JobOptions): KubernetesObject {
  const { metadata, spec } = makes({
    namespace: NAMESPACE,
    image: IMAGE,
    scriptConfigMap: "schema-script",
    secretName,
    host: HOST,
    port: 5432,
    adminUser: "postgres",
    database: "noetl",
    noetlUser: "noetl",
    databaseIdentity: name,
    ...more,
  }) as { metadata: object; spec: { template: { spec: { containers: { env: object[] }[] } } } };
  spec.template.spec.containers[0]?.env.push(...env);
  return object("batch/v1", "Job", { metadata: { ...metadata, name }, spec: { ...spec, backoffLimit: 0 } });
}

/** Runs the Job and waits for its pod to end: its exit code, log, and what the pod's status says. */
async function load(name: string, secretName: string, options: JobOptions = {}) {
  await client.create(job(name, secretName, options));
  let pod: V1Pod | undefined;
  await until(`the pod of Job ${name}`, async () => {
    const { items } = await client.core.listNamespacedPod({ namespace: NAMESPACE, labelSelector: `job-name=${name}` });
    pod = items.find(({ status }) => ["Succeeded", "Failed"].includes(status?.phase ?? ""));
    return pod;
  });
  const terminated = pod?.status?.containerStatuses?.[0]?.state?.terminated;
  return {
    phase: pod?.status?.phase,
    exitCode: terminated?.exitCode,
    message: terminated?.message ?? "",
    log: pod ? await client.log(pod) : "",
  };
}

async function session(user: string, password: string): Promise<Postgres> {
  const names = JSON.parse(fs.readFileSync(namesFile(cluster.dir), "utf8")) as Record<string, number>;
  const port = names[`${HOST}:5432`] ?? 0;
  const connection = new Postgres({ host: "127.0.0.1", port, user, password, database: "noetl" });
  await connection.connect();
  return connection;
}

/** Runs statements as a role, over TCP and with its password as every pod does. */
async function query(user: string, password: string, ...statements: string[]): Promise<unknown[][]> {
  const connection = await session(user, password);
  try {
    const rows: unknown[][] = [];
    for (const text of statements)
      rows.push((await connection.query<unknown[]>({ text, rowMode: "array" })).rows.flat());
    return rows;
  } finally {
    await connection.end();
  }
}

const postgresIsReady = (fresh: (pod: V1Pod) => boolean = () => true) =>
  client.pod(NAMESPACE, "postgres-0", (pod) => isReady(pod) && fresh(pod));

// In this order: each step starts from what the one before left.
describe("Postgres and the schema's Job", () => {
  it("pod postgres-0 is a real Postgres that writes its log", async () => {
    for (const name of [NAMESPACE, "nats", "noetl"]) await client.namespace(name);
    await client.create(
      secretOf(NAMESPACE, "first", FIRST),
      secretOf(NAMESPACE, SERVER_SECRET, FIRST),
      object("v1", "Service", service({ namespace: NAMESPACE })),
      postgres(NAMESPACE, SERVER_SECRET),
      object("v1", "ConfigMap", {
        metadata: { name: "schema-script", namespace: NAMESPACE },
        data: scripts(),
      }),
      ...natsObjects("nats"),
      noetl("noetl", "server", "nats", databaseOf(FIRST.NOETL_PASSWORD)),
    );
    const pod = await postgresIsReady();
    expect(await client.log(pod)).toContain("database system is ready to accept connections");
  });

  it("a server without its schema waits and says why", async () => {
    await until("the reason", async () => {
      const pod = await client.pod("noetl", "noetl-server", () => true);
      return (await client.log(pod)).includes('password authentication failed for user "noetl"') || undefined;
    });
  });

  it("a Job whose administrator's password is wrong fails at once and says so", async () => {
    await client.create(secretOf(NAMESPACE, "wrong", { ...FIRST, POSTGRES_PASSWORD: "wrong-Admin.9" }));
    const { phase, message } = await load("wrong-password", "wrong");
    expect(phase).toBe("Failed");
    expect(message).toContain(`cannot connect to database postgres at ${HOST}`);
    expect(message).toContain('password authentication failed for user "postgres"');
    expect(message).not.toContain("wrong-Admin.9");
  });

  it("a Job whose image's DDL has an error fails with the end of its log, and leaves nothing half-loaded", async () => {
    const image = "noetl:broken";
    ddlOf(image, "CREATE TABLE noetl.half (id int);\nCREATE TABL noetl.event (id int);\n");
    const { phase, exitCode, message, log } = await load("broken-ddl", "first", { image });
    expect({ phase, exitCode }).toEqual({ phase: "Failed", exitCode: 1 });
    expect(message).toContain('loading the schema failed: syntax error at or near "TABL"');
    expect(message).toContain("LINE 2: CREATE TABL noetl.event");
    expect(log.trim()).toBe(message);
    expect(await query("postgres", FIRST.POSTGRES_PASSWORD, "SELECT to_regclass('noetl.half')")).toEqual([[null]]);
  });

  it("a Job whose image carries no schema says so", async () => {
    fs.mkdirSync(path.join(imageFolder(cluster.dir, "noetl:empty"), "noetl"), { recursive: true });
    const { phase, message } = await load("no-ddl", "first", { image: "noetl:empty" });
    expect(phase).toBe("Failed");
    expect(message).toContain("the NoETL image carries no schema (noetl/database/ddl/postgres/schema_ddl.sql)");
  });

  it("loads the schema of the NoETL image, and the server finds it", async () => {
    expect(await load("first", "first")).toMatchObject({
      phase: "Succeeded",
      exitCode: 0,
      log: "schema noetl of database noetl is loaded\n",
    });
    await client.pod("noetl", "noetl-server", isReady);
  });

  it("NoETL's role can work with the schema, and do nothing else", async () => {
    const password = FIRST.NOETL_PASSWORD;
    const [, found] = await query(
      "noetl",
      password,
      "INSERT INTO noetl.event (execution_id, event_type) VALUES (1, 'kept')",
      "SELECT event_type FROM noetl.event_log",
    );
    expect(found).toEqual(["kept"]);
    const [rights] = await query(
      "noetl",
      password,
      "SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication FROM pg_roles WHERE rolname = current_user",
    );
    expect(rights).toEqual([false, false, false, false]);
    await expect(query("noetl", password, "CREATE ROLE another")).rejects.toThrow("permission denied");
    await expect(query("noetl", password, "SELECT rolpassword FROM pg_authid")).rejects.toThrow("permission denied");
  });

  it("loads it again without harm", async () => {
    expect(await load("again", "first")).toMatchObject({ phase: "Succeeded", message: "" });
    expect(await query("noetl", FIRST.NOETL_PASSWORD, "SELECT event_type FROM noetl.event")).toEqual([["kept"]]);
  });

  /** The second, third ... login of NoETL's role. */
  const login = (number: number): JobOptions => ({ noetlUser: `noetl_${number}`, noetlRole: "noetl" });
  const retires = (number: number, seconds = 1): JobOptions => ({
    ...login(number),
    makes: retireJob,
    env: [{ name: "SESSIONS_SECONDS", value: String(seconds) }],
  });
  const kept = [["kept"]];
  const events = (user: string, password: string) => query(user, password, "SELECT event_type FROM noetl.event");
  const asAdmin = (...statements: string[]) => query("postgres", SECOND.POSTGRES_PASSWORD, ...statements);

  it("the administrator's new password is set in the database, whichever it had before, and nothing restarts", async () => {
    const server = ({ metadata, status }: V1Pod) => [metadata?.uid, status?.containerStatuses?.[0]?.restartCount];
    const before = server(await postgresIsReady());
    const former = JSON.stringify(["never-Admin.0", FIRST.POSTGRES_PASSWORD]);
    await client.create(secretOf(NAMESPACE, "second", { ...SECOND, POSTGRES_FORMER_PASSWORDS: former }));
    const options = { ...login(2), setsAdminPassword: true };
    expect(await load("administrator", "second", options)).toMatchObject({
      phase: "Succeeded",
      log: "the administrator has another password now\nschema noetl of database noetl is loaded\n",
    });
    expect(await asAdmin("SELECT 1")).toEqual([[1]]);
    await expect(query("postgres", FIRST.POSTGRES_PASSWORD, "SELECT 1")).rejects.toThrow(REFUSED);
    expect(server(await postgresIsReady())).toEqual(before);
  });

  it("lets a new login of NoETL's role in beside the old one, and both work as that role", async () => {
    expect(await events("noetl", FIRST.NOETL_PASSWORD)).toEqual(kept);
    expect(
      await query(
        "noetl_2",
        SECOND.NOETL_PASSWORD,
        "SELECT event_type FROM noetl.event",
        "SELECT session_user::text, current_user::text",
        "CREATE TABLE noetl.made (id int)",
        "SELECT tableowner::text FROM pg_tables WHERE tablename = 'made'",
      ),
    ).toEqual([["kept"], ["noetl_2", "noetl"], [], ["noetl"]]);
  });

  it("goes on with yet another one where that was interrupted, and nobody is refused before everything has moved", async () => {
    await client.create(secretOf(NAMESPACE, "third", { ...SECOND, NOETL_PASSWORD: THIRD.NOETL_PASSWORD }));
    expect(await load("third-login", "third", login(3))).toMatchObject({ phase: "Succeeded" });
    // What an update that was killed has left behind runs on.
    const late = await load("retire-late", "second", retires(2));
    expect(late).toMatchObject({ phase: "Failed" });
    expect(late.message).toContain("another update has let in another login of noetl");
    const logins = [FIRST, SECOND, THIRD].map(({ NOETL_PASSWORD: password }, index) =>
      events(index === 0 ? "noetl" : `noetl_${index + 1}`, password),
    );
    expect(await Promise.all(logins)).toEqual([kept, kept, kept]);
  });

  it("then refuses all but the newest, ends what they left open, and leaves no role of theirs", async () => {
    const left = await session("noetl", FIRST.NOETL_PASSWORD);
    const ended = new Promise<Error>((resolve) => left.on("error", resolve));
    const retired = await load("retire", "third", retires(3));
    expect(retired).toMatchObject({ phase: "Succeeded" });
    expect(retired.log).toContain("ending a session of noetl, which is still open\n");
    expect(retired.log).toMatch(/NoETL's role noetl logs in as noetl_3 alone\n$/);
    expect(await events("noetl_3", THIRD.NOETL_PASSWORD)).toEqual(kept);
    await expect(events("noetl", FIRST.NOETL_PASSWORD)).rejects.toThrow(REFUSED);
    await expect(events("noetl_2", SECOND.NOETL_PASSWORD)).rejects.toThrow(REFUSED);
    expect((await ended).message).toContain("terminating connection due to administrator command");
    expect(await asAdmin("SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'noetl%' ORDER BY 1")).toEqual([
      ["noetl", "noetl_3"],
    ]);
    expect(await load("retire-again", "third", retires(3))).toMatchObject({ phase: "Succeeded", message: "" });
  });

  it("refuses nobody who is still in a session, as a worker that finishes its command, until that has ended", async () => {
    expect(await load("fifth-login", "third", login(5))).toMatchObject({ phase: "Succeeded" });
    const leaving = await session("noetl_3", THIRD.NOETL_PASSWORD);
    const retired = load("retire-patiently", "third", retires(5, 120));
    const labelSelector = "job-name=retire-patiently";
    await until("the Job to wait", async () => {
      const { items } = await client.core.listNamespacedPod({ namespace: NAMESPACE, labelSelector });
      const [pod] = items.filter(({ status }) => status?.phase === "Running");
      return (pod && (await client.log(pod)).includes("waiting for the sessions of noetl_3\n")) || undefined;
    });
    // As its pool does.
    expect(await events("noetl_3", THIRD.NOETL_PASSWORD)).toEqual(kept);
    await leaving.end();
    expect(await retired).toMatchObject({ phase: "Succeeded" });
    await expect(events("noetl_3", THIRD.NOETL_PASSWORD)).rejects.toThrow(REFUSED);
    expect(await events("noetl_5", THIRD.NOETL_PASSWORD)).toEqual(kept);
  });

  it("takes nobody's role for a login", async () => {
    await asAdmin("CREATE ROLE noetl_4 LOGIN PASSWORD 'somebody-else'");
    const { phase, message } = await load("taken", "third", login(4));
    expect(phase).toBe("Failed");
    expect(message).toContain("role noetl_4 is somebody else's, and NoETL cannot log in with it");
    expect(await query("noetl_4", "somebody-else", "SELECT 1")).toEqual([[1]]);
  });

  it("needs no superuser, which no service of a cloud has", async () => {
    await asAdmin(`CREATE ROLE cloud LOGIN CREATEROLE CREATEDB PASSWORD '${SECOND.POSTGRES_PASSWORD}'`);
    const cloud = { adminUser: "cloud", database: "cloud", noetlRole: "flows" };
    for (const [name, options] of Object.entries({
      "cloud-first": { ...cloud, noetlUser: "flows" },
      "cloud-second": { ...cloud, noetlUser: "flows_2" },
      "cloud-retire": { ...retires(2), ...cloud, noetlUser: "flows_2" },
    })) {
      expect(await load(name, "third", options), name).toMatchObject({ phase: "Succeeded" });
    }
    const found = await query("flows_2", THIRD.NOETL_PASSWORD, "SELECT current_user::text");
    expect(found).toEqual([["flows"]]);
    await expect(query("flows", THIRD.NOETL_PASSWORD, "SELECT 1")).rejects.toThrow(REFUSED);
  });

  it("a server that starts sets the administrator's password that its Secret has", async () => {
    const before = await postgresIsReady();
    await client.core.deleteNamespacedSecret({ namespace: NAMESPACE, name: SERVER_SECRET });
    await client.create(secretOf(NAMESPACE, SERVER_SECRET, THIRD));
    await client.core.deleteNamespacedPod({ namespace: NAMESPACE, name: "postgres-0" });
    const pod = await postgresIsReady(({ metadata }) => metadata?.uid !== before.metadata?.uid);
    expect(await query("postgres", THIRD.POSTGRES_PASSWORD, "SELECT 1")).toEqual([[1]]);
    await expect(asAdmin("SELECT 1")).rejects.toThrow(REFUSED);
    for (const password of [FIRST, SECOND, THIRD].flatMap((each) => Object.values(each))) {
      expect(await client.log(pod)).not.toContain(password);
    }
  });

  it("a server with a wrong password says so again and again, and does not get ready", async () => {
    await client.namespace("wrong");
    await client.create(
      serviceOf("wrong", "noetl", "noetl-server", 8082),
      noetl("wrong", "server", "nats", databaseOf("wrong-Noetl.9")),
    );
    const pod = await client.pod("wrong", "noetl-server", ({ status }) => status?.phase === "Running");
    const words =
      `error connecting in 'noetl_server': connection failed: connection to server at "${HOST}", port 5432 failed: ` +
      'FATAL:  password authentication failed for user "noetl"';
    await until("its words, twice", async () => (await client.log(pod)).split(words).length > 2 || undefined);
    expect(isReady(await client.pod("wrong", "noetl-server", () => true))).toBe(false);
  });

  it("a deleted claim's data is gone", async () => {
    const folders = async () =>
      (await client.core.listPersistentVolume()).items.map(({ spec }) => spec?.hostPath?.path ?? "").filter(Boolean);
    const before = await folders();
    expect(before.length).toBeGreaterThan(1);
    await client.deleteStatefulSet(NAMESPACE, "postgres");
    await client.core.deleteNamespacedPersistentVolumeClaim({ name: "data-postgres-0", namespace: NAMESPACE });
    await until("the volume's end", async () => ((await folders()).length === before.length - 1 ? true : undefined));
    const left = await folders();
    expect(before.filter((folder) => fs.existsSync(folder)).sort()).toEqual(left.sort());
  });
});

function databaseOf(password: string): Record<string, string> {
  return { POSTGRES_HOST: HOST, POSTGRES_PORT: "5432", NOETL_PASSWORD: password, NOETL_DB_RETRY_INTERVAL: "1" };
}

/** Gives an image a NoETL package with this schema. */
function ddlOf(image: string, ddl: string): void {
  const folder = path.join(imageFolder(cluster.dir, image), "noetl", "database", "ddl", "postgres");
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, "schema_ddl.sql"), ddl);
}
