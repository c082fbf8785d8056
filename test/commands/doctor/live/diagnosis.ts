import * as fs from "node:fs";
import * as http from "node:http";
import type * as net from "node:net";
import * as path from "node:path";
import type { V1Pod } from "@kubernetes/client-node";
import { RetentionPolicy } from "nats";
import { beforeAll, describe, expect, it } from "vitest";
import { LOCATIONS, STREAM } from "../../../../contract/facts";
import { exitOf } from "../../../../commands/doctor/checklist";
import { SYMPTOMS } from "../../../../commands/doctor/diagnosis";
import { targetOf, type Target } from "../../../../commands/doctor/target";
import { closedPort, proxy, startNatsServer, until } from "../../../support/nats";
import { commandsOf, kubectlOf } from "./shell";
import { Deployment, diagnosed, examine, findingOf, pod, remedyText, runHelm, STACK, verified } from "./support";

const { serverDeployment: SERVER, workerDeployment: WORKER } = LOCATIONS.noetl;

let deployment: Deployment;
let target: Target;

beforeAll(async () => {
  deployment = await Deployment.attach();
  target = deployment.target;
});

const replaceStream = (changes: object) => deployment.replaceStream(changes);
const changed = (changes: Parameters<Deployment["changed"]>[0]) => deployment.changed(changes);
const command = (name: "verify" | "doctor", ...args: readonly string[]) => deployment.command(name, ...args);

