import { execFile, spawn } from "node:child_process";
import { promisify } from "node:util";
import type { KubernetesObject, V1Pod } from "@kubernetes/client-node";
import { beforeAll, describe, expect, it, onTestFailed } from "vitest";
import { LOCATIONS } from "../../../../contract/facts";
import type { Target } from "../../../../commands/doctor/target";
import { ensureTools } from "../../../../embedded/toolchain";
import { until } from "../../../support/nats";
import { Deployment, diagnosed, examine, findingOf, neverReadyChart, remedyText, runHelm, verified } from "./support";

let deployment: Deployment;
let target: Target;
beforeAll(async () => {
  deployment = await Deployment.attach();
  target = deployment.target;
});

const nothingIsLeft = () =>
  diagnosed(target, "that nothing is wrong any more", ({ findings }) => findings.length === 0);

describe("pods that the cluster does not let in", () => {
  const quota = (namespace: string, pods: number): KubernetesObject & { spec: object } => ({
    apiVersion: "v1",
    kind: "ResourceQuota",
    metadata: { name: "small", namespace },
    spec: { hard: { pods: String(pods) } },
  });

  /** What the doctor says while the object is there and the workload is scaled to `more`. */
  async function refused(
    object: KubernetesObject,
    kind: "Deployment" | "StatefulSet",
    { namespace, name, wanted, more }: { namespace: string; name: string; wanted: number; more: number },
  ) {
    const diagnosis = await deployment.withObjects([object], async () => {
      await deployment.scale(kind, namespace, name, more);
      try {
        return await diagnosed(target, "pods-refused", (each) => findingOf(each, "pods-refused") !== undefined);
      } finally {
        await deployment.scale(kind, namespace, name, wanted);
      }
    });
    await nothingIsLeft();
    expect(diagnosis.findings.map(({ id }) => id)).toEqual(["pods-refused"]);
    return findingOf(diagnosis, "pods-refused");
  }

  it("names the ResourceQuota that a Deployment's pods would exceed", async () => {
    const { namespace, workerDeployment: name } = LOCATIONS.noetl;
    const finding = await refused(quota(namespace, 3), "Deployment", { namespace, name, wanted: 2, more: 3 });
    expect(finding?.title).toContain(name);
    expect(finding?.evidence[0]).toContain("exceeded quota: small, requested: pods=1, used: pods=3, limited: pods=3");
    expect(finding && remedyText(finding)).toContain(`-n ${namespace} describe resourcequota small`);
  });

  it("names the ResourceQuota that a StatefulSet's pods would exceed", async () => {
    const { namespace, service: name } = LOCATIONS.nats;
    const finding = await refused(quota(namespace, 2), "StatefulSet", { namespace, name, wanted: 1, more: 2 });
    expect(finding?.evidence[0]).toMatch(/StatefulSet nats\/nats: .*FailedCreate.*nats-1.*exceeded quota: small/);
  });

  it("names the LimitRange that forbids what containers ask for", async () => {
    const { namespace, deployment: name } = LOCATIONS.gateway;
    const range = {
      apiVersion: "v1",
      kind: "LimitRange",
      metadata: { name: "tiny", namespace },
      spec: { limits: [{ type: "Container", max: { memory: "1Mi" } }] },
    };
    const finding = await refused(range, "Deployment", { namespace, name, wanted: 1, more: 2 });
    expect(finding?.symptoms).toEqual(["cors"]);
    expect(finding?.evidence[0]).toContain("maximum memory usage per Container is 1Mi");
    expect(finding && remedyText(finding)).toContain(`-n ${namespace} describe limitrange`);
  });
});

