import * as fs from "node:fs";
import * as path from "node:path";
import type { KubernetesObject, V1Pod } from "@kubernetes/client-node";
import { Client as Postgres } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { schemaJob, schemaScript, service } from "../../../components/postgres/manifests";
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
/** Two sets of passwords, the second one for the rotation. */
const FIRST = { POSTGRES_PASSWORD: "first-Admin.1", NOETL_PASSWORD: "first-Noetl.1" };
const SECOND = { POSTGRES_PASSWORD: "second-Admin.2", NOETL_PASSWORD: "second-Noetl.2" };

let cluster: Cluster;
let client: Client;

beforeAll(async () => {
  cluster = await launch();
  client = new Client(cluster);
});
afterAll(() => cluster?.stop());

/** The schema's Job as the component makes it, with a name and without a second try. */
function job(name: string, secretName: string, image = IMAGE): KubernetesObject {
  const { metadata, spec } = schemaJob({
    namespace: NAMESPACE,
    image,
    scriptConfigMap: "schema-script",
    secretName,
    host: HOST,
    port: 5432,
    adminUser: "postgres",
    database: "noetl",
    noetlUser: "noetl",
    databaseIdentity: name,
  }) as { metadata: object; spec: object };
  return object("batch/v1", "Job", { metadata: { ...metadata, name }, spec: { ...spec, backoffLimit: 0 } });
}

/** Runs the Job and waits for its pod to end: its exit code, log, and what the pod's status says. */
async function load(name: string, secretName: string, image?: string) {
  await client.create(job(name, secretName, image));
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

/** Runs statements as a role, over TCP and with its password as every pod does. */
async function query(user: string, password: string, ...statements: string[]): Promise<unknown[][]> {
  const names = JSON.parse(fs.readFileSync(namesFile(cluster.dir), "utf8")) as Record<string, number>;
  const port = names[`${HOST}:5432`] ?? 0;
  const connection = new Postgres({ host: "127.0.0.1", port, user, password, database: "noetl" });
  await connection.connect();
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
      object("v1", "Service", service({ namespace: NAMESPACE })),
      postgres(NAMESPACE, "first"),
      object("v1", "ConfigMap", {
        metadata: { name: "schema-script", namespace: NAMESPACE },
        data: { "load_schema.py": schemaScript() },
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
    const { phase, exitCode, message, log } = await load("broken-ddl", "first", image);
    expect({ phase, exitCode }).toEqual({ phase: "Failed", exitCode: 1 });
    expect(message).toContain('loading the schema failed: syntax error at or near "TABL"');
    expect(message).toContain("LINE 2: CREATE TABL noetl.event");
    expect(log.trim()).toBe(message);
    expect(await query("postgres", FIRST.POSTGRES_PASSWORD, "SELECT to_regclass('noetl.half')")).toEqual([[null]]);
  });

  it("a Job whose image carries no schema says so", async () => {
    fs.mkdirSync(path.join(imageFolder(cluster.dir, "noetl:empty"), "noetl"), { recursive: true });
    const { phase, message } = await load("no-ddl", "first", "noetl:empty");
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

  it("new passwords take the place of the old ones on the same volume", async () => {
    const before = await postgresIsReady();
    await client.create(secretOf(NAMESPACE, "second", SECOND));
    await client.replaceStatefulSet(postgres(NAMESPACE, "second"));
    await postgresIsReady(({ metadata }) => metadata?.uid !== before.metadata?.uid);
    expect(await load("rotated", "second")).toMatchObject({ phase: "Succeeded" });

    expect(await query("noetl", SECOND.NOETL_PASSWORD, "SELECT event_type FROM noetl.event")).toEqual([["kept"]]);
    expect(await query("postgres", SECOND.POSTGRES_PASSWORD, "SELECT 1")).toEqual([[1]]);
    await expect(query("noetl", FIRST.NOETL_PASSWORD, "SELECT 1")).rejects.toThrow("password authentication failed");
    await expect(query("postgres", FIRST.POSTGRES_PASSWORD, "SELECT 1")).rejects.toThrow(
      "password authentication failed",
    );
    const pod = await postgresIsReady();
    for (const password of Object.values({ ...FIRST, ...SECOND })) {
      expect(await client.log(pod)).not.toContain(password);
    }
  });

  it("a server with a wrong password says so again and again, and does not get ready", async () => {
    await client.namespace("wrong");
    await client.create(
      serviceOf("wrong", "noetl", "noetl-server", 8082),
      noetl("wrong", "server", "nats", databaseOf("wrong-Noetl.9")),
    );
    const pod = await client.pod("wrong", "noetl-server", () => true);
    const words =
      `error connecting in 'noetl_server': connection failed: connection to server at "${HOST}", port 5432 failed: ` +
      'FATAL:  password authentication failed for user "noetl"';
    await until("its words, twice", async () => (await client.log(pod)).split(words).length > 2 || undefined);
    expect(isReady(pod)).toBe(false);
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