describe("a deployment that works", () => {
  it("holds line by line, and the doctor finds nothing", async () => {
    const { lines } = await verified(target);
    expect(lines.filter(({ status }) => status !== "ok")).toEqual([]);
    expect((await examine(target)).findings).toEqual([]);
  });

  it("is verified by the command, from the stack's outputs and kubeconfig alone, without a secret", async () => {
    const { code, stdout, stderr } = await command("verify", "--stack", STACK);
    // On a slow machine it says what it waits for, and nothing else.
    expect({ code, stderr: stderr.replace(/^Still asking the stack's state, [^\n]*\n$/, "") }).toEqual({
      code: 0,
      stderr: "",
    });
    expect(stdout).toContain("Everything holds.");
    const json = await command("verify", "--stack", STACK, "--json");
    expect(JSON.parse(json.stdout)).toMatchObject({ stack: STACK, holds: true, exit: 0 });
    const doctor = await command("doctor", "--stack", STACK, "--json");
    expect(JSON.parse(doctor.stdout)).toMatchObject({ healthy: true, findings: [], exit: 0 });
    for (const text of [stdout, json.stdout, doctor.stdout]) {
      expect(target.secrets.filter((secret) => text.includes(secret))).toEqual([]);
    }
    expect(target.secrets.length).toBeGreaterThan(0);
  });

  it("ends with 3 where there is no such stack, and with 2 where the command line is wrong", async () => {
    const none = await command("verify", "--stack", "nowhere");
    expect(none.code).toBe(3);
    expect(none.stderr).toContain("stack nowhere cannot be read: ");
    expect((await command("doctor", "--stack", STACK, "--yes")).code).toBe(2);
  });

  it("is told from one whose first update did not finish: the password comes from the cluster then", async () => {
    const unfinished = targetOf(STACK, { config: deployment.content.config, outputs: {} });
    expect(unfinished.nats.password).toBeUndefined();
    const { findings } = await examine(unfinished);
    expect(findings.map(({ id }) => id)).toEqual(["unfinished"]);
    expect(findings[0]?.evidence[0]).toContain("contract");
  });
});

describe("the stream", () => {
  it("work queue: workers crash-loop; the repair fixes it and hands the waiting commands out", async () => {
    await replaceStream({ retention: RetentionPolicy.Workqueue });
    await deployment.withManager(async (_, connection) => {
      for (const id of [1, 2, 3]) await connection.jetstream().publish(STREAM.subject, JSON.stringify({ id }));
    });
    await deployment.restart(WORKER);
    const diagnosis = await diagnosed(
      target,
      "that the work queue makes workers crash",
      (each) => findingOf(each, "work-queue")?.evidence.some((line) => line.includes("err_code=10101")) ?? false,
    );
    const finding = findingOf(diagnosis, "work-queue");
    expect(finding).toMatchObject({ severity: "cause", symptoms: ["workQueue"], repairable: true });
    expect(SYMPTOMS.workQueue).toContain("deliver all on workqueue stream");
    expect(finding && remedyText(finding)).toMatch(/--repair[^]*nats stream rm NOETL_COMMANDS -f[^]*rollout restart/);
    // The workers' crash loop is explained, and told once.
    expect(diagnosis.findings.map(({ id }) => id)).toEqual(["work-queue"]);
    expect(exitOf(await verified(target))).toBe("wrong");

    const declined = await command("doctor", "--stack", STACK, "--repair");
    expect({ code: declined.code, stdout: declined.stdout }).toMatchObject({ code: 4 });
    expect(declined.stdout).toContain("back up 3 messages");
    const repaired = await command("doctor", "--stack", STACK, "--repair", "--yes");
    expect(repaired.stdout).toContain("The contract holds.");
    expect(repaired.code).toBe(0);
    const info = () => deployment.withManager((manager) => manager.consumers.info(STREAM.name, "noetl_worker_pool"));
    await until("the workers to take all three", async () =>
      (await info()).ack_floor.stream_seq === 3 ? true : undefined,
    );
    await diagnosed(target, "that nothing is wrong any more", ({ healthy }) => healthy);
  });

  it("wrong subject: the server gets no response from the stream", async () => {
    await replaceStream({ subjects: ["other.commands"] });
    const { findings } = await examine(target);
    const finding = findings.find(({ id }) => id === "subject-not-stored");
    expect(finding).toMatchObject({ severity: "cause", symptoms: ["noResponse"], repairable: true });
    expect(SYMPTOMS.noResponse).toContain("nats: no response from stream");
    expect(finding?.title).toContain("stores other.commands and not noetl.commands");
    expect(finding && remedyText(finding)).toContain("stream edit NOETL_COMMANDS");
  });

  it("no stream: nothing stores what the server publishes", async () => {
    await deployment.withManager((manager) => manager.streams.delete(STREAM.name));
    const { findings } = await examine(target);
    expect(findings.find(({ id }) => id === "no-stream")).toMatchObject({
      severity: "cause",
      symptoms: ["noResponse"],
    });
    const repaired = await command("doctor", "--stack", STACK, "--repair", "--yes", "--json");
    expect(JSON.parse(repaired.stdout)).toMatchObject({ outcome: "repaired", exit: 0 });
    expect(exitOf(await verified(target))).toBe("ok");
  });

  it("a stream that merely differs is a note and no cause", async () => {
    await deployment.withManager(async (manager) => {
      const { config } = await manager.streams.info(STREAM.name);
      await manager.streams.update(STREAM.name, { ...config, max_age: 1800e9 });
    });
    const diagnosis = await examine(target);
    expect(diagnosis.healthy).toBe(true);
    expect(findingOf(diagnosis, "drift")?.evidence[0]).toContain("stream-max-age: found 1800 s, expected 3600 s");
    expect((await command("doctor", "--stack", STACK, "--repair", "--yes")).code).toBe(0);
    expect((await examine(target)).findings).toEqual([]);
  });
});

describe("the way to the cluster and to NATS", () => {
  /** The shared cluster, asked with another login. */
  const withToken = (token: string): Target => ({
    ...target,
    cluster: {
      kubeconfig: fs.readFileSync(deployment.kubeconfigPath, "utf8").replace(/"token":"[^"]*"/, `"token":"${token}"`),
    },
    nats: {
      ...target.nats,
      connection: {
        namespace: "nats",
        service: "nats",
        port: 4222,
        kubeconfig: fs.readFileSync(deployment.kubeconfigPath, "utf8").replace(/"token":"[^"]*"/, `"token":"${token}"`),
      },
    },
  });
  const withKubeconfig = (kubeconfig: string): Target => changed({ config: { kubeconfig, kubeContext: "" } });

  it("cluster unreachable", async () => {
    const file = path.join(deployment.dir, "unreachable");
    const text = fs.readFileSync(deployment.kubeconfigPath, "utf8");
    fs.writeFileSync(file, text.replace(/127\.0\.0\.1:\d+/, `127.0.0.1:${await closedPort()}`));
    const { findings } = await examine(withKubeconfig(file));
    expect(findings.map(({ id }) => id)).toEqual(["cluster-unreachable"]);
    expect(findings[0]?.evidence[0]).toContain("ECONNREFUSED");
    expect(exitOf(await verified(withKubeconfig(file)))).toBe("unknown");
  });

  it("no kubeconfig, and a login that the cluster does not accept", async () => {
    const missing = await examine(withKubeconfig(path.join(deployment.dir, "nowhere")));
    expect(missing.findings.map(({ id }) => id)).toEqual(["bad-kubeconfig"]);
    const { findings } = await examine(withToken("wrong"));
    expect(findings.map(({ id }) => id)).toEqual(["cluster-login"]);
  });

  it("forbidden port-forward, with the role that is lacking", async () => {
    const namespace = "default";
    const name = "onlooker";
    await deployment.core.createNamespacedServiceAccount({ namespace, body: { metadata: { name } } });
    const resources =
      "pods,pods/log,services,secrets,configmaps,events,persistentvolumeclaims,deployments,statefulsets,jobs";
    const rules = [{ apiGroups: ["*"], resources: resources.split(","), verbs: ["get", "list"] }];
    await deployment.rbac.createClusterRole({ body: { metadata: { name }, rules } });
    await deployment.rbac.createClusterRoleBinding({
      body: {
        metadata: { name },
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name },
        subjects: [{ kind: "ServiceAccount", name, namespace }],
      },
    });
    const body = { spec: { audiences: [], expirationSeconds: 600 } };
    const { status } = await deployment.core.createNamespacedServiceAccountToken({ namespace, name, body });
    const onlooker = withToken(status?.token ?? "");
    const { findings } = await examine(onlooker);
    const forbidden = findings.filter(({ id }) => id === "forbidden-port-forward");
    // NATS's pod, and those that are asked over HTTP: each namespace has its own.
    expect(forbidden.length).toBeGreaterThan(0);
    expect(forbidden.every(({ severity }) => severity === "cause")).toBe(true);
    expect(forbidden.map(remedyText).join("\n")).toContain("--resource=pods/portforward");
    // Who the user is, only the administrator knows; the rest is run as it stands.
    const user = `system:serviceaccount:${namespace}:${name}`;
    for (const command of new Set(forbidden.flatMap(commandsOf)))
      await kubectlOf(deployment, command.replace("--user=NAME", `--user=${user}`));
    await diagnosed(onlooker, "that a port-forward opens", (each) => !findingOf(each, "forbidden-port-forward"));
  });

  it("NATS not installed", async () => {
    const empty = "nothing-here";
    const connection = { ...target.nats.connection, namespace: empty };
    const diagnosis = await examine({
      ...target,
      namespaces: { ...target.namespaces, nats: empty },
      nats: { ...target.nats, connection },
    });
    const finding = findingOf(diagnosis, "no-pod");
    expect(finding?.evidence[0]).toContain("there is no Service nothing-here/nats");
  });

  it("connection refused inside the pod: the server in it does not listen", async () => {
    const connection = { ...target.nats.connection, port: 4299 };
    const { findings } = await examine({ ...target, nats: { ...target.nats, connection } });
    expect(findings.map(({ id, severity }) => [id, severity])).toEqual([["refused", "cause"]]);
    expect(findings[0]?.evidence[0]).toContain("pod nats/nats-0 does not answer on port 4299");
    expect(findings[0] && remedyText(findings[0])).toContain("-n nats logs nats-0 -c nats");
  });

  it("wrong password: the stack's is not the one that NATS was deployed with", async () => {
    const { findings } = await examine(changed({ outputs: { natsPassword: "another-password" } }));
    const finding = findings.find(({ id }) => id === "wrong-password");
    expect(finding?.title).toContain("an update that changed it did not finish");
    expect(JSON.stringify(findings)).not.toContain("another-password");
  });

  const server = async (config: string | undefined, user = "noetl", password = "right-password") => {
    const nats = await startNatsServer(config === undefined ? {} : { config });
    const at = (address: string): Target => ({
      ...target,
      namespaces: { noetl: target.namespaces.noetl ?? "" },
      nats: { connection: { servers: [address] }, user, password, port: 4222 },
    });
    return { nats, at };
  };
  const USERS = `jetstream: {store_dir: "DIR/jetstream"}
    authorization: {users: [
      {user: noetl, password: right-password, permissions: {publish: ["other"], subscribe: ["_INBOX.>"]}}
    ]}`;

  it.each([
    ["wrong-password", USERS, "wrong-password"],
    ["missing-permission", USERS, "right-password"],
    ["jetstream-off", `authorization: {users: [{user: noetl, password: right-password}]}`, "right-password"],
  ])("a server of one's own: %s", async (id, config, password) => {
    const { nats, at } = await server(config, "noetl", password);
    try {
      const { findings } = await examine(at(nats.address));
      expect(findings.filter(({ severity }) => severity === "cause").map((finding) => finding.id)).toEqual([id]);
      expect(findings[0]?.remedy.length).toBeGreaterThan(0);
    } finally {
      await nats.stop();
    }
  });

  it("connection refused, and a server that never answers", async () => {
    const { nats, at } = await server(undefined);
    const silent = await proxy(nats, "");
    try {
      const refused = await examine(at(`127.0.0.1:${await closedPort()}`));
      expect(refused.findings.map(({ id }) => id)).toEqual(["refused"]);
      const timedOut = await examine(at(silent.address));
      expect(timedOut.findings.map(({ id }) => id)).toEqual(["no-answer"]);
    } finally {
      await silent.close();
      await nats.stop();
    }
  });
});

