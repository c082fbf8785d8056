import { AckPolicy, DeliverPolicy, RetentionPolicy } from "nats";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { CONSUMER, LOCATIONS, STREAM, WORKER_TUNING } from "../../../../contract/facts";
import { SYMPTOMS, type Finding } from "../../../../commands/doctor/diagnosis";
import { sleep, until } from "../../../support/nats";
import { Deployment, diagnosed, examine, findingOf, verified } from "./support";

// The specification's three symptoms, as NoETL's pods show them themselves.

const { serverDeployment: SERVER, workerDeployment: WORKER, namespace: NOETL } = LOCATIONS.noetl;

let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.attach();
});
beforeEach(() => deployment.settled());

const nothingIsLeft = () =>
  diagnosed(deployment.target, "that nothing is wrong any more", ({ findings }) => findings.length === 0);
const quoting = (finding: Finding | undefined, words: string) => finding?.evidence.find((line) => line.includes(words));

/** Waits until a worker that crashes has just ended, so that its next start is as far away as it gets. */
async function endOfWorker(): Promise<void> {
  const waits = async (): Promise<Map<string, boolean>> => {
    const { items } = await deployment.core.listNamespacedPod({ namespace: NOETL, labelSelector: `app=${WORKER}` });
    return new Map(
      items.map(({ metadata, status }) => [
        metadata?.name ?? "",
        status?.containerStatuses?.some(({ state }) => state?.waiting?.reason === "CrashLoopBackOff") ?? false,
      ]),
    );
  };
  const deadline = Date.now() + 180_000;
  for (let before = await waits(); Date.now() < deadline;) {
    const now = await waits();
    if ([...now].some(([name, isWaiting]) => isWaiting && before.get(name) === false)) return;
    before = now;
    await sleep(100);
  }
  throw new Error("waited 180 s until a worker that crashes ends");
}

const SAID = "Failed to publish command: nats: no response from stream";

describe("`nats: no response from stream`", () => {
  it("is quoted from the server's log beside the stream's state, and as past when the stream is fine again", async () => {
    await deployment.replaceStream({ subjects: ["other.commands"] });
    expect(await deployment.publish()).toEqual({ detail: "nats: no response from stream" });
    const { target } = deployment;
    const broken = await diagnosed(target, "what the server says", (each) =>
      Boolean(quoting(findingOf(each, "subject-not-stored"), SAID)),
    );
    const finding = findingOf(broken, "subject-not-stored");
    expect(finding?.symptoms).toEqual(["noResponse"]);
    expect(quoting(finding, SAID)).toMatch(/^noetl-server-/);
    expect(finding?.evidence.join("\n")).toContain("subjects other.commands");

    // Somebody fixes the stream by hand and does not restart the server: its log still holds the line.
    await deployment.withManager(async (manager) => {
      const { config } = await manager.streams.info(STREAM.name);
      await manager.streams.update(STREAM.name, { ...config, subjects: [STREAM.subject] });
    });
    // Whether it is over, nothing shows: the line is younger than the stream, and nothing has been stored since.
    const failing = await diagnosed(
      target,
      "that it may go on",
      (each) => findingOf(each, "publish-failed") !== undefined,
    );
    expect(quoting(findingOf(failing, "publish-failed"), SAID)).toMatch(/^noetl-server-\S+ at \d{4}-.*Z: /);
    const { lines } = await verified(target);
    expect(lines.find(({ item, status }) => item === SERVER && status === "wrong")?.found).toContain(SAID);
    // The consumer went with the former stream, and only a worker that starts makes it.
    expect(findingOf(failing, "no-consumer")).toBeDefined();
    await deployment.restart(WORKER);
    await diagnosed(target, "that workers have subscribed", (each) => findingOf(each, "no-consumer") === undefined);
    expect(await deployment.publish()).toEqual({ seq: expect.any(Number) as number });
    const over = await diagnosed(target, "that it is past", (each) => findingOf(each, "no-stream-past") !== undefined);
    expect(over.healthy).toBe(true);
    const past = findingOf(over, "no-stream-past");
    expect(past).toMatchObject({ id: "no-stream-past", severity: "note", symptoms: ["noResponse"] });
    expect(past?.title).toContain("it is in order now");
    expect(quoting(past, SAID)).toMatch(/^noetl-server-/);
    expect(quoting(past, "subjects noetl.commands")).toBeDefined();
    await deployment.restart(SERVER);
    await nothingIsLeft();
  });
});

