import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { createRequire } from "node:module";
import * as os from "node:os";
import * as path from "node:path";
import { promisify } from "node:util";
import {
  AppsV1Api,
  BatchV1Api,
  CoreV1Api,
  KubeConfig,
  NetworkingV1Api,
  RbacAuthorizationV1Api,
} from "@kubernetes/client-node";
import { Client as Postgres } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readStack } from "../../commands/shared/engine";
import { Cluster as DoctorsCluster } from "../../commands/doctor/kubernetes";
import { examine } from "../../commands/doctor/doctor";
import { executeCheck } from "../../commands/doctor/execute";
import { restartDeployment } from "../../commands/doctor/repair/rollout";
import { announceLost, deployedNoetl } from "../../commands/doctor/repair/announce";
import { contractInputs, targetOf, type Target } from "../../commands/doctor/target";
import { verify } from "../../commands/doctor/verify";
import { embeddedEngine } from "../../embedded/home";
import type * as ClusterModule from "../../embedded/cluster/index.js";
import type * as StackModule from "../../embedded/stack.js";
import { layoutOf } from "../../config/network";
import { PROJECT, projectRoot } from "../../contract/project";
import { imageFolder } from "../../embedded/cluster/places";
import { processOf } from "../../embedded/cluster/processes";
import { canBeReadOnly } from "../../embedded/cluster/read-only";
import { STACK_TOOLS } from "../../embedded/tools";
import { ensureTools, type ToolPaths } from "../../embedded/toolchain";
import { ensureNoetl } from "../../embedded/toolchain/noetl";
import { killEngines, operationsOf } from "../support/engine";
import { readProject } from "../support/markdown";
import { ADDRESSES, disagreements, jobIn, placesOf, type Policy, STRANGERS, type Workload } from "../support/network";
import { until } from "../support/nats";

// The compiled program, as users run it: the engine serialises the provider's stub from it.
const compiled = createRequire(path.join(projectRoot(), "dist", "index.js"));
const { startCluster } = compiled("./embedded/cluster") as typeof ClusterModule;
const { openStack } = compiled("./embedded/stack") as typeof StackModule;

const run = promisify(execFile);
const STACK = "e2e";
/** The release of the default image. */
const NOETL = "2.8.9";
const FIRST = "canary-first-Password.1";
const SECOND = "7k-canary-second~Password_2";
const DATABASE = "canary-database-Password.3";
const DATABASE_SECOND = "canary-database-second~Password_4";
const ROLE = "canary-role-Password.5";

let dir: string;
let tools: ClusterModule.ClusterTools & ToolPaths<"nats" | "helm" | "pulumi">;
let cluster: ClusterModule.Cluster;
/** The execution whose second command was lost. */
let halfway = "";
/** What NATS' own command line logs in with. */
let login = { user: "noetl", password: FIRST };
const config: Record<string, string> = {
  natsPassword: FIRST,
  postgresPassword: DATABASE,
  contractTimeoutSeconds: "60",
  networkPolicies: "true",
  // As a kind stack has it; the embedded one has none, since nothing can be run in its pods.
  natsBox: "true",
  playbookJobs: "own",
  // A pull that was under way when nats-server was killed ends only with its time; the workers ask again then.
  workerFetchTimeoutSeconds: "6",
  workerFetchHeartbeatSeconds: "2",
};
/** Everything the engine printed during the run. */
let printed = "";

/** Opens the stack with the configuration as it stands, does one thing with it and closes it. */
async function withStack<T>(work: (stack: StackModule.OpenStack["stack"]) => Promise<T>): Promise<T> {
  const open = await openStack({ dir, kubeconfigPath: cluster.kubeconfigPath, tools, config, stackName: STACK });
  try {
    return await work(open.stack);
  } finally {
    await open.close();
  }
}