describe("pods that were ended or are not there", () => {
  it("names a container that the kernel ended for its memory, and the setting of its limit", async () => {
    // Nothing is short of memory here.
    const ended = { exitCode: 137, reason: "OOMKilled" };
    const value: V1Pod["status"] = {
      phase: "Running",
      containerStatuses: [
        {
          name: "main",
          image: "nats:2",
          imageID: "",
          ready: false,
          restartCount: 4,
          state: { waiting: { reason: "CrashLoopBackOff" } },
          lastState: { terminated: ended },
        },
      ],
    };
    const { findings } = await deployment.withReportedPod("nats", "nats-9", value, () => examine(target));
    expect(findings.map(({ id, severity }) => [id, severity])).toEqual([["memory", "cause"]]);
    expect(findings[0]?.evidence).toEqual(["pod nats/nats-9, container main: OOMKilled, 4 restarts"]);
    expect(findings[0] && remedyText(findings[0])).toContain("pulumi config set natsMemoryLimit");
  });

  it("names NATS when it was scaled to nothing or refuses its configuration, and the stream in memory that is gone after it", async () => {
    const { namespace, service } = LOCATIONS.nats;
    // The files after this one need NATS, whatever happens here.
    onTestFailed(() => deployment.scale("StatefulSet", namespace, service, 1));
    await deployment.scale("StatefulSet", namespace, service, 0);
    const off = await diagnosed(target, "that no pod is left", (each) =>
      /: 0 of 0 ready/.test(findingOf(each, "pods-missing")?.evidence.join() ?? ""),
    );
    expect(findingOf(off, "pods-missing")?.title).toBe("nats was scaled to nothing");
    // That NATS cannot be asked is its consequence.
    expect(findingOf(off, "no-pod")).toBeUndefined();
    const { lines } = await verified(target);
    expect(lines.find(({ item }) => item === service)).toMatchObject({ status: "wrong" });

    // It comes back with a configuration that somebody has broken by hand meanwhile.
    const configMap = { namespace, name: "nats-config" };
    const { data } = await deployment.core.readNamespacedConfigMap(configMap);
    const broken = (data?.["nats.conf"] ?? "").replace('"port": 4222', '"port": 4222\n"jetstrem": {');
    const body = [{ op: "replace", path: "/data/nats.conf", value: broken }];
    await deployment.core.patchNamespacedConfigMap({ ...configMap, body });
    await deployment.scale("StatefulSet", namespace, service, 1);
    const refused = await diagnosed(target, "nats-config", (each) => findingOf(each, "nats-config") !== undefined);
    const finding = findingOf(refused, "nats-config");
    expect(finding?.evidence.join("\n")).toContain("Parse error on line");
    expect(await runHelm(finding)).toMatch(/ rollback nats \d+ -n nats$/);
    await deployment.core.deleteNamespacedPod({ namespace, name: LOCATIONS.nats.pod });
    await diagnosed(target, "no-stream", (each) => findingOf(each, "no-stream") !== undefined);
    expect((await deployment.command("doctor", "--stack", target.stack, "--repair", "--yes")).code).toBe(0);
    await diagnosed(target, "that nothing is wrong any more", ({ healthy }) => healthy);
    await deployment.restart(LOCATIONS.noetl.serverDeployment);
    await nothingIsLeft();
  });
});

describe("a Helm release that an update left behind", () => {
  const NAMESPACE = "left-behind";

  it("is named, and the commands that are printed free it", async () => {
    const { helm } = await ensureTools(["helm"]);
    const name = LOCATIONS.gateway.service;
    const env = { ...process.env, HELM_CACHE_HOME: deployment.dir, HELM_CONFIG_HOME: deployment.dir };
    const at = ["--kubeconfig", deployment.kubeconfigPath, "-n", NAMESPACE];
    const run = (...args: string[]) => promisify(execFile)(helm, [...args, ...at], { env });
    const elsewhere = { ...target, namespaces: { ...target.namespaces, gateway: NAMESPACE } };
    const told = async (id: string) => findingOf(await examine(elsewhere), id);

    /** Kills helm as soon as its release has the status. */
    async function killed(status: string, ...args: string[]): Promise<void> {
      const child = spawn(helm, [...args, ...at], { env, stdio: "ignore" });
      const ended = new Promise((resolve) => child.once("exit", resolve));
      await until(status, async () => {
        const labelSelector = `owner=helm,name=${name},status=${status}`;
        const { items } = await deployment.core.listNamespacedSecret({ namespace: NAMESPACE, labelSelector });
        return items[0];
      });
      child.kill("SIGKILL");
      await ended;
    }
    const chart = () => neverReadyChart(deployment.dir);
    const freed = async (id: string) => runHelm(await told(id));

    await killed("pending-install", "install", name, chart(), "--create-namespace", "--wait");
    await expect(run("upgrade", name, chart())).rejects.toThrow(/in progress|no deployed releases/);
    const stuck = await told("release-pending");
    expect(stuck?.evidence[0]).toContain(`release ${NAMESPACE}/${name}: revision 1 is pending-install for `);
    expect(await freed("release-pending")).toContain(`uninstall ${name} -n ${NAMESPACE}`);
    expect(await told("release-pending")).toBeUndefined();

    await run("install", name, chart());
    await killed("pending-upgrade", "upgrade", name, chart(), "--wait");
    await expect(run("upgrade", name, chart())).rejects.toThrow("another operation (install/upgrade/rollback) is in");
    expect(await freed("release-pending")).toContain(`rollback ${name} -n ${NAMESPACE}`);
    expect(await told("release-pending")).toBeUndefined();

    await expect(run("upgrade", name, chart(), "--wait", "--timeout", "1s")).rejects.toThrow();
    const failed = await told("release-failed");
    expect(failed?.evidence[0]).toMatch(
      RegExp(`^release ${NAMESPACE}/${name}: revision 4 failed \\d+ s ago: Upgrade "${name}" failed: `),
    );
    await run("upgrade", name, chart());
    expect(await told("release-failed")).toBeUndefined();
    await deployment.core.deleteNamespace({ name: NAMESPACE });
  });
});
