import * as fs from "node:fs";
import * as path from "node:path";
import { AckPolicy, DeliverPolicy, DiscardPolicy, RetentionPolicy, StorageType } from "nats";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { REASONS } from "../../../../commands/doctor/diagnosis/reasons";
import { gather } from "../../../../commands/doctor/gather";
import { CONSUMER, LOCATIONS, STREAM, WORKER_TUNING } from "../../../../contract/facts";
import { Cluster } from "../../../../commands/doctor/kubernetes";
import type { Diagnosis } from "../../../../commands/doctor/diagnosis";
import type { Intent } from "../../../../commands/doctor/repair";
import { announceLost, deployedNoetl } from "../../../../commands/doctor/repair/announce";
import { contractInputs } from "../../../../commands/doctor/target";
import { volumesFolder } from "../../../../embedded/cluster/places";
import { NODE } from "../../../../embedded/cluster/seed";
import { until } from "../../../support/nats";
import { onlyShows } from "../carried-out";
import { commandsOf, Shell } from "./shell";
import { Deployment, diagnosed, findingOf, isReadyPod, verified } from "./support";

// What a finding tells to run, run as it stands there, and the finding gone after it.

const { namespace: NOETL, serverDeployment: SERVER, workerDeployment: WORKER } = LOCATIONS.noetl;

let deployment: Deployment;
let shell: Shell;
beforeAll(async () => {
  deployment = await Deployment.attach();
  shell = await Shell.open(deployment);
});
afterAll(() => shell?.close());
beforeEach(() => deployment.settled());

/** The folders on NATS' volumes that have a stream's messages. */
function filesOf({ dir }: Deployment, stream: string): string[] {
  const volumes = volumesFolder(path.join(dir, "cluster"));
  const found = fs.readdirSync(volumes, { recursive: true, encoding: "utf8" });
  return found
    .filter((each) => each.endsWith(path.join("streams", stream, "msgs")))
    .map((each) => path.join(volumes, each));
}

const nothingIsLeft = () =>
  diagnosed(deployment.target, "that nothing is wrong any more", ({ findings }) => findings.length === 0);

