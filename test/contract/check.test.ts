import { spawn } from "node:child_process";
import * as path from "node:path";
import { RetentionPolicy } from "nats";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkContract, type ContractInputs } from "../../contract";
import { projectRoot } from "../../contract/project";
import { CONSUMER, STREAM } from "../../contract/facts";
import {
  addConsumer,
  addStream,
  inputsFor,
  JETSTREAM,
  natsCommand,
  proxy,
  sleep,
  startNatsServer,
  startNoetl,
  until,
  withManager,
  type NatsServer,
} from "../support/nats";

let server: NatsServer;
beforeEach(async () => {
  server = await startNatsServer();
});
afterEach(() => server.stop());

/** The check's report and the seconds it took. */
async function timed(inputs: ContractInputs) {
  const start = performance.now();
  const report = await checkContract(inputs);
  return { report, seconds: (performance.now() - start) / 1000 };
}

describe("the report", () => {
  it("tells what the nats command line tells", async () => {
    await startNoetl(server, { stream: { subjects: ["noetl.commands.>", "noetl.commands"] } });
    const report = await checkContract(inputsFor(server));
    type Json = { config: Record<string, unknown>; created: string };
    const ask = async (what: string): Promise<Json> =>
      JSON.parse(await natsCommand(`nats --server ${server.address} ${what} --json`)) as Json;
    const stream = await ask(`stream info ${STREAM.name}`);
    const consumer = await ask(`consumer info ${STREAM.name} ${CONSUMER.name}`);
    const second = 1e9;
    expect(report).toEqual({
      holds: true,
      report: "",
      checks: expect.any(Array) as unknown,
      skippedRules: [],
      server: server.address,
      serverVersion: expect.stringMatching(/^2\.\d+\.\d+/) as unknown,
      streamCreated: stream.created,
      subjects: ["noetl.commands", "noetl.commands.>"],
      retention: stream.config.retention,
      storage: stream.config.storage,
      maxAgeSeconds: Number(stream.config.max_age) / second,
      duplicateWindowSeconds: Number(stream.config.duplicate_window) / second,
      replicas: stream.config.num_replicas,
      consumerCreated: consumer.created,
      durable: consumer.config.durable_name === CONSUMER.name,
      pull: consumer.config.deliver_subject === undefined,
      ackPolicy: consumer.config.ack_policy,
      deliverPolicy: consumer.config.deliver_policy,
      replayPolicy: consumer.config.replay_policy,
      ackWaitSeconds: Number(consumer.config.ack_wait) / second,
      maxAckPending: consumer.config.max_ack_pending,
      maxDeliver: consumer.config.max_deliver,
    });
  });
});