const readTarget = async (): Promise<Target> =>
  targetOf(STACK, await readStack({ ...embeddedEngine(dir), cwd: projectRoot() }, STACK, PROJECT));

/** What a compiled command prints, run as `npm run` starts it. */
async function command(name: "verify" | "doctor", ...args: readonly string[]): Promise<string> {
  const { command, env } = embeddedEngine(dir);
  const file = path.join(projectRoot(), "dist", "commands", "doctor", `${name}.js`);
  const { stdout } = await run(process.execPath, [file, ...args], {
    env: {
      ...env,
      PATH: [path.dirname(command), env.PATH].join(path.delimiter),
      XDG_STATE_HOME: path.join(dir, "xdg"),
    },
    timeout: 300_000,
  });
  return stdout;
}

/** A checklist without what differs from one deployment to the next, and however its lines are wrapped. */
const shapeOf = (text: string): string =>
  text
    .replace(/^Stack \S+ on \S+/, "Stack on")
    .replace(/(nats-box|contract-guard)-\S+/g, "$1")
    .replace(/\s+/g, "")
    .replace(/\d+messages?;created[\dTZ:-]+/, "messages;created")
    .replace(/\d+waitingfetch(es)?/, "waitingfetches");

/** Lines of the checklist that do not hold. */
async function notHolding() {
  return (await verify(await readTarget())).lines.filter(({ status }) => status !== "ok");
}

const onOutput = (text: string) => (printed += text);
const up = () => withStack((stack) => stack.up({ onOutput }));

/** An update that must fail; returns all that it printed. */
async function failingUp(): Promise<string> {
  const before = printed.length;
  await expect(up()).rejects.toThrow();
  return printed.slice(before);
}

/** Name and operation of every resource that a preview would touch. */
const touched = () => operationsOf((onEvent) => withStack((stack) => stack.preview({ onEvent, onOutput })));

/** Kills the process behind the container nats of pod nats-0, as a node's trouble would. */
function killNats(): void {
  process.kill(processOf(cluster.dir, "nats-0"), "SIGKILL");
}

/** Local ports by in-cluster address. */
const addresses = () =>
  JSON.parse(fs.readFileSync(path.join(cluster.dir, "names.json"), "utf8")) as Record<string, number>;

/** The independent witness: NATS' own command line against the server behind nats-0. */
async function nats(...args: string[]): Promise<string> {
  const port = addresses()["nats.nats.svc.cluster.local:4222"];
  const { stdout } = await run(tools.nats, [...args, "--server", `nats://127.0.0.1:${port}`], {
    env: { ...process.env, HOME: dir, NATS_USER: login.user, NATS_PASSWORD: login.password },
    timeout: 60_000,
  });
  return stdout;
}

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

