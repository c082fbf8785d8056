import * as fs from "node:fs";
import * as path from "node:path";
import { spawn } from "node:child_process";
import { StorageV1Api } from "@kubernetes/client-node";
import { AckPolicy } from "nats";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { DEFAULTS } from "../../../../contract/defaults";
import { CONSUMER, LOCATIONS, STREAM, WORKER_TUNING } from "../../../../contract/facts";
import { PROJECT, projectRoot } from "../../../../contract/project";
import { imageFolder } from "../../../../embedded/cluster/places";
import { embeddedPaths } from "../../../../embedded/home";
import { ensureTools } from "../../../../embedded/toolchain";
import { until } from "../../../support/nats";
import { readProject } from "../../../support/markdown";
import { commandsOf, Shell } from "./shell";
import { Deployment, diagnosed, examine, findingOf, neverReadyChart, STACK, verified } from "./support";

// What findings and pages tell to do with the engine, done as it stands there. Each update changes the stack's settings or state:
// no other part comes after this one.

let deployment: Deployment;
let shell: Shell;
beforeAll(async () => {
  deployment = await Deployment.attach();
  shell = await Shell.open(deployment);
});
afterAll(() => shell?.close());
beforeEach(() => deployment.settled());

/** Updates of a whole stack, on a machine that others load. */
const TIMEOUT_MS = 600_000;
const UP = `pulumi up --stack ${STACK}`;
const REFRESH = `pulumi refresh --stack ${STACK}`;

/** The stack as it is configured now. */
async function target() {
  const { target: now } = await Deployment.attach();
  deployment.target = now;
  return now;
}
const nothingIsLeft = async (origin?: string) => {
  const now = await target();
  await diagnosed(now, "that nothing is wrong any more", ({ findings }) => findings.length === 0);
  if (origin !== undefined) expect((await examine(now, origin)).findings).toEqual([]);
};

it("a kubeconfig and a context that are there", async () => {
  const file = path.join(projectRoot(), `Pulumi.${STACK}.yaml`);
  const before = fs.readFileSync(file);
  await shell.run(`pulumi config set kubeContext nowhere --stack ${STACK}`);
  const remedy = commandsOf(findingOf(await examine(await target()), "bad-kubeconfig"));
  expect(remedy).toEqual([
    `pulumi config set kubeconfig ~/.kube/config --stack ${STACK}`,
    `pulumi config set kubeContext NAME --stack ${STACK}`,
  ]);
  const { kubeconfigPath, config } = deployment;
  await shell.runAll(
    remedy.map((each) => each.replace("~/.kube/config", kubeconfigPath).replace("NAME", config.getCurrentContext())),
  );
  await nothingIsLeft();
  // The stack goes on with the one that it was deployed with.
  fs.writeFileSync(file, before);
});

it(
  "settings that findings tell to set, and one update after them: an origin, more in flight, more memory, a stream's former name",
  async () => {
    const ORIGIN = "https://app.example.com";
    const { namespace, serverDeployment, workerDeployment } = LOCATIONS.noetl;
    const told: string[] = [];
    const tell = (commands: readonly string[]): void => {
      expect(commands.at(-1)).toBe(UP);
      told.push(...commands.slice(0, -1));
    };

    tell(commandsOf(findingOf(await examine(deployment.target, ORIGIN), "cors-origin")));

    // As many in flight as there may be: nobody acknowledges what a stranger fetches in the workers' place.
    await deployment.empty(namespace, workerDeployment);
    await deployment.withManager(async (manager, connection) => {
      const { config } = await manager.consumers.info(STREAM.name, CONSUMER.name);
      expect(config).toMatchObject({ ack_policy: AckPolicy.Explicit, max_ack_pending: WORKER_TUNING.maxAckPending });
      for (let id = 0; id < WORKER_TUNING.maxAckPending; id++)
        await connection.jetstream().publish(STREAM.subject, JSON.stringify({ id }));
      const consumer = await connection.jetstream().consumers.get(STREAM.name, CONSUMER.name);
      for await (const _ of await consumer.fetch({ max_messages: WORKER_TUNING.maxAckPending, expires: 30_000 }));
    });
    const full = await diagnosed(deployment.target, "workers-full", (each) => Boolean(findingOf(each, "workers-full")));
    tell(commandsOf(findingOf(full, "workers-full")));

    // As a kubelet tells it of a container that the kernel ended; nothing here is short of memory.
    const pod = await deployment.podOf(namespace, serverDeployment);
    const terminated = { reason: "OOMKilled", exitCode: 137 };
    await deployment.core.patchNamespacedPodStatus({
      namespace,
      name: pod,
      body: [{ op: "add", path: "/status/containerStatuses/0/lastState", value: { terminated } }],
    });
    tell(commandsOf(findingOf(await examine(deployment.target), "memory")));

    // Renamed, and not rolled out yet.
    await shell.run(`pulumi config set natsStream NOETL_RENAMED --stack ${STACK}`);
    const renamed = findingOf(await examine(await target()), "subject-taken");
    tell(commandsOf(renamed).slice(0, 2));

    expect(told).toEqual([
      expect.stringMatching(/^pulumi config set corsAllowedOrigins \S+,https:\/\/app\.example\.com --stack doctor$/),
      expect.stringMatching(
        new RegExp(
          `consumer edit ${STREAM.name} ${CONSUMER.name} --max-pending=${WORKER_TUNING.maxAckPending * 2} -f$`,
        ),
      ),
      `pulumi config set workerMaxAckPending ${WORKER_TUNING.maxAckPending * 2} --stack ${STACK}`,
      expect.stringMatching(/^pulumi config set serverMemoryLimit \d+Mi --stack doctor$/),
      `pulumi config set natsStream ${STREAM.name} --stack ${STACK}`,
    ]);
    await shell.runAll(told);
    // Set and not rolled out: that is a finding too, whose remedy is the same update.
    const pending = findingOf(await examine(await target()), "environment");
    expect(commandsOf(pending)[0]).toBe(UP);
    await shell.run(UP);
    await nothingIsLeft(ORIGIN);
  },
  TIMEOUT_MS,
);