describe("`deliver all on workqueue stream`", () => {
  it("is quoted from the workers' logs, and as past while they still wait for their next start", async () => {
    // Ten seconds are few for a busy machine: where a worker was faster, it is done once more.
    const finding = await until("a look before a worker starts again", lookBetweenStarts, 500_000);
    expect(quoting(finding, SYMPTOMS.workQueue.split("`")[1] ?? "")).toMatch(/^noetl-worker-/);
    await nothingIsLeft();
  });

  async function lookBetweenStarts(): Promise<Finding | undefined> {
    const { target } = deployment;
    await deployment.replaceStream({ retention: RetentionPolicy.Workqueue });
    await deployment.restart(WORKER);
    // From the fourth restart on there are ten seconds between one end and the next start.
    const broken = await diagnosed(target, "that workers crash", (each) =>
      /restarted ([4-9]|\d\d) times: .*deliver all/.test(findingOf(each, "work-queue")?.evidence.join("\n") ?? ""),
    );
    expect(findingOf(broken, "work-queue")?.symptoms).toEqual(["workQueue"]);
    await endOfWorker();
    await deployment.replaceStream({});
    // The first worker that starts makes the consumer for all; here somebody does, since they may all start at once.
    await deployment.withManager((manager) =>
      manager.consumers.add(STREAM.name, {
        durable_name: CONSUMER.name,
        ack_policy: AckPolicy.Explicit,
        deliver_policy: DeliverPolicy.New,
        max_ack_pending: WORKER_TUNING.maxAckPending,
        max_deliver: WORKER_TUNING.maxDeliver,
      }),
    );
    const past = await diagnosed(target, "that it is past", (each) => findingOf(each, "work-queue-past") !== undefined);
    const found = findingOf(past, "work-queue-past");
    return found?.severity === "cause" ? found : undefined;
  }
});

describe("CORS `Failed to fetch`", () => {
  it("is told from a 5xx that a proxy in the gateway's place gives without CORS headers, and from its cause", async () => {
    const { namespace, deployment: gateway } = LOCATIONS.gateway;
    const { target } = deployment;
    const env = { name: "EMBEDDED_PROXY_ANSWERS_ERRORS", value: "true" };
    const path = "/spec/template/spec/containers/0/env";
    await deployment.apps.patchNamespacedDeployment({
      namespace,
      name: gateway,
      body: [{ op: "add", path: `${path}/-`, value: env }],
    });
    await deployment.scale("Deployment", NOETL, SERVER, 0);
    const bare = await diagnosed(target, "gateway-5xx-without-cors", (each) =>
      Boolean(findingOf(each, "gateway-5xx-without-cors")),
    );
    const finding = findingOf(bare, "gateway-5xx-without-cors");
    expect(finding).toMatchObject({ severity: "cause", symptoms: ["cors"] });
    expect(finding?.evidence.join("\n")).toMatch(
      /pod gateway\/gateway-\S+: POST \/api\/auth\/validate gets 502, without access-control-allow-origin: .*Error 502/,
    );
    expect(findingOf(bare, "pods-missing")?.title).toContain(`${SERVER} was scaled to nothing`);

    // The gateway's own error carries the headers: then it is only the consequence of the server that is off.
    const { spec } = await deployment.apps.readNamespacedDeployment({ namespace, name: gateway });
    const index = spec?.template.spec?.containers[0]?.env?.findIndex(({ name }) => name === env.name);
    await deployment.apps.patchNamespacedDeployment({
      namespace,
      name: gateway,
      body: [{ op: "remove", path: `${path}/${index}` }],
    });
    const own = await diagnosed(target, "gateway-5xx", (each) => findingOf(each, "gateway-5xx") !== undefined);
    expect(findingOf(own, "gateway-5xx")).toMatchObject({ severity: "note", symptoms: ["cors"] });
    expect(own.findings.filter(({ severity }) => severity === "cause").map(({ id }) => id)).toEqual(["pods-missing"]);
    await deployment.scale("Deployment", NOETL, SERVER, 1);
    await nothingIsLeft();
    expect((await examine(target)).healthy).toBe(true);
  });
});