/** Asks NoETL's API, as its clients do. */
async function noetl<T>(what: string, body: object): Promise<T> {
  const answer = await fetch(`http://127.0.0.1:${addresses()["noetl.noetl.svc.cluster.local:8082"]}/api/${what}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return (await answer.json()) as T;
}

/** What NoETL's table has of an execution: events in their order. */
async function eventsOf(id: string): Promise<string[]> {
  const query = `SELECT event_type || ' ' || node_name AS event FROM noetl.event WHERE execution_id = ${id} ORDER BY event_id`;
  return (await noetl<{ result: { event: string }[] }>("postgres/execute", { query })).result.map(({ event }) => event);
}

/** Two steps, the first of which ends when it is let through: when that address answers. */
const slow = (gate: string): string => `apiVersion: noetl.io/v2
kind: Playbook
metadata: { name: slow, path: e2e/slow }
workflow:
  - step: start
    tool:
      kind: python
      code: |
        import urllib.request
        urllib.request.urlopen("${gate}", timeout=300).read()
        result = {"done": True}
    next: { spec: { mode: exclusive }, arcs: [{ step: end }] }
  - step: end
    tool: { kind: noop }
`;

/** Writes wherever a playbook may, in Python and by DuckDB, and fails where it can write to anything else. */
const WRITES = `apiVersion: noetl.io/v2
kind: Playbook
metadata: { name: writes, path: e2e/writes }
workflow:
  - step: start
    tool:
      kind: python
      code: |
        import errno, os, tempfile
        import noetl
        own = [tempfile.gettempdir(), os.environ["HOME"], os.environ["NOETL_DATA_DIR"]]
        others = [os.getcwd(), os.path.dirname(noetl.__file__), "/etc", "/var/tmp"] if ${canBeReadOnly() ? "True" : "False"} else []
        wrong = []
        for folder in own + others:
            try:
                with tempfile.NamedTemporaryFile(dir=folder):
                    refused = False
            except OSError as error:
                refused = error.errno == errno.EROFS
            if refused == (folder in own):
                wrong.append(folder)
        if wrong:
            raise RuntimeError(f"otherwise than a pod: {wrong}")
        result = {"done": True}
    next: { spec: { mode: exclusive }, arcs: [{ step: query }] }
  - step: query
    tool:
      kind: duckdb
      commands: CREATE TABLE kept AS SELECT 42 AS answer; SELECT answer FROM kept;
    next: { spec: { mode: exclusive }, arcs: [{ step: end }] }
  - step: end
    tool: { kind: noop }
`;

/** Puts another stream in the place of the one that NoETL made. */
async function remakeStream(subjects: string, retention: string): Promise<void> {
  const options = [`--subjects=${subjects}`, `--retention=${retention}`, "--storage=memory", "--max-age=1h"];
  await nats("stream", "rm", "NOETL_COMMANDS", "-f");
  await nats("stream", "add", "NOETL_COMMANDS", ...options, "--defaults");
}

const kube = () => {
  const kubeconfig = new KubeConfig();
  kubeconfig.loadFromFile(cluster.kubeconfigPath);
  return {
    core: kubeconfig.makeApiClient(CoreV1Api),
    apps: kubeconfig.makeApiClient(AppsV1Api),
    batch: kubeconfig.makeApiClient(BatchV1Api),
    networking: kubeconfig.makeApiClient(NetworkingV1Api),
    rbac: kubeconfig.makeApiClient(RbacAuthorizationV1Api),
  };
};

/** The pods of a workload but those that an update has deleted, whose processes may still be ending. */
const podsOf = async (namespace: string, labelSelector: string) =>
  (await kube().core.listNamespacedPod({ namespace, labelSelector })).items.filter(
    ({ metadata }) => metadata?.deletionTimestamp === undefined,
  );

const uidOf = async (namespace: string, labelSelector: string) =>
  (await podsOf(namespace, labelSelector)).map(({ metadata }) => metadata?.uid).sort();

beforeAll(async () => {
  tools = await ensureTools([...STACK_TOOLS, "nats"]);
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-e2e-"));
  // NoETL itself: where it cannot be had, this file fails.
  cluster = await startCluster({ dir: path.join(dir, "cluster"), tools, noetl: await ensureNoetl(NOETL) });
});

afterAll(async () => {
  await cluster?.stop();
  fs.rmSync(dir, { recursive: true, force: true });
  fs.rmSync(path.join(projectRoot(), `Pulumi.${STACK}.yaml`), { force: true });
});

describe("the whole stack on the embedded cluster, step by step", () => {
  it("comes up, and the checklist holds", async () => {
    const result = await up();
    expect(await notHolding()).toEqual([]);
    expect(result.outputs.natsUrl).toMatchObject({
      secret: true,
      value: `nats://noetl:${FIRST}@nats.nats.svc.cluster.local:4222`,
    });
    expect(result.outputs.contract?.value).toMatchObject({
      holds: true,
      retention: "limits",
      storage: "memory",
      maxAgeSeconds: 3600,
      subjects: ["noetl.commands"],
    });
  });

  it("is what README shows: the checklist of verify, line by line", async () => {
    const [, sample = ""] = /```text\n(Stack [\s\S]*?)```/.exec(readProject("README.md")) ?? [];
    expect(shapeOf(sample)).toBe(shapeOf(await command("verify", "--stack", STACK)));
  });

  it("is in order for the doctor, which looks at everything, logs and all: nobody can sign in yet, and that is all", async () => {
    const report = JSON.parse(await command("doctor", "--stack", STACK, "--json")) as { findings: { id: string }[] };
    expect(report).toMatchObject({ stack: STACK, healthy: true, exit: 0 });
    // NoETL's own set-up registers what the gateway signs people in with, after a deployment.
    expect(report.findings.map(({ id }) => id).filter((id) => id !== "sign-in-missing")).toEqual([]);
  });

  it("made the stream and consumer that NATS' own command line sees", async () => {
    const stream = JSON.parse(await nats("stream", "info", "NOETL_COMMANDS", "--json")) as { config: object };
    expect(stream.config).toMatchObject({ retention: "limits", storage: "memory", max_age: 3600e9 });
    const consumer = JSON.parse(await nats("consumer", "info", "NOETL_COMMANDS", "noetl_worker_pool", "--json")) as {
      config: object;
    };
    expect(consumer.config).toMatchObject({ ack_policy: "explicit", deliver_policy: "new", max_ack_pending: 64 });
  });

  it("has the API server keep NetworkPolicies that let its workloads do what the table says, and nothing else", async () => {
    const { apps, batch, networking } = kube();
    const listed = await Promise.all([
      apps.listDeploymentForAllNamespaces().then(({ items }) => items.map((each) => ({ ...each, kind: "Deployment" }))),
      apps
        .listStatefulSetForAllNamespaces()
        .then(({ items }) => items.map((each) => ({ ...each, kind: "StatefulSet" }))),
      batch.listJobForAllNamespaces().then(({ items }) => items.map((each) => ({ ...each, kind: "Job" }))),
    ]);
    const { places, ports } = placesOf(listed.flat() as unknown as Workload[]);
    expect(new Set(places.map(({ party }) => party))).toEqual(
      new Set(["gateway", "server", "worker", "nats", "natsBox", "guard", "postgres", "schema", "logins"]),
    );
    const { items } = await networking.listNetworkPolicyForAllNamespaces();
    // As YAML and the API have it: the client calls the field `from` otherwise.
    const kept = JSON.parse(JSON.stringify(items).replaceAll('"_from"', '"from"')) as Policy[];
    const layout = layoutOf((await readTarget()).settings);
    const around = { places: [...places, jobIn(layout), ...STRANGERS, ...ADDRESSES], ports };
    expect(disagreements(kept, layout, around)).toEqual([]);
    expect(kept.length).toBe(5 + 10);
  });

  it("lets workers do something in the namespace of playbooks' jobs, and nowhere else", async () => {
    const { items } = await kube().rbac.listRoleBindingForAllNamespaces();
    const isOurs = ({ namespace }: { namespace?: string }) => /^(nats|noetl|gateway|postgres)/.test(namespace ?? "");
    const bound = items.flatMap(({ metadata = {}, subjects = [] }) =>
      isOurs(metadata) ? subjects.map(({ name }) => `${name} in ${metadata.namespace}`) : [],
    );
    expect(bound).toEqual(["noetl-worker in noetl-jobs"]);
  });

  it("runs a playbook through the stream, and leaves nothing of it to do", async () => {
    expect(cluster.noetl).toBe(NOETL);
    const line = await executeCheck(await readTarget());
    expect(line).toMatchObject({ section: "Playbook", item: "noetl-nats/check", status: "ok" });
    expect(line.found).toMatch(/^COMPLETED in \d+\.\d s; 2 messages, all acknowledged \(execution \d+\)$/);
    // The witness: two commands, delivered and acknowledged.
    const consumer = JSON.parse(
      await nats("consumer", "info", "NOETL_COMMANDS", "noetl_worker_pool", "--json"),
    ) as object;
    expect(consumer).toMatchObject({ ack_floor: { stream_seq: 2 }, num_ack_pending: 0, num_pending: 0 });
    // It is registered once, however often it is run.
    expect((await executeCheck(await readTarget())).status).toBe("ok");
    const api = addresses()["noetl.noetl.svc.cluster.local:8082"];
    const listed = await fetch(`http://127.0.0.1:${api}/api/catalog/list`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ resource_type: "Playbook" }),
    });
    const { entries } = (await listed.json()) as { entries: { path: string; version: number }[] };
    expect(entries.map(({ path: name, version }) => ({ name, version }))).toEqual([
      { name: "noetl-nats/check", version: 1 },
    ]);
  });

  it("runs a playbook that writes to NoETL's own folders, which is all that its pods can write to", async () => {
    await noetl("catalog/register", { content: WRITES, resource_type: "Playbook" });
    const { execution_id: id } = await noetl<{ execution_id: string }>("execute", { path: "e2e/writes" });
    const events = await until("the playbook to end", async () => {
      const found = await eventsOf(id);
      return found.some((event) => /^playbook\.(completed|failed) /.test(event)) ? found : undefined;
    });
    // The last step's own record may come after that of the playbook.
    const ends = events.filter((event) => /^(command|playbook)\.(completed|failed) (?!end$)/.test(event));
    expect(ends).toEqual(["command.completed start", "command.completed query", "playbook.completed e2e/writes"]);
  });

  it("previews no change as empty", async () => {
    expect(await touched()).toEqual({});
  });

  it("has stream and consumer back where nats-server was killed, runs the next playbook, and restarts no pod", async () => {
    const pods = async () => {
      const all = await Promise.all(["nats", "noetl"].map((namespace) => kube().core.listNamespacedPod({ namespace })));
      const own = all.flatMap(({ items }) => items).filter(({ metadata }) => metadata?.name !== "nats-0");
      return own
        .map(({ metadata, status }) => `${metadata?.uid} ${status?.containerStatuses?.[0]?.restartCount}`)
        .sort();
    };
    const created = async () =>
      (JSON.parse(await nats("stream", "info", "NOETL_COMMANDS", "--json")) as { created: string }).created;
    const [before, stream, target] = [await pods(), await created(), await readTarget()];
    killNats();
    // The kubelet starts it again after a second; from then on the time counts.
    await until("nats-server to answer", () => nats("account", "info").catch(() => undefined), 60_000);
    const back = performance.now();
    // What is executed before is refused, and waits from then on.
    await until(
      "the consumer to be back",
      () => nats("consumer", "info", "NOETL_COMMANDS", "noetl_worker_pool").catch(() => undefined),
      60_000,
    );
    const line = await until(
      "a playbook that completes",
      async () => {
        const found = await executeCheck(target);
        return found.status === "ok" ? found : undefined;
      },
      60_000,
    );
    expect(line.found).toMatch(/^COMPLETED/);
    // bench/goes-on measures it: ten seconds. The rest is a busy machine's; what nobody makes again takes minutes.
    expect(performance.now() - back).toBeLessThan(60_000);
    expect(await created()).not.toBe(stream);
    expect(await pods()).toEqual(before);
    const { items } = await kube().core.listNamespacedPod({ namespace: "nats", labelSelector: "app=contract-guard" });
    const log = await kube().core.readNamespacedPodLog({ namespace: "nats", name: items[0]?.metadata?.name ?? "" });
    expect(log).toContain("created stream NOETL_COMMANDS, which was missing");
    expect(log).not.toContain(FIRST);
  });

  it("tells of workers that hang, which no readiness shows; after the restart that is printed, playbooks run", async () => {
    const { items } = await kube().core.listNamespacedPod({ namespace: "noetl", labelSelector: "app=noetl-worker" });
    const groups = items.map(({ metadata }) => -processOf(cluster.dir, metadata?.name ?? ""));
    for (const group of groups) process.kill(group, "SIGSTOP");
    try {
      const hang = async () => (await examine(await readTarget())).findings.find(({ id }) => id === "nobody-fetches");
      const finding = await until("the doctor to see that nobody fetches", hang, 90_000);
      expect(finding.severity).toBe("cause");
      expect((await notHolding()).map(({ section, item }) => [section, item])).toContainEqual([
        "Consumers",
        "noetl_worker_pool",
      ]);
      const commands = finding.remedy.flatMap((step) => ("run" in step ? [step.run] : []));
      expect(commands.at(-1)).toContain("-n noetl rollout restart deploy/noetl-worker");
    } finally {
      const restarted = await DoctorsCluster.open((await readTarget()).cluster);
      await restartDeployment(restarted, { namespace: "noetl", name: "noetl-worker" }, new Date().toISOString());
      // They end at the end of their time, which a test need not wait for.
      for (const group of groups) process.kill(group, "SIGCONT");
    }
    await until("the new workers", async () => ((await notHolding()).length === 0 ? true : undefined), 120_000);
    expect((await executeCheck(await readTarget())).found).toMatch(/^COMPLETED/);
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
    for (login of [{ user: "noetl", password: FIRST }, second]) {
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
    login = { user: "noetl", password: FIRST };
    await expect(nats("stream", "ls")).rejects.toThrow(/Authorization Violation/i);
    // Who may do everything is in no pod of NoETL any more, and a worker announces no commands.
    for (const [part, [namespace, label]] of Object.entries(PARTS)) {
      const { username, password } = await natsUrlIn(namespace, label);
      expect(username).toBe(`noetl-${part}`);
      if (part === "worker") login = { user: username, password };
    }
    await expect(nats("pub", "noetl.commands", "{}")).rejects.toThrow(/Permissions Violation/i);
    login = second;
    expect(await touched()).toEqual({});
  });

  it("loses the second command of an execution where nothing stores it, and the worker is not any wiser", async () => {
    const waiting: http.ServerResponse[] = [];
    const gate = http.createServer((_, response) => void waiting.push(response));
    await new Promise<void>((resolve) => gate.listen(0, "127.0.0.1", resolve));
    const has = (event: string) => async () => (await eventsOf(halfway)).includes(event) || undefined;
    try {
      const content = slow(`http://127.0.0.1:${(gate.address() as AddressInfo).port}`);
      await noetl("catalog/register", { content, resource_type: "Playbook" });
      ({ execution_id: halfway } = await noetl<{ execution_id: string }>("execute", { path: "e2e/slow" }));
      await until("a worker to be in the first step", () => waiting.length > 0 || undefined);
      await nats("stream", "edit", "NOETL_COMMANDS", "--subjects=other.commands", "--force");
      for (const response of waiting) response.end();
      await until("the worker to finish", has("command.completed start"));
    } finally {
      gate.closeAllConnections();
      await new Promise((resolve) => gate.close(resolve));
    }
    await nats("stream", "edit", "NOETL_COMMANDS", "--subjects=noetl.commands", "--force");
    // Nothing of it is PENDING any more, and nothing of it is in the stream.
    expect((await eventsOf(halfway)).slice(-2)).toEqual(["step.exit start", "command.completed start"]);
    expect(await has("command.issued end")()).toBe(true);
  });

  it("fails on the wrong retention, and says how to fix it", async () => {
    // From here on the contract is broken on purpose: without the guard, which would put it right before the update looks.
    await kube().apps.patchNamespacedDeployment({
      namespace: "nats",
      name: "contract-guard",
      body: [{ op: "replace", path: "/spec/replicas", value: 0 }],
      // As kubectl does by hand: what that has set, an update takes over; of any other manager it is a conflict.
      fieldManager: "kubectl",
    });
    await until(
      "the guard to be gone",
      async () => {
        const guard = { namespace: "nats", labelSelector: "app=contract-guard" };
        return (await kube().core.listNamespacedPod(guard)).items.length === 0 ? true : undefined;
      },
      60_000,
    );
    await remakeStream("noetl.commands", "work");
    config.contractTimeoutSeconds = "15";
    const output = await failingUp();
    expect(output).toContain("workqueue");
    expect(output).toContain("consumer must be deliver all on workqueue stream");
    expect(output).toMatch(/nats stream rm/);
  });

  it("fails on the wrong subject, and says how to fix it", async () => {
    await remakeStream("other.commands", "limits");
    config.contractTimeoutSeconds = "16";
    const output = await failingUp();
    expect(output).toContain("other.commands");
    // What NoETL itself answers then.
    expect(await executeCheck(await readTarget())).toMatchObject({
      status: "wrong",
      found: "NoETL's server answers 500 to POST /api/execute: nats: no response from stream",
    });
    expect(output).toContain("no response from stream");
    expect(output).toMatch(/nats stream (edit|rm)/);
  });

  it("holds again once the stream is fixed, and NoETL restarted, which makes its consumer at its start alone", async () => {
    await remakeStream("noetl.commands", "limits");
    config.contractTimeoutSeconds = "60";
    // Nobody adds the consumer but a worker that starts: the update does not wait for it, and says so.
    const output = await failingUp();
    expect(output).toMatch(
      /Consumer noetl_worker_pool is gone, .* nothing brings it back but a restart of these pods\./,
    );
    expect(output).toContain("-n noetl rollout restart deploy/noetl-worker");
    await kube().core.deleteCollectionNamespacedPod({ namespace: "noetl", labelSelector: "app=noetl-worker" });
    const result = await up();
    expect((result.outputs.contract?.value as { holds: boolean }).holds).toBe(true);
  });

  it("names the executions that were refused or lost; announced again, each command is done once", async () => {
    const waiting = async () => (await examine(await readTarget())).findings.find(({ id }) => id === "executions-wait");
    const finding = await until(
      "both to be named",
      async () => {
        const found = await waiting();
        return found?.title.startsWith("2 executions wait for a command") ? found : undefined;
      },
      60_000,
    );
    const ids = finding.evidence.map((text) => /^execution (\d+) /.exec(text)?.[1] ?? text);
    expect(ids[0]).toBe(halfway);
    expect(finding.remedy[0]).toEqual({ run: `npm run doctor -- --stack ${STACK} --repair` });
    const target = await readTarget();
    const said: string[] = [];
    const announce = async (answer: boolean) =>
      announceLost({
        inputs: contractInputs(target, 15),
        noetl: deployedNoetl(await DoctorsCluster.open(target.cluster), "noetl", String),
        say: (line) => void said.push(line),
        confirm: () => Promise.resolve(answer),
      });
    const before = await eventsOf(halfway);
    expect(await announce(false)).toBe("declined");
    expect(await eventsOf(halfway)).toEqual(before);
    expect(await announce(true)).toBe(2);
    expect(said).toHaveLength(2);
    expect(await announce(true)).toBe(0);
    for (const id of ids) {
      const events = await until("the execution to end", async () => {
        const found = await eventsOf(id);
        const isOver = found.some((event) => event.startsWith("playbook.completed"));
        return isOver && found.includes("command.completed end") ? found : undefined;
      });
      for (const each of ["command.issued", "command.claimed", "command.started", "command.completed"]) {
        expect(events.filter((event) => event === `${each} start`)).toHaveLength(1);
        expect(events.filter((event) => event === `${each} end`)).toHaveLength(1);
      }
    }
    expect(await waiting()).toBeUndefined();
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
