import { execFile } from "node:child_process";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import * as path from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { Cluster as DoctorsCluster } from "../../commands/doctor/kubernetes";
import { examine } from "../../commands/doctor/doctor";
import { executeCheck } from "../../commands/doctor/execute";
import { restartDeployment } from "../../commands/doctor/repair/rollout";
import { announceLost, deployedNoetl } from "../../commands/doctor/repair/announce";
import { contractInputs } from "../../commands/doctor/target";
import { embeddedEngine } from "../../embedded/home";
import { layoutOf } from "../../config/network";
import { projectRoot } from "../../contract/project";
import { processOf } from "../../embedded/cluster/processes";
import { canBeReadOnly } from "../../embedded/cluster/read-only";
import { readProject } from "../support/markdown";
import { ADDRESSES, disagreements, jobIn, placesOf, type Policy, STRANGERS, type Workload } from "../support/network";
import { until } from "../support/nats";
import {
  FIRST,
  NOETL,
  STACK,
  addresses,
  cluster,
  config,
  dir,
  failingUp,
  kube,
  nats,
  notHolding,
  onOneCluster,
  onOutput,
  readTarget,
  touched,
  up,
  withStack,
} from "./support";

/** A checklist without what differs from one deployment to the next, and however its lines are wrapped. */
const shapeOf = (text: string): string =>
  text
    .replace(/^Stack \S+ on \S+/, "Stack on")
    .replace(/(nats-box|contract-guard)-\S+/g, "$1")
    .replace(/\s+/g, "")
    .replace(/\d+messages?;created[\dTZ:-]+/, "messages;created")
    .replace(/\d+waitingfetch(es)?/, "waitingfetches");

/** Kills the process behind the container nats of pod nats-0, as a node's trouble would. */
function killNats(): void {
  process.kill(processOf(cluster.dir, "nats-0"), "SIGKILL");
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

/** Asks NoETL's API, as its clients do. */
async function noetl<T>(what: string, body: object): Promise<T> {
  const answer = await fetch(`http://127.0.0.1:${addresses()["noetl.noetl.svc.cluster.local:8082"]}/api/${what}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return (await answer.json()) as T;
}

/** What a compiled command prints, run as `npm run` starts it. */
async function command(name: "verify" | "doctor", ...args: readonly string[]): Promise<string> {
  const { command, env } = embeddedEngine(dir);
  const file = path.join(projectRoot(), "dist", "commands", "doctor", `${name}.js`);
  const { stdout } = await promisify(execFile)(process.execPath, [file, ...args], {
    env: {
      ...env,
      PATH: [path.dirname(command), env.PATH].join(path.delimiter),
      XDG_STATE_HOME: path.join(dir, "xdg"),
    },
    timeout: 300_000,
  });
  return stdout;
}

/** The execution whose second command was lost. */
let halfway = "";

onOneCluster();

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

  it("is destroyed without remains", async () => {
    await withStack((stack) => stack.destroy({ onOutput }));
    const { core } = kube();
    const names = (await core.listNamespace()).items.map((each) => each.metadata?.name).sort();
    expect(names).toEqual(["default", "kube-node-lease", "kube-public", "kube-system"]);
    expect((await core.listPodForAllNamespaces()).items).toEqual([]);
  });
});
