import * as fs from "node:fs";
import * as path from "node:path";
import { Client as Postgres } from "pg";
import { describe, expect, it } from "vitest";
import { executeCheck } from "../../commands/doctor/execute";
import { projectRoot } from "../../contract/project";
import { imageFolder } from "../../embedded/cluster/places";
import { killEngines } from "../support/engine";
import { until } from "../support/nats";
import {
  DATABASE,
  FIRST,
  NOETL,
  STACK,
  addresses,
  cluster,
  config,
  dir,
  failingUp,
  kube,
  logInAs,
  nats,
  notHolding,
  onOneCluster,
  onOutput,
  podsOf,
  printed,
  readTarget,
  touched,
  uidOf,
  up,
  withStack,
} from "./support";

const DATABASE_SECOND = "canary-database-second~Password_4";
const SECOND = "7k-canary-second~Password_2";
const ROLE = "canary-role-Password.5";

/** Logs in at the database as any client does. */
async function logIn(user: string, password: string): Promise<void> {
  const port = addresses()["postgres.postgres.svc.cluster.local:5432"];
  const client = new Postgres({ host: "127.0.0.1", port, user, password, database: "noetl" });
  await client.connect();
  await client.end();
}

/** Parts of NoETL, by namespace and label. */
const PARTS = {
  server: ["noetl", "app=noetl-server"],
  worker: ["noetl", "app=noetl-worker"],
  gateway: ["gateway", "app=gateway"],
} as const;

/** The address of NATS that a pod gets from its Secret. */
async function natsUrlIn(namespace: string, labelSelector: string): Promise<URL> {
  const [pod] = await podsOf(namespace, labelSelector);
  const { env = [], envFrom = [] } = pod?.spec?.containers[0] ?? {};
  const names = [
    ...envFrom.map(({ secretRef }) => secretRef?.name),
    ...env.map(({ valueFrom }) => valueFrom?.secretKeyRef?.name),
  ];
  for (const name of names.filter((each) => each !== undefined)) {
    const { data = {} } = await kube().core.readNamespacedSecret({ namespace, name });
    if (data.NATS_URL !== undefined) return new URL(Buffer.from(data.NATS_URL, "base64").toString());
  }
  throw new Error(`no Secret of ${labelSelector} has NATS_URL`);
}

onOneCluster();