describe("pods and what they need", () => {
  it("names a volume that nobody provides, and the pod that waits for it", async () => {
    const claim = {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: { name: "data", namespace: "postgres" },
      spec: {
        storageClassName: "missing",
        accessModes: ["ReadWriteOnce"],
        resources: { requests: { storage: "1Gi" } },
      },
    };
    const volumes = [{ name: "data", persistentVolumeClaim: { claimName: "data" } }];
    const diagnosis = await deployment.withObjects([claim, pod("postgres", "waits", { volumes })], () =>
      diagnosed(target, "claim-pending", (each) =>
        /ProvisioningFailed[^]*pod postgres\/waits/.test(findingOf(each, "claim-pending")?.evidence.join("\n") ?? ""),
      ),
    );
    const finding = findingOf(diagnosis, "claim-pending");
    expect(finding?.evidence.join("\n")).toContain('storageclass.storage.k8s.io "missing" not found');
    expect(finding && remedyText(finding)).toContain("pulumi config set postgresStorageClass");
    expect(diagnosis.findings.map(({ id }) => id)).toEqual(["claim-pending"]);
  });

  it("names a pod that no node takes", async () => {
    const diagnosis = await deployment.withObjects([pod("noetl", "homeless", { nodeSelector: { disk: "none" } })], () =>
      diagnosed(target, "unscheduled", (each) => findingOf(each, "unscheduled") !== undefined),
    );
    expect(findingOf(diagnosis, "unscheduled")?.evidence[0]).toContain("node affinity");
  });

  it("names an image that cannot be pulled, and the setting it comes from", async () => {
    // Nothing pulls images here.
    const waiting = { reason: "ImagePullBackOff", message: 'Back-off pulling image "nowhere.example/app:1"' };
    const image = "nowhere.example/app:1";
    const container = { name: "main", image, imageID: "", ready: false, restartCount: 0, state: { waiting } };
    const value: V1Pod["status"] = { phase: "Pending", containerStatuses: [container] };
    const { findings } = await deployment.withReportedPod("gateway", "gateway-new", value, () => examine(target));
    const [finding] = findings;
    expect(finding).toMatchObject({ id: "image", severity: "cause", symptoms: ["cors"] });
    expect(finding?.title).toContain("nowhere.example/app:1");
    expect(finding && remedyText(finding)).toContain("gatewayImage");
  });

  it("names a Secret that is not there", async () => {
    const env = [{ name: "X", valueFrom: { secretKeyRef: { name: "gone", key: "x" } } }];
    const diagnosis = await deployment.withObjects([pod("noetl", "keyless", {}, { app: WORKER }, { env })], () =>
      diagnosed(target, "container-config", (each) => findingOf(each, "container-config") !== undefined),
    );
    expect(findingOf(diagnosis, "container-config")?.evidence[0]).toContain('secret "gone" not found');
  });

  it("names the schema's Job that failed, with its last words", async () => {
    const namespace = "postgres";
    const [loaded] = (await deployment.batch.listNamespacedJob({ namespace })).items;
    const template = structuredClone(loaded?.spec?.template);
    const container = template?.spec?.containers[0];
    if (!template?.metadata || !container) throw new Error("the schema's Job is not there");
    // The Job as it was deployed, with a password that Postgres does not accept.
    template.metadata.labels = { app: "noetl-schema" };
    container.env = (container.env ?? []).map((each) =>
      each.name === "PGPASSWORD" ? { name: each.name, value: "not-this-one" } : each,
    );
    const job = {
      apiVersion: "batch/v1",
      kind: "Job",
      metadata: { name: "postgres-schema-broken", namespace },
      spec: { backoffLimit: 0, template },
    };
    const diagnosis = await deployment.withObjects([job], () =>
      diagnosed(target, "schema-job", (each) => findingOf(each, "schema-job") !== undefined),
    );
    const finding = findingOf(diagnosis, "schema-job");
    expect(finding?.evidence.join("\n")).toContain("password authentication failed");
    expect(finding && remedyText(finding)).toContain("postgresPassword");
  });
});