it("an image that lacks a part of NoETL, and one of a line that speaks no NATS", async () => {
  const image = "registry.example/noetl:v2.8.8";
  // What this image holds: the schema, a server that ends as one of the newest line does, and not a worker.
  const packages = path.join(imageFolder(path.join(deployment.dir, "cluster"), image), "noetl");
  const put = (file: string, text: string): void => {
    fs.mkdirSync(path.dirname(path.join(packages, file)), { recursive: true });
    fs.writeFileSync(path.join(packages, file), text);
  };
  put("__init__.py", "");
  put("database/ddl/postgres/schema_ddl.sql", "CREATE SCHEMA IF NOT EXISTS noetl;\n");
  put("server/__init__.py", "");
  put("server/__main__.py", 'raise SystemExit("Error: NOETL_COMMAND_BUS is required and unset")\n');

  await shell.run(`pulumi config set noetlImage ${image} --stack ${STACK}`);
  await shell.run(`pulumi config set releaseTimeoutSeconds 120 --stack ${STACK}`);
  // The update says by itself what the pods' last words were.
  await expect(shell.run(UP)).rejects.toThrow(/No module named noetl\.worker/);
  await shell.run(`pulumi config rm releaseTimeoutSeconds --stack ${STACK}`);
  const ids = ["image-module", "other-noetl-line"] as const;
  const found = await diagnosed(deployment.target, ids.join(" and "), (each) =>
    ids.every((id) => findingOf(each, id) !== undefined),
  );
  const [lacking, other] = ids.map((id) => findingOf(found, id));
  expect(lacking?.title).toContain("lacks the module noetl.worker");
  expect(other?.title).toContain("speaks no NATS");
  const remedy = commandsOf(lacking);
  expect(remedy).toEqual([`pulumi config set noetlImage ${DEFAULTS.noetlImage} --stack ${STACK}`, UP]);
  expect(commandsOf(other)).toEqual(remedy);
  await shell.runAll(remedy);
  await nothingIsLeft();
}, 1_000_000);