describe("changes of the whole stack on the embedded cluster, step by step", () => {
  it("comes up", async () => {
    await up();
    expect(await notHolding()).toEqual([]);
  });

  it("fails before NoETL is touched where NoETL could not create its stream", async () => {
    config.natsStream = "NOETL_RENAMED";
    const pods = async () => [await uidOf("noetl", "app=noetl-server"), await uidOf("noetl", "app=noetl-worker")];
    const before = await pods();
    const output = await failingUp();
    expect(output).toContain("NoETL was left as it is, for it could not work.");
    expect(output).toContain("violation stream-overlap: found NOETL_COMMANDS, expected NOETL_RENAMED alone");
    expect(output).toContain("Then update again: a restart leaves NoETL with its former settings.");
    expect(output).not.toContain("context deadline exceeded");
    expect(await pods()).toEqual(before);
    delete config.natsStream;
    await withStack((stack) => stack.removeAllConfig(["noetl-nats:natsStream"]));
    // NATS' users and the guard, which come before NoETL, had taken the name.
    await up();
    expect(await pods()).toEqual(before);
    expect(await touched()).toEqual({});
  });

  it("changes only what a worker's setting touches", async () => {
    config.workerMaxAckPending = "32";
    const server = await uidOf("noetl", "app=noetl-server");
    const worker = await uidOf("noetl", "app=noetl-worker");
    expect(Object.keys(await touched()).sort()).toEqual([
      "contract-guard-config",
      "contract-guard-deployment",
      "noetl-release",
      "stream-contract",
    ]);
    await up();
    expect(await uidOf("noetl", "app=noetl-server")).toEqual(server);
    expect(await uidOf("noetl", "app=noetl-worker")).not.toEqual(worker);
    const consumer = JSON.parse(await nats("consumer", "info", "NOETL_COMMANDS", "noetl_worker_pool", "--json")) as {
      config: object;
    };
    expect(consumer.config).toMatchObject({ max_ack_pending: 32 });
  });

  it("restarts NoETL after NATS, which loses the stream that it holds in memory", async () => {
    const created = async () =>
      (JSON.parse(await nats("stream", "info", "NOETL_COMMANDS", "--json")) as { created: string }).created;
    const before = { stream: await created(), server: await uidOf("noetl", "app=noetl-server") };
    config.natsJetstreamMemSize = "512Mi";
    const announced = /This restarts NATS: a stream .* These are now: NOETL_COMMANDS \(\d+ messages? in it\)\./;
    const preview = await withStack((stack) => stack.preview({ onOutput }));
    expect(preview.stdout).toMatch(announced);
    expect((await up()).stdout).toMatch(announced);
    expect(await created()).not.toBe(before.stream);
    expect(await uidOf("noetl", "app=noetl-server")).not.toEqual(before.server);
    expect(await notHolding()).toEqual([]);
  });

  it("moves to new passwords without a restart of NATS or Postgres, also where it is killed in between", async () => {
    const moving = [
      ["noetl", "app=noetl-server"],
      ["noetl", "app=noetl-worker"],
      ["gateway", "app=gateway"],
      ["nats", "app.kubernetes.io/component=nats-box"],
    ] as const;
    const uids = () => Promise.all(moving.map(([namespace, label]) => uidOf(namespace, label)));
    const server = async () => {
      const found = await Promise.all([
        kube().core.listNamespacedPod({ namespace: "nats", labelSelector: "app.kubernetes.io/component=nats" }),
        kube().core.listNamespacedPod({ namespace: "postgres", labelSelector: "app=postgres" }),
      ]);
      const items = found.flatMap((list) => list.items);
      expect(items).toHaveLength(2);
      return items.map(({ metadata, status }) => [metadata?.uid, status?.containerStatuses?.[0]?.restartCount]);
    };
    const stream = async () =>
      JSON.parse(await nats("stream", "info", "NOETL_COMMANDS", "--json")) as {
        created: string;
        state: { messages: number };
      };
    expect((await executeCheck(await readTarget())).status).toBe("ok");
    const before = { uids: await uids(), server: await server(), stream: await stream() };
    expect(before.stream.state.messages).toBeGreaterThan(0);
    const { data } = await kube().core.readNamespacedSecret({ namespace: "noetl", name: "noetl-secret" });
    const generated = Buffer.from(data?.NOETL_PASSWORD ?? "", "base64").toString();
    await logIn("noetl", generated);

    config.postgresPassword = DATABASE_SECOND;
    config.noetlPassword = ROLE;
    // It starts with a digit and a unit: unquoted in nats.conf it would be a size.
    config.natsPassword = SECOND;
    config.natsUsers = "each";
    await expect(
      withStack((stack) =>
        stack.up({
          onOutput,
          onEvent: (event) => {
            if (event.resourcePreEvent?.metadata.urn.endsWith("::noetl-release")) setTimeout(killEngines, 1_000);
          },
        }),
      ),
    ).rejects.toThrow();
    const second = { user: "noetl-2", password: SECOND };
    for (const login of [{ user: "noetl", password: FIRST }, second]) {
      logInAs(login);
      expect((await stream()).created).toBe(before.stream.created);
    }
    await logIn("noetl", generated);
    await logIn("noetl_2", ROLE);
    await logIn("postgres", DATABASE_SECOND);

    const { outputs } = await up();
    expect(outputs.databaseUser?.value).toBe("noetl_2");
    for (const [index, now] of (await uids()).entries()) {
      expect(now.length).toBeGreaterThan(0);
      for (const uid of now) expect(before.uids[index]).not.toContain(uid);
    }
    expect(await server()).toEqual(before.server);
    const after = await stream();
    expect(after.created).toBe(before.stream.created);
    expect(after.state.messages).toBeGreaterThanOrEqual(before.stream.state.messages);
    expect(await notHolding()).toEqual([]);
    expect((await executeCheck(await readTarget())).status).toBe("ok");
    // Nobody who works with NoETL's role was refused on the way.
    const log = await kube().core.readNamespacedPodLog({ namespace: "postgres", name: "postgres-0" });
    expect(log).toContain("database system is ready to accept connections");
    expect(log).not.toMatch(/(authentication failed for user|role) "noetl/);
    for (const [user, old] of [["noetl", generated] as const, ["postgres", DATABASE] as const]) {
      await expect(logIn(user, old), user).rejects.toThrow("password authentication failed");
    }
    await logIn("noetl_2", ROLE);
    await logIn("postgres", DATABASE_SECOND);
    logInAs({ user: "noetl", password: FIRST });
    await expect(nats("stream", "ls")).rejects.toThrow(/Authorization Violation/i);
    // Who may do everything is in no pod of NoETL any more, and a worker announces no commands.
    for (const [part, [namespace, label]] of Object.entries(PARTS)) {
      const { username, password } = await natsUrlIn(namespace, label);
      expect(username).toBe(`noetl-${part}`);
      if (part === "worker") logInAs({ user: username, password });
    }
    await expect(nats("pub", "noetl.commands", "{}")).rejects.toThrow(/Permissions Violation/i);
    logInAs(second);
    expect(await touched()).toEqual({});
  });

  it("stops on a schema that does not load, with the Job's log, and goes on when run again", async () => {
    const image = `registry.example/noetl:v${NOETL}`;
    // What stands for the contents of this image: a package whose schema has an error.
    const contents = imageFolder(cluster.dir, image);
    const ddl = path.join(contents, "noetl", "database", "ddl", "postgres", "schema_ddl.sql");
    fs.mkdirSync(path.dirname(ddl), { recursive: true });
    fs.writeFileSync(path.join(contents, "noetl", "__init__.py"), "");
    fs.writeFileSync(ddl, "CREATE TABL noetl.event (id int);\n");
    config.noetlImage = image;
    const failed = await failingUp();
    expect(failed).toContain('loading the schema failed: syntax error at or near "TABL"');
    expect(failed).toContain("LINE 1: CREATE TABL noetl.event");
    fs.rmSync(contents, { recursive: true });
    await up();
  });

  it("finishes when it is run again after it was killed in the middle", async () => {
    config.noetlLogLevel = "DEBUG";
    const killed = withStack((stack) =>
      stack.up({
        onOutput,
        onEvent: (event) => {
          // Not while the engine writes its state, which it does at the beginning: half a file could not be read again.
          if (event.resourcePreEvent?.metadata.urn.endsWith("::noetl-release")) setTimeout(killEngines, 1_000);
        },
      }),
    );
    await expect(killed).rejects.toThrow();
    const result = await up();
    expect((result.outputs.contract?.value as { holds: boolean }).holds).toBe(true);
    const { data } = await kube().core.readNamespacedConfigMap({ name: "noetl-worker-config", namespace: "noetl" });
    expect(data?.LOG_LEVEL).toBe("DEBUG");
    const before = printed.length;
    const changes = await touched();
    expect(changes, printed.slice(before)).toEqual({});
  });

  it("refuses bad configuration at preview, all problems at once", async () => {
    config.natsSubjct = "x";
    config.natsJetstreamFileSize = "5GB";
    const error = await touched().then(
      () => "",
      (thrown: unknown) => String(thrown),
    );
    expect(error).toContain("2 problems");
    expect(error).toContain("the nearest known one is natsSubject");
    expect(error).toContain('natsJetstreamFileSize: "5GB"');
    delete config.natsSubjct;
    delete config.natsJetstreamFileSize;
    await withStack((stack) => stack.removeAllConfig(["noetl-nats:natsSubjct", "noetl-nats:natsJetstreamFileSize"]));
  });

  it("finds a password that somebody changed in NATS' Secret, by refresh and without", async () => {
    const users = async () => {
      const { data } = await kube().core.readNamespacedSecret({ name: "nats-users", namespace: "nats" });
      return Buffer.from(data?.["users.conf"] ?? "", "base64").toString();
    };
    const before = await users();
    const byHand = before.replace(SECOND, "canary-by-hand");
    expect(byHand).not.toBe(before);
    await kube().core.patchNamespacedSecret({
      name: "nats-users",
      namespace: "nats",
      body: [{ op: "replace", path: "/data/users.conf", value: Buffer.from(byHand).toString("base64") }],
    });
    // A preview looks at a Secret for two seconds, and goes by the state where a busy machine has not answered by then.
    const seen = await until(
      "a preview that has seen it",
      async () => {
        const changes = await touched();
        return changes["nats-users"] === undefined ? undefined : changes;
      },
      180_000,
    );
    expect(seen).toMatchObject({ "nats-users": "update", "nats-users-settled": "update" });
    await withStack((stack) => stack.refresh({ onOutput }));
    const state = (await withStack((stack) => stack.exportStack())).deployment as {
      resources: { urn: string; inputs?: { drift?: string[] } }[];
    };
    const refreshed = state.resources.find(({ urn }) => urn.endsWith("::nats-users"));
    expect(refreshed?.inputs?.drift).toEqual(["user noetl-2 has another password"]);
    await up();
    expect(await users()).toBe(before);
    expect(await nats("stream", "ls", "--names")).toContain("NOETL_COMMANDS");
    expect(await touched()).toEqual({});
  });

  it("keeps every password out of the state, the logs, the ConfigMaps and the pods' specifications", async () => {
    // NoETL 2.8.9 itself writes NATS_URL into its log at INFO and below, and a worker into a file, inside of its pod; so does
    // the gateway into its log, whose stand-in runs here.
    const ownWords =
      /\/pods\/(noetl_noetl-(server|worker)|gateway_gateway)-[^/]+\/((noetl-server|worker|gateway)(\.previous)?\.log|volumes\/tmp\/worker_config\.txt)$/;
    const found: string[] = [];
    const own: string[] = [];
    const urls = await Promise.all(Object.values(PARTS).map(([namespace, label]) => natsUrlIn(namespace, label)));
    const searched = ["canary-", ...urls.map(({ password }) => password)];
    const search = (where: string, text: string) => {
      if (!searched.some((each) => text.includes(each))) return;
      const ofDatabase = [DATABASE, DATABASE_SECOND, ROLE].some((password) => text.includes(password));
      (ownWords.test(where) && !ofDatabase ? own : found).push(where);
    };
    const visit = (folder: string): void => {
      for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
        const file = path.join(folder, entry.name);
        if (entry.isDirectory()) visit(file);
        else if (entry.isFile()) search(file, fs.readFileSync(file, "latin1"));
      }
    };
    visit(path.join(dir, "state"));
    visit(path.join(cluster.dir, "logs"));
    visit(path.join(cluster.dir, "pods"));
    search("output of the engine", printed);
    search("stack file", fs.readFileSync(path.join(projectRoot(), `Pulumi.${STACK}.yaml`), "utf8"));
    const { core, apps } = kube();
    search("ConfigMaps", JSON.stringify((await core.listConfigMapForAllNamespaces()).items));
    search("pods", JSON.stringify((await core.listPodForAllNamespaces()).items));
    search("deployments", JSON.stringify((await apps.listDeploymentForAllNamespaces()).items));
    expect(found).toEqual([]);
    // The charts keep them out (charts/noetl/files/sitecustomize.py, charts/gateway/files/start.sh).
    expect(own).toEqual([]);
    const gateway = fs.readdirSync(path.join(cluster.dir, "pods")).find((name) => name.startsWith("gateway_gateway-"));
    expect(fs.readFileSync(path.join(cluster.dir, "pods", gateway ?? "", "gateway.log"), "utf8")).toMatch(
      / F {3}NATS: nats:\/\/noetl(-2|-gateway)?:\*\*\*@/,
    );
    // The search can find what it looks for: Secrets do hold them.
    const { items: secrets } = await core.listSecretForAllNamespaces();
    const holding = secrets.filter(({ data = {} }) =>
      Object.values(data).some((value) => Buffer.from(value, "base64").toString().includes(SECOND)),
    );
    // With users of their own natsUser's login is in NATS' file of users alone, and nats-box has another.
    expect(holding.map(({ metadata }) => metadata?.name)).toEqual(["nats-users"]);
  });

  it("is destroyed without remains", async () => {
    await withStack((stack) => stack.destroy({ onOutput }));
    const { core } = kube();
    const names = (await core.listNamespace()).items.map((each) => each.metadata?.name).sort();
    expect(names).toEqual(["default", "kube-node-lease", "kube-public", "kube-system"]);
    expect((await core.listPodForAllNamespaces()).items).toEqual([]);
  });
});
