import { execFile, spawnSync } from "node:child_process";
import { promisify } from "node:util";
import { AckPolicy, DeliverPolicy, DiscardPolicy, RetentionPolicy, StorageType } from "nats";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { forwardPort } from "../../../../contract/nats/port-forward";
import { openRelay } from "../../../../contract/nats/relay";
import { CONSUMER, LOCATIONS, STREAM, WORKER_TUNING } from "../../../../contract/facts";
import { Cluster } from "../../../../commands/doctor/cluster";
import type { Diagnosis, Finding } from "../../../../commands/doctor/diagnosis";
import type { Intent } from "../../../../commands/doctor/repair";
import { announceLost, deployedNoetl } from "../../../../commands/doctor/repair/announce";
import { contractInputs } from "../../../../commands/doctor/target";
import { ensureTools } from "../../../../embedded/toolchain";
import { until } from "../../../support/nats";
import { Deployment, diagnosed, findingOf } from "./support";

// What a finding tells to run, run as it stands there, and the finding gone after it.

const { namespace: NOETL, serverDeployment: SERVER, workerDeployment: WORKER } = LOCATIONS.noetl;

let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.attach();
});
beforeEach(() => deployment.settled());

/** The words of a command line, as a shell takes it. */
function wordsOf(command: string): string[] {
  const { stdout } = spawnSync("sh", ["-c", `set -- ${command}; printf '%s\\0' "$@"`], { encoding: "utf8" });
  return stdout.split("\0").slice(0, -1);
}

/** Runs the command line of NATS against the deployed server, as its box does. */
async function nats(...args: readonly string[]): Promise<void> {
  const tools = await ensureTools(["nats"]);
  const at = { namespace: LOCATIONS.nats.namespace, pod: LOCATIONS.nats.pod, port: LOCATIONS.nats.port };
  const relay = await openRelay(
    await forwardPort(deployment.config, at, { milliseconds: 10_000, signal: AbortSignal.timeout(30_000) }),
  );
  const { user, password = "" } = deployment.target.nats;
  const env = {
    ...process.env,
    NATS_URL: `nats://127.0.0.1:${relay.port}`,
    NATS_USER: user,
    NATS_PASSWORD: password,
    XDG_CONFIG_HOME: deployment.dir,
  };
  try {
    await promisify(execFile)(tools.nats, args, { env, timeout: 30_000 });
  } finally {
    relay.close();
  }
}

/** Runs one command of a remedy; `kubectl` is what it would do. */
async function apply(command: string): Promise<void> {
  const words = wordsOf(command);
  const [program, ...all] = words;
  const args = all.filter(
    (word, index) => !/^--(kubeconfig|context)$/.test(word) && !/^--(kubeconfig|context)$/.test(all[index - 1] ?? ""),
  );
  const [, namespace, verb, ...rest] = args;
  if (program === "kubectl" && namespace === LOCATIONS.nats.namespace && verb === "exec") {
    expect(rest.slice(0, 3)).toEqual(["deploy/nats-box", "--", "nats"]);
    await nats(...rest.slice(3));
  } else if (program === "kubectl" && namespace === NOETL && verb === "rollout") {
    expect(rest[0]).toBe("restart");
    await deployment.restart(...rest.slice(1).map((name) => name.replace("deploy/", "")));
  } else throw new Error(`no remedy of these tests: ${command}`);
}

const commandsOf = (finding: Finding | undefined): string[] =>
  finding?.remedy.flatMap((step) => ("run" in step ? [step.run] : [])) ?? [];
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
    for (const command of byHand) await apply(command);
    // What the logs tell of what is past stays a note until the pods are new.
    await diagnosed(deployment.target, "that nothing is wrong any more", ({ healthy }) => healthy);
    expect((await deployment.publish()).detail).toBeUndefined();
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
        noetl: deployedNoetl(await Cluster.open(deployment.target.cluster), NOETL),
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
    expect(commands.slice(0, 2)).toEqual([
      `pulumi config set natsStream FORMER --stack ${deployment.target.stack}`,
      `pulumi up --stack ${deployment.target.stack}`,
    ]);
    for (const command of commands.slice(2)) await apply(command);
    await nothingIsLeft();
  });
});