it(
  "a claim that nobody provides a volume for, a larger volume, a smaller one and another StorageClass",
  async () => {
    const { namespace, service: name, pod } = LOCATIONS.nats;
    const claim = { namespace, name: `${name}-js-${pod}` };
    const storage = deployment.config.makeApiClient(StorageV1Api);
    const { metadata: _, ...standard } = await storage.readStorageClass({ name: "standard" });
    await storage.createStorageClass({ body: { ...standard, metadata: { name: "elsewhere" } } });
    const found = async (id: "claim-pending" | "release-failed") =>
      findingOf(await diagnosed(await target(), id, (each) => Boolean(findingOf(each, id))), id);
    const asked = async () => (await deployment.core.readNamespacedPersistentVolumeClaim(claim)).spec;

    // As an update leaves it whose StorageClass is not there.
    const { metadata, spec } = await deployment.apps.readNamespacedStatefulSet({ namespace, name });
    const { labels, annotations } = metadata ?? {};
    const kubectl = `kubectl -n ${namespace}`;
    await shell.runAll([`${kubectl} delete statefulset ${name}`, `${kubectl} delete pvc ${claim.name}`]);
    const template = spec?.volumeClaimTemplates?.[0]?.spec;
    if (!spec || !template) throw new Error("NATS has no volume");
    template.storageClassName = "missing";
    await deployment.apps.createNamespacedStatefulSet({
      namespace,
      body: { metadata: { name, ...(labels ? { labels } : {}), ...(annotations ? { annotations } : {}) }, spec },
    });
    const pending = commandsOf(await found("claim-pending"));
    expect(pending).toEqual([
      expect.stringMatching(/ get storageclass$/),
      `pulumi config set natsStorageClass NAME --stack ${STACK}`,
      expect.stringMatching(/ delete statefulset nats --cascade=orphan$/),
      expect.stringMatching(/ delete pod nats-0$/),
      expect.stringMatching(/ delete pvc nats-js-nats-0$/),
      UP,
    ]);
    await shell.runAll(pending.map((command) => command.replace(" NAME ", " elsewhere ")));
    await nothingIsLeft();
    expect((await asked())?.storageClassName).toBe("elsewhere");

    // As a server leaves it that was taken away before it had a volume: such a claim cannot grow.
    const unused = { ...claim, name: `${name}-js-${name}-9` };
    await deployment.core.createNamespacedPersistentVolumeClaim({
      namespace,
      body: { metadata: { name: unused.name }, spec: { ...template, storageClassName: "elsewhere" } },
    });
    const { items } = await deployment.core.listNamespacedPersistentVolumeClaim({ namespace });
    await shell.run(`pulumi config set natsJetstreamFileSize 7Gi --stack ${STACK}`);
    await expect(shell.run(UP)).rejects.toThrow("updates to statefulset spec");
    const grown = commandsOf(await found("release-failed"));
    expect(grown.map((command) => command.replace(/^.* -n nats /, ""))).toEqual([
      ...items.map(({ metadata, status }) =>
        status?.phase === "Bound"
          ? `patch pvc ${metadata?.name} -p '{"spec":{"resources":{"requests":{"storage":"7Gi"}}}}'`
          : `delete pvc ${metadata?.name}`,
      ),
      "delete statefulset nats --cascade=orphan",
      UP,
    ]);
    await shell.runAll(grown);
    await nothingIsLeft();
    expect((await asked())?.resources?.requests?.storage).toBe("7Gi");

    // Two mistakes at once: each is said with its way back.
    await shell.run(`pulumi config set natsStorageClass standard --stack ${STACK}`);
    await shell.run(`pulumi config set natsJetstreamFileSize 6Gi --stack ${STACK}`);
    await expect(shell.run(UP)).rejects.toThrow("updates to statefulset spec");
    const moved = commandsOf(await found("release-failed"));
    expect(moved).toEqual([`pulumi config set natsStorageClass elsewhere --stack ${STACK}`, UP]);
    await shell.run(moved[0] ?? "");
    await expect(shell.run(UP)).rejects.toThrow("updates to statefulset spec");
    const smaller = commandsOf(await found("release-failed"));
    expect(smaller).toEqual([`pulumi config set natsJetstreamFileSize 7Gi --stack ${STACK}`, UP]);
    await shell.runAll(smaller);
    await nothingIsLeft();
  },
  TIMEOUT_MS,
);