describe("waiting", () => {
  it("ends when stream and consumer appear", async () => {
    const checking = timed(inputsFor(server, { timeoutSeconds: 60 }));
    await sleep(300);
    await withManager(server, (manager) => addStream(manager));
    await sleep(700);
    await withManager(server, (manager) => addConsumer(manager));
    const { report, seconds } = await checking;
    expect(report).toMatchObject({ holds: true, report: "" });
    expect(seconds).toBeGreaterThan(0.9);
    expect(seconds).toBeLessThan(30);
  });

  it("ends at the deadline, and says how long", async () => {
    await withManager(server, (manager) => addStream(manager));
    const { report, seconds } = await timed(inputsFor(server, { timeoutSeconds: 3 }));
    expect(report.holds).toBe(false);
    expect(report.report).toMatch(
      /violation consumer-exists: found no such consumer after [\d.]+ s, expected consumer noetl_worker_pool/,
    );
    expect(seconds).toBeGreaterThan(1.9);
    // The rest is a busy machine's.
    expect(seconds).toBeLessThan(20);
  });

  it("tells what the last look found where the deadline cuts the next one off", async () => {
    await withManager(server, (manager) => addStream(manager));
    const between = await proxy(server);
    try {
      const checking = checkContract(inputsFor(between, { timeoutSeconds: 2.5 }));
      const looks = () => between.sent().split("PUB $JS.API.CONSUMER.INFO").length - 1;
      await until("a second look", () => looks() > 1 || undefined);
      between.silence();
      expect((await checking).report).toMatch(/violation consumer-exists: found no such consumer after [\d.]+ s/);
    } finally {
      await between.close();
    }
  });

  it("does not wait for a consumer that no worker is there to add", async () => {
    await withManager(server, (manager) => addStream(manager));
    const inputs = inputsFor(server, { timeoutSeconds: 60 });
    const { report, seconds } = await timed({ ...inputs, worker: { ...inputs.worker, replicas: 0 } });
    expect(report.holds).toBe(false);
    expect(report.report).toMatch(
      /nobody adds the consumer: start at least one, or let the contract add it \(mode ensure\)/,
    );
    expect(report.report).not.toContain("rollout restart");
    expect(seconds).toBeLessThan(30);
  });

  it("does not happen where waiting cannot help", async () => {
    await withManager(server, (manager) => addStream(manager, { retention: RetentionPolicy.Workqueue }));
    const { report, seconds } = await timed(inputsFor(server, { timeoutSeconds: 60 }));
    expect(report.checks.filter(({ ok }) => !ok).map(({ id }) => id)).toEqual(["stream-retention", "consumer-exists"]);
    expect(seconds).toBeLessThan(30);
  });

  it("does not happen where it is not wanted", async () => {
    const start = performance.now();
    const { holds } = await checkContract(inputsFor(server, { timeoutSeconds: 60 }), false);
    expect(holds).toBe(false);
    expect(performance.now() - start).toBeLessThan(30_000);
  });

  it("gives a restarting worker the time to remake its consumer", async () => {
    await startNoetl(server, { consumer: { max_ack_pending: 32 } });
    const checking = timed(inputsFor(server, { timeoutSeconds: 60 }));
    await sleep(500);
    await withManager(server, async (manager) => {
      await manager.consumers.delete(STREAM.name, CONSUMER.name);
      await sleep(300);
      await addConsumer(manager);
    });
    const { report, seconds } = await checking;
    expect(report).toMatchObject({ holds: true, report: "", maxAckPending: 64 });
    expect(seconds).toBeLessThan(30);
  });

  it("outlives a restart of the server", async () => {
    const { port } = server;
    const checking = checkContract(inputsFor(server, { timeoutSeconds: 60 }));
    await sleep(300);
    await server.stop();
    await sleep(300);
    server = await startNatsServer({ config: JETSTREAM, port });
    await startNoetl(server);
    expect(await checking).toMatchObject({ holds: true });
  });
});

describe("a process of its own, with the compiled module", () => {
  const module = path.join(projectRoot(), "dist/contract/check.js");

  /** Runs a check and tells what it came to and how long the process then lived on. */
  function inProcess(inputs: ContractInputs): Promise<{ outcome: string; lingeredMilliseconds: number }> {
    const script = `
      const { checkContract } = require(process.argv[1]);
      process.stdin.once("data", (data) => {
        process.stdin.destroy();
        checkContract(JSON.parse(data)).then(({ holds }) => "holds " + holds, (error) => error.problem)
          .then((outcome) => console.log(outcome));
      });`;
    return new Promise((resolve, reject) => {
      const child = spawn(process.execPath, ["-e", script, module], { stdio: ["pipe", "pipe", "inherit"] });
      let outcome = "";
      let told = 0;
      child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
        outcome += chunk;
        told = performance.now();
      });
      child.on("error", reject);
      child.on("exit", () => resolve({ outcome: outcome.trim(), lingeredMilliseconds: performance.now() - told }));
      child.stdin.end(JSON.stringify(inputs));
    });
  }

  /** A socket that is left open keeps a process for ever, a timer for ten seconds; a busy machine ends one within fewer. */
  const AT_ONCE_MILLISECONDS = 8_000;

  it("ends by itself after a check", async () => {
    await startNoetl(server);
    const { outcome, lingeredMilliseconds } = await inProcess(inputsFor(server));
    expect(outcome).toBe("holds true");
    expect(lingeredMilliseconds).toBeLessThan(AT_ONCE_MILLISECONDS);
  });

  it.each(["", "\r\n", "PONG\r\n"])("ends by itself after a server fell silent behind %j", async (marker) => {
    const stalled = await proxy(server, marker);
    try {
      const { outcome, lingeredMilliseconds } = await inProcess(inputsFor(stalled, { timeoutSeconds: 1 }));
      expect(outcome).toBe("no-answer");
      expect(lingeredMilliseconds).toBeLessThan(AT_ONCE_MILLISECONDS);
    } finally {
      await stalled.close();
    }
  });
});