describe("a remedy, run as it stands", () => {
  const LIMITED = { max_msgs: 1, discard: DiscardPolicy.New };
  const own = (changes: object) => ({
    durable_name: CONSUMER.name,
    ack_policy: AckPolicy.Explicit,
    deliver_policy: DeliverPolicy.New,
    max_ack_pending: WORKER_TUNING.maxAckPending,
    max_deliver: WORKER_TUNING.maxDeliver,
    ...changes,
  });

  /** The stream as NoETL makes it, with a consumer as somebody else might make it. */
  const replaceConsumer = (changes: object) =>
    deployment.withManager(async (manager) => {
      await manager.consumers.delete(STREAM.name, CONSUMER.name).catch(() => undefined);
      await manager.consumers.add(STREAM.name, own(changes));
    });

  it.each<{ what: string; id: string; breaks: () => Promise<unknown> }>([
    {
      what: "a stream that somebody has removed",
      id: "no-stream",
      breaks: () => deployment.withManager((manager) => manager.streams.delete(STREAM.name)),
    },
    {
      what: "a work queue",
      id: "work-queue",
      breaks: () => deployment.replaceStream({ retention: RetentionPolicy.Workqueue }),
    },
    {
      what: "a stream of another subject",
      id: "subject-not-stored",
      breaks: () => deployment.replaceStream({ subjects: ["other.commands"] }),
    },
    {
      what: "a consumer that somebody has removed",
      id: "no-consumer",
      breaks: () => deployment.withManager((manager) => manager.consumers.delete(STREAM.name, CONSUMER.name)),
    },
    {
      what: "a consumer that acknowledges nothing",
      id: "contract",
      breaks: () => replaceConsumer({ ack_policy: AckPolicy.None, max_ack_pending: -1, max_deliver: -1 }),
    },
    {
      what: "a consumer that delivers no content",
      id: "contract",
      breaks: () => replaceConsumer({ headers_only: true }),
    },
    {
      what: "a stream that refuses what is above its limit",
      id: "contract",
      breaks: () =>
        deployment.withManager(async (manager) => {
          const { config } = await manager.streams.info(STREAM.name);
          await manager.streams.update(STREAM.name, { ...config, ...LIMITED });
        }),
    },
    {
      what: "a stream of another age",
      id: "drift",
      breaks: () =>
        deployment.withManager(async (manager) => {
          const { config } = await manager.streams.info(STREAM.name);
          await manager.streams.update(STREAM.name, { ...config, max_age: 1800e9 });
        }),
    },
  ])("fixes $what", async ({ id, breaks }) => {
    await breaks();
    const diagnosis = await diagnosed(deployment.target, id, (each) => findingOf(each, id) !== undefined);
    const [repair, ...byHand] = commandsOf(findingOf(diagnosis, id));
    expect(repair).toBe(`npm run doctor -- --stack ${deployment.target.stack} --repair`);
    await shell.runAll(byHand);
    // What the logs tell of what is past stays a note until the pods are new.
    await diagnosed(deployment.target, "that nothing is wrong any more", ({ healthy }) => healthy);
    expect((await deployment.publish()).detail).toBeUndefined();
  });

  it("fixes a work queue without a nats-box, by the command that this project has for it", async () => {
    const target = deployment.changed({ config: { natsBox: "false" } });
    await deployment.replaceStream({ retention: RetentionPolicy.Workqueue });
    const diagnosis = await diagnosed(target, "work-queue", (each) => findingOf(each, "work-queue") !== undefined);
    const [, ...byHand] = commandsOf(findingOf(diagnosis, "work-queue"));
    expect(byHand[0]).toBe(`npm run nats -- --stack ${target.stack} stream rm ${STREAM.name} -f`);
    await shell.runAll(byHand);
    await diagnosed(target, "that nothing is wrong any more", ({ healthy }) => healthy);
    const { password = "none" } = target.nats;
    const said = await deployment.nats("--stack", target.stack, "stream", "info", STREAM.name);
    expect(said).toContain("Retention: Limits");
    expect(said).not.toContain(password);
  });

  it("has that command end as nats does, and by the table of exit codes where nats is not run", async () => {
    const run = (...args: string[]) =>
      deployment.nats(...args).then(
        () => ({ code: 0, stderr: "" }),
        ({ code, stderr }: { code: number; stderr: string }) => ({ code, stderr }),
      );
    const { stack } = deployment.target;
    expect(await run("--stack", stack, "stream", "info", "NONE")).toMatchObject({ code: 1 });
    expect(await run("stream", "ls")).toMatchObject({ code: 2, stderr: expect.stringContaining("usage: ") as string });
    expect(await run("--stack", "a b", "stream", "ls")).toMatchObject({ code: 2 });
    expect(await run("--stack", "missing", "stream", "ls")).toMatchObject({ code: 3 });
  });

  it("lets a full stream discard its oldest messages, which is what the words of its refusal lead to", async () => {
    await deployment.withManager(async (manager) => {
      const { config } = await manager.streams.info(STREAM.name);
      await manager.streams.update(STREAM.name, {
        ...config,
        max_msgs: 100,
        max_bytes: 100_000,
        discard: DiscardPolicy.New,
      });
    });
    const remedy = REASONS["stream-full"]?.remedy(await gather(deployment.target, { detail: "full" }), "", []) ?? [];
    await shell.runAll(remedy.flatMap((step) => ("run" in step ? [step.run] : [])));
    await deployment.withManager(async (manager) => {
      const { config } = await manager.streams.info(STREAM.name);
      expect(config).toMatchObject({ discard: "old", max_msgs: -1, max_bytes: -1 });
    });
    await nothingIsLeft();
  });

  it("restarts NATS that could not write, after which it does", async () => {
    const OTHER = "UNWRITABLE";
    const publish = (text: Uint8Array) =>
      deployment.withManager((_, connection) => connection.jetstream().publish(OTHER, text, { timeout: 5_000 }));
    await deployment.withManager((manager) =>
      manager.streams.add({ name: OTHER, subjects: [OTHER], storage: StorageType.File }),
    );
    const folders = filesOf(deployment, OTHER);
    expect(folders).toHaveLength(1);
    for (const messages of folders) fs.rmSync(messages, { recursive: true });
    // Until the first file is full, and another one cannot be made.
    await expect(
      (async () => {
        for (let count = 0; count < 20; count++) await publish(new Uint8Array(900_000));
      })(),
    ).rejects.toThrow();
    const diagnosis = await diagnosed(deployment.target, "the disk", (each) =>
      Boolean(findingOf(each, "store-unwritable")),
    );
    const finding = findingOf(diagnosis, "store-unwritable");
    expect(finding?.title).toBe(`NATS cannot write to its disk: nothing more is stored for stream ${OTHER}`);
    expect((await verified(deployment.target)).lines.filter(({ found }) => found.includes(OTHER))).toMatchObject([
      { section: "NATS pods", status: "wrong" },
    ]);
    await shell.runAll(commandsOf(finding).filter((command) => !onlyShows(command)));
    await until("NATS to write", () => publish(new Uint8Array(1)).catch(() => undefined));
    await deployment.withManager((manager) => manager.streams.delete(OTHER));
    // What was in memory went with the server, and here is no guard.
    await deployment.restart(SERVER, WORKER);
    await nothingIsLeft();
  });

  it.each<{ what: string; id: string; happens: (pod: { namespace: string; name: string }) => Promise<unknown> }>([
    { what: "a pod whose machine is off", id: "node-lost", happens: () => Promise.resolve() },
    {
      what: "one that was deleted there, and does not end",
      id: "pod-ending",
      happens: (pod) => deployment.core.deleteNamespacedPod({ ...pod, gracePeriodSeconds: 1 }),
    },
  ])("ends $what by force, and another one takes its place", async ({ id, happens }) => {
    const { namespace, pod: name } = LOCATIONS.nats;
    const machine = await deployment.addMachine();
    const before = await deployment.moveTo(machine, { namespace, name });
    await happens({ namespace, name });
    const diagnosis = await diagnosed(deployment.target, id, (each) => findingOf(each, id) !== undefined);
    const [finding] = diagnosis.findings;
    expect(finding).toMatchObject({ id, severity: "cause" });
    expect(finding?.evidence[0]).toContain(`node ${machine}`);
    await shell.runAll(commandsOf(finding).filter((command) => !onlyShows(command)));
    await until("another pod on the machine that runs", async () => {
      const after = await deployment.core.readNamespacedPod({ namespace, name }).catch(() => undefined);
      return (
        (after && after.metadata?.uid !== before && after.spec?.nodeName === NODE && isReadyPod(after)) || undefined
      );
    });
    await deployment.core.deleteNode({ name: machine });
    // What was in memory went with the server, and here is no guard.
    await deployment.restart(SERVER, WORKER);
    await nothingIsLeft();
  });

  it("announces the command of an execution that was refused, once more, and a worker takes it", async () => {
    await deployment.replaceStream({ subjects: ["other.commands"] });
    expect(await deployment.publish()).toEqual({ detail: "nats: no response from stream" });
    await deployment.withManager(async (manager) => {
      const { config } = await manager.streams.info(STREAM.name);
      await manager.streams.update(STREAM.name, { ...config, subjects: [STREAM.subject] });
    });
    await deployment.restart(WORKER);
    const named = (each: Diagnosis) => findingOf(each, "executions-wait");
    const diagnosis = await diagnosed(deployment.target, "which execution waits", (each) => named(each) !== undefined);
    expect(named(diagnosis)?.severity).toBe("note");
    expect(named(diagnosis)?.title).toBe("1 execution waits for a command that nobody announces again");
    const [repair] = commandsOf(named(diagnosis));
    expect(repair).toBe(`npm run doctor -- --stack ${deployment.target.stack} --repair`);
    const asked: Intent[] = [];
    const announce = async () =>
      announceLost({
        inputs: contractInputs(deployment.target, 15),
        noetl: deployedNoetl(await Cluster.open(deployment.target.cluster), NOETL, String),
        say: () => undefined,
        confirm: (intent) => Promise.resolve(asked.push(intent) > 0),
      });
    expect(await announce()).toBe(1);
    expect(await announce()).toBe(0);
    expect(asked).toHaveLength(1);
    await diagnosed(deployment.target, "that none waits", (each) => named(each) === undefined);
    // A worker that has claimed it leaves nothing in the stream to be taken.
    await until("the acknowledgement", () =>
      deployment.withManager(async (manager) => {
        const info = await manager.consumers.info(STREAM.name, "noetl_worker_pool");
        return info.num_pending + info.num_ack_pending === 0 ? true : undefined;
      }),
    );
    await deployment.restart(SERVER);
    await nothingIsLeft();
  });

  it("removes the stream that has NoETL's subject, after which NoETL makes its own", async () => {
    await deployment.withManager(async (manager) => {
      await manager.streams.delete(STREAM.name);
      await manager.streams.add({ name: "FORMER", subjects: [STREAM.subject], storage: StorageType.Memory });
    });
    const diagnosis = await diagnosed(deployment.target, "subject-taken", (each) =>
      Boolean(findingOf(each, "subject-taken")),
    );
    const finding = findingOf(diagnosis, "subject-taken");
    expect(finding).toMatchObject({ severity: "cause", repairable: false });
    expect(findingOf(diagnosis, "no-stream")).toBeUndefined();
    const commands = commandsOf(finding);
    // The first two, for a stream that was renamed, are run in updates.ts.
    expect(commands.slice(0, 2)).toEqual([
      `pulumi config set natsStream FORMER --stack ${deployment.target.stack}`,
      `pulumi up --stack ${deployment.target.stack}`,
    ]);
    await shell.runAll(commands.slice(2));
    await nothingIsLeft();
  });
});