it(
  "three servers in the place of one where commands wait: refused before anything is touched, with the way out",
  async () => {
    const { namespace, service: name } = LOCATIONS.nats;
    const { namespace: noetl, workerDeployment: worker } = LOCATIONS.noetl;
    const { spec } = await deployment.apps.readNamespacedDeployment({ namespace: noetl, name: worker });
    await deployment.empty(noetl, worker);
    const generation = async () =>
      (await deployment.apps.readNamespacedStatefulSet({ namespace, name })).metadata?.generation;
    const before = await generation();
    await deployment.withManager(async (_, connection) => {
      await connection.jetstream().publish(STREAM.subject, JSON.stringify({ id: "held" }));
    });
    await shell.run(`pulumi config set natsReplicas 3 --stack ${STACK}`);
    const refused = await shell.run(UP).then(
      () => "",
      (error: Error) => error.message.replace(/\s+/g, " "),
    );
    expect(refused).toContain("NATS was left as it is.");
    expect(refused).toContain("NOETL_COMMANDS (1 message)");
    const [, wayOut = ""] = /To keep one server: `([^`]+)`/.exec(refused) ?? [];
    await shell.runAll([`${wayOut} --stack ${STACK}`, UP]);
    await deployment.scale("Deployment", noetl, worker, spec?.replicas ?? 1);
    await nothingIsLeft();
    expect(await generation()).toBe(before);
  },
  TIMEOUT_MS,
);

it(
  "what was scaled down, and a release that a killed update left, by rollback, refresh and update",
  async () => {
    const { helm } = await ensureTools(["helm"]);
    const { namespace, service: name } = LOCATIONS.gateway;
    // Postgres' Service is the program's own, too: Pulumi brings it back.
    const postgres = { namespace: LOCATIONS.postgres.namespace, name: LOCATIONS.postgres.service };
    await deployment.core.deleteNamespacedService(postgres);
    const lost = await diagnosed(deployment.target, "service", (each) => findingOf(each, "service") !== undefined);
    expect(commandsOf(findingOf(lost, "service")).slice(0, 2)).toEqual([REFRESH, UP]);
    // Helm is killed in the middle of an upgrade that never becomes ready, and that was to take all but the Deployment away.
    const { spec } = await deployment.apps.readNamespacedDeployment({ namespace, name: LOCATIONS.gateway.deployment });
    const chart = neverReadyChart(deployment.dir, LOCATIONS.gateway.deployment, spec?.selector.matchLabels);
    const args = ["upgrade", name, chart, "--wait", "-n", namespace];
    const child = spawn(helm, [...args, "--kubeconfig", deployment.kubeconfigPath], { stdio: "ignore" });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    await until("pending-upgrade", async () => {
      const labelSelector = `owner=helm,name=${name},status=pending-upgrade`;
      return (await deployment.core.listNamespacedSecret({ namespace, labelSelector })).items[0];
    });
    child.kill("SIGKILL");
    await ended;
    await deployment.scale("StatefulSet", LOCATIONS.postgres.namespace, LOCATIONS.postgres.service, 0);

    const broken = await diagnosed(
      deployment.target,
      "both",
      (each) => Boolean(findingOf(each, "release-pending")) && Boolean(findingOf(each, "pods-missing")),
    );
    const stuck = commandsOf(findingOf(broken, "release-pending"));
    const [rollback = "", uninstall = ""] = stuck;
    expect(stuck).toEqual([
      expect.stringMatching(/^helm .*rollback gateway -n gateway$/),
      expect.stringMatching(/^helm .*uninstall gateway -n gateway$/),
      REFRESH,
      UP,
    ]);
    expect(commandsOf(findingOf(broken, "pods-missing")).slice(0, 2)).toEqual([REFRESH, UP]);
    // What was to be taken away is still there, unless Helm was faster than its end.
    const refused = await shell.run(rollback).then(
      () => undefined,
      (error: Error) => error.message,
    );
    if (refused !== undefined) {
      expect(refused).toMatch(/no \w+ with the name "\S+" found/);
      await shell.run(uninstall);
    }
    await shell.runAll([REFRESH, UP]);
    await nothingIsLeft();
  },
  TIMEOUT_MS,
);

it(
  "a state that an engine cut off when it was killed, by what docs/troubleshooting.md says",
  async () => {
    const state = path.join(embeddedPaths(deployment.dir).state, ".pulumi", "stacks", PROJECT, `${STACK}.json`);
    fs.truncateSync(state, 0);
    for (const command of ["verify", "doctor"] as const) {
      const { code, stderr } = await deployment.command(command, "--stack", STACK);
      expect(code).toBe(3);
      expect(stderr).toMatch(/failed to load checkpoint: .*(EOF|end of JSON)/);
      expect(stderr).toContain("docs/troubleshooting.md, a state that cannot be read");
    }
    // The last resort of the page: the state after the last update that ended.
    const kept = fs.readFileSync(`${state}.bak`);
    fs.truncateSync(`${state}.bak`, 0);
    const history = path.join(path.dirname(state), "..", "..", "history", PROJECT, STACK);
    const [newest = ""] = fs
      .readdirSync(history)
      .filter((file) => file.endsWith(".checkpoint.json"))
      .sort()
      .reverse();
    fs.copyFileSync(path.join(history, newest), state);
    expect(await shell.run(`pulumi stack output contract --stack ${STACK}`)).toContain("holds");

    fs.truncateSync(state, 0);
    fs.writeFileSync(`${state}.bak`, kept);
    const page = readProject("docs/troubleshooting.md");
    const [, script = ""] = /## A state that cannot be read\n[\s\S]*?```sh\n([\s\S]*?)```/.exec(page) ?? [];
    expect(script).toMatch(/^STATE=\S+\/noetl-nats\/kind\.json/);
    const here = script.replace(/^STATE=\S+/, `STATE=${state}`).replaceAll("--stack kind", `--stack ${STACK}`);
    await shell.run(here);
    expect((await verified(await target())).holds).toBe(true);
    await nothingIsLeft();
  },
  TIMEOUT_MS,
);