describe("the gateway", () => {
  /** What a CDN does whose origin it takes for down: an error page of its own, without CORS headers. */
  async function behindCdn<T>(work: (url: string) => Promise<T>): Promise<T> {
    const cdn = http.createServer((_, response) => {
      response.writeHead(502, { server: "example-cdn" }).end("<html>Bad gateway</html>");
    });
    await new Promise<void>((resolve) => cdn.listen(0, "127.0.0.1", resolve));
    try {
      return await work(`http://127.0.0.1:${(cdn.address() as net.AddressInfo).port}`);
    } finally {
      cdn.close();
    }
  }

  it("tells a proxy's error page without CORS headers from the gateway's own answer", async () => {
    const { findings } = await behindCdn((url) => examine(changed({ config: { gatewayPublicUrl: url } })));
    expect(findings.map(({ id }) => id)).toEqual(["proxy-5xx-without-cors"]);
    expect(findings[0]?.symptoms).toEqual(["cors"]);
    const evidence = findings[0]?.evidence.join("\n");
    expect(evidence).toContain("gets 502 from example-cdn, without access-control-allow-origin");
    expect(evidence).toMatch(
      /pod gateway\/gateway-\S+: OPTIONS \/api\/auth\/validate gets 20\d, access-control-allow-origin/,
    );
  });

  it("names a public URL behind which nothing listens, while the gateway answers", async () => {
    const url = `http://127.0.0.1:${await closedPort()}`;
    const { findings } = await examine(deployment.changed({ config: { gatewayPublicUrl: url } }));
    expect(findings.map(({ id, evidence }) => [id, evidence])).toEqual([
      ["public-url", [`${url} gives no answer: ECONNREFUSED`]],
    ]);
  });

  it("names an origin that is not allowed, and the setting that allows it", async () => {
    const { findings } = await examine(target, "https://app.example.com");
    expect(findings.map(({ id }) => id)).toEqual(["cors-origin"]);
    const [finding] = findings;
    expect(finding && remedyText(finding)).toMatch(/corsAllowedOrigins \S*,https:\/\/app\.example\.com --stack/);
  });

  it("names a setting that somebody changed by hand", async () => {
    const { namespace, deployment: name } = LOCATIONS.gateway;
    const { spec } = await deployment.apps.readNamespacedDeployment({ namespace, name });
    const env = spec?.template.spec?.containers[0]?.env ?? [];
    const changed = { NATS_UPDATES_SUBJECT_PREFIX: "updates.elsewhere.", NATS_SESSION_BUCKET: "others" };
    await deployment.apps.patchNamespacedDeployment({
      namespace,
      name,
      body: Object.entries(changed).map(([variable, value]) => ({
        op: "replace",
        path: `/spec/template/spec/containers/0/env/${env.findIndex((each) => each.name === variable)}/value`,
        value,
      })),
    });
    const finding = findingOf(await examine(target), "environment");
    expect(finding?.title).toContain("gateway has other settings than the stack: ");
    for (const variable of Object.keys(changed)) expect(finding?.title).toContain(variable);
    const { holds, lines } = await verified(target);
    expect(holds).toBe(false);
    expect(lines.filter(({ status }) => status === "wrong").map(({ item }) => item)).toEqual(
      expect.arrayContaining(Object.keys(changed)),
    );
    // Pulumi does not look into a release; Helm's own last revision brings the setting back.
    expect(await runHelm(finding)).toMatch(/ rollback gateway \d+ -n gateway$/);
    await diagnosed(target, "that nothing is wrong any more", ({ findings }) => findings.length === 0);
  });

  it("names an image that the stack does not have, and none that comes from a mirror or has a digest", async () => {
    const { noetlImage } = target.settings;
    const other = deployment.changed({ config: { noetlImage: "registry.example/noetl:v2.8.10" } });
    const titles = (await examine(other)).findings.map(({ title }) => title);
    expect(titles).toContain("noetl-server has other settings than the stack: image");
    const digest = `mirror.example/${noetlImage.replace(/@.*$/, "")}@sha256:${"0".repeat(64)}`;
    expect(
      findingOf(await examine(deployment.changed({ config: { noetlImage: digest } })), "environment"),
    ).toBeUndefined();
  });

  it("names a setting of the workers that their pods do not have", async () => {
    const { findings } = await examine(deployment.changed({ config: { workerMaxAckPending: "65" } }));
    expect(findings.find(({ id }) => id === "environment")?.title).toBe(
      "noetl-worker has other settings than the stack: NOETL_WORKER_NATS_MAX_ACK_PENDING",
    );
  });

  it("names a Service that was deleted, and one that leads elsewhere, which Helm puts back", async () => {
    const { namespace, service: name } = LOCATIONS.noetl;
    await deployment.core.deleteNamespacedService({ namespace, name });
    const lost = await examine(target);
    // Its pods are ready, and nobody finds them.
    expect(lost.findings.filter(({ severity }) => severity === "cause").map(({ id }) => id)).toEqual(["service"]);
    expect(findingOf(lost, "service")?.evidence).toEqual([expect.stringContaining("there is no Service noetl/noetl")]);
    expect((await verified(target)).lines).toContainEqual(
      expect.objectContaining({ section: "Services", item: name, status: "wrong" }),
    );
    expect(await runHelm(findingOf(lost, "service"))).toMatch(/ rollback noetl \d+ -n noetl$/);
    await diagnosed(target, "that nothing is wrong any more", ({ findings }) => findings.length === 0);

    const gateway = LOCATIONS.gateway;
    const place = { namespace: gateway.namespace, name: gateway.service };
    const body = [{ op: "replace", path: "/spec/ports/0/targetPort", value: 9999 }];
    await deployment.core.patchNamespacedService({ ...place, body });
    const elsewhere = findingOf(await examine(target), "service");
    expect(elsewhere).toMatchObject({ symptoms: ["cors"] });
    expect(elsewhere?.evidence[0]).toContain("leads to port 9999, which no container of gateway has");
    await runHelm(elsewhere);
    await diagnosed(target, "that nothing is wrong any more", ({ findings }) => findings.length === 0);
  });

  it("names a Deployment whose rollout somebody has paused, and the command that lets it go on", async () => {
    const { namespace } = LOCATIONS.noetl;
    const annotation = { op: "add", path: "/spec/template/metadata/annotations/paused-by", value: "somebody" };
    await deployment.apps.patchNamespacedDeployment({
      namespace,
      name: SERVER,
      body: [{ op: "add", path: "/spec/paused", value: true }, annotation],
    });
    const paused = await diagnosed(target, "rollout-paused", (each) => findingOf(each, "rollout-paused") !== undefined);
    expect(findingOf(paused, "rollout-paused")).toMatchObject({ severity: "cause" });
    const line = (await verified(target)).lines.find(({ item }) => item === SERVER);
    expect(line).toMatchObject({ status: "wrong" });
    expect(line?.found).toContain("rollout paused");
    await kubectlOf(deployment, commandsOf(findingOf(paused, "rollout-paused"))[0] ?? "");
    await deployment.settled();
    await diagnosed(target, "that nothing is wrong any more", ({ findings }) => findings.length === 0);
  });

  it("names workers that were scaled to nothing, which the stack does not want", async () => {
    const { namespace } = LOCATIONS.noetl;
    await deployment.scale("Deployment", namespace, WORKER, 0);
    const off = await diagnosed(target, "pods-missing", (each) => findingOf(each, "pods-missing") !== undefined);
    expect(findingOf(off, "pods-missing")?.title).toBe(`${WORKER} was scaled to nothing`);
    expect((await verified(target)).lines.find(({ item }) => item === WORKER)).toMatchObject({ status: "wrong" });
    await runHelm(findingOf(off, "pods-missing"));
    await diagnosed(target, "that nothing is wrong any more", ({ findings }) => findings.length === 0);
  });

  it("names Deployments that are not there", async () => {
    const elsewhere = { ...target, namespaces: { ...target.namespaces, gateway: "default" } };
    const finding = findingOf(await examine(elsewhere), "not-deployed");
    expect(finding).toMatchObject({ symptoms: ["cors"], evidence: ["there is no Deployment default/gateway"] });
  });

  it("names a server that was scaled down by hand", async () => {
    const { namespace } = LOCATIONS.noetl;
    await deployment.scale("Deployment", namespace, SERVER, 0);
    const diagnosis = await diagnosed(target, "pods-missing", (each) => findingOf(each, "pods-missing") !== undefined);
    expect(findingOf(diagnosis, "pods-missing")?.title).toContain(`${SERVER} was scaled to nothing`);
    await runHelm(findingOf(diagnosis, "pods-missing"));
    await diagnosed(target, "that nothing is wrong any more", ({ findings }) => findings.length === 0);
  });
});
