/** The protocol of a repair as a model: what may happen around it, and what must be true afterwards. */
import * as fs from "node:fs";
import * as net from "node:net";
import * as path from "node:path";
import * as fc from "fast-check";
import type { JetStreamManager, NatsConnection, StreamConfig } from "nats";
import type { Outcome, Point } from "../../../../commands/doctor/repair";
import { holdingStream } from "../../../../commands/doctor/repair";
import { newFolder, repairInputs, runRepair, workersConsumer, type Names } from "./repair-support";
import { natsClient } from "../../../support/nats";

/** Longest wait for an answer of NATS, in milliseconds: a machine is busy with a dozen scenarios, and other tests. */
const ANSWER_MILLISECONDS = 30_000;

/** What NoETL cannot work with, and what a repair has to replace. */
type Broken = "work queue" | "work queue on disk" | "sealed" | "limits for consumers" | "push consumer";

/** Something that happens: to the repair, to NoETL, or by an operator's hand. */
export type Event =
  /** A repair that is cut off at its n-th point, with its connection; on one of two machines. */
  | { readonly kind: "killed"; readonly at: number; readonly machine: 0 | 1 }
  /** A repair during which, at its n-th point, something else happens. */
  | { readonly kind: "during"; readonly at: number; readonly machine: 0 | 1; readonly what: Meanwhile }
  | Meanwhile;

type Meanwhile =
  | { readonly kind: "publish"; readonly count: number }
  | { readonly kind: "work"; readonly count: number }
  /** `nats stream rm`, as a remedy says. */
  | { readonly kind: "remove" }
  /** The subjects are edited back by hand. */
  | { readonly kind: "thaw" }
  /** Server and worker start: they make what they miss. */
  | { readonly kind: "noetl" }
  /** The server alone starts: it makes its stream, and no consumer. */
  | { readonly kind: "server" }
  /** A repair from the other machine at the same time. */
  | { readonly kind: "second"; readonly machine: 0 | 1 };

export interface Scenario {
  readonly broken: Broken;
  readonly messages: number;
  readonly acknowledged: number;
  readonly events: readonly Event[];
}

const machine = fc.constantFrom<0 | 1>(0, 1);
const at = fc.integer({ min: 1, max: 24 });
const meanwhile: fc.Arbitrary<Meanwhile> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("publish" as const), count: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("work" as const), count: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 1, arbitrary: fc.constant({ kind: "remove" as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: "thaw" as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: "noetl" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "server" as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("second" as const), machine }) },
);

export const scenario: fc.Arbitrary<Scenario> = fc.record({
  broken: fc.constantFrom<Broken>(
    "work queue",
    "work queue on disk",
    "sealed",
    "limits for consumers",
    "push consumer",
  ),
  messages: fc.integer({ min: 0, max: 12 }),
  acknowledged: fc.integer({ min: 0, max: 6 }),
  events: fc.array(
    fc.oneof(
      { weight: 4, arbitrary: fc.record({ kind: fc.constant("killed" as const), at, machine }) },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant("during" as const), at, machine, what: meanwhile }) },
      { weight: 4, arbitrary: meanwhile },
    ),
    { minLength: 1, maxLength: 5 },
  ),
});

/** The way of one repair to the server, which can be cut as a killed process cuts it. */
async function openWay(port: number): Promise<{ address: string; cut: () => void; close: () => void }> {
  const sockets = new Set<net.Socket>();
  const listener = net.createServer((client) => {
    const upstream = net.connect(port, "127.0.0.1");
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const cut = (): void => {
    listener.close();
    for (const socket of sockets) socket.destroy();
  };
  return { address: `127.0.0.1:${(listener.address() as net.AddressInfo).port}`, cut, close: cut };
}

/** What is wrong with an outcome; empty where the invariants hold. */
export interface RuleResult {
  readonly lost: readonly string[];
  readonly doubled: readonly string[];
  readonly refused: readonly string[];
  readonly unfinished: string;
  readonly said: readonly string[];
}

/** Plays one scenario with names of its own on a server that others use too, and says what is wrong with its end. */
export class Play {
  private readonly accepted: string[] = [];
  private readonly delivered: string[] = [];
  private readonly refused: string[] = [];
  /** What an operator removed with the stream: nobody can be asked for it, and it may come back from a backup. */
  private readonly removed = new Set<string>();
  private readonly said: string[] = [];
  private readonly folders = [newFolder(), newFolder()] as const;
  private number = 0;
  /** Of the last repair. */
  private outcome: Outcome | undefined;
  private readonly names: Names;

  private constructor(
    private readonly port: number,
    private readonly connection: NatsConnection,
    private readonly manager: JetStreamManager,
    private readonly scenario: Scenario,
    id: string,
  ) {
    this.names = { stream: `S${id}`, subject: `commands.${id}`, consumer: `workers${id}` };
  }

  static async run(server: { port: number; address: string }, scenario: Scenario, id: string): Promise<RuleResult> {
    const connection = await natsClient(server);
    const play = new Play(
      server.port,
      connection,
      await connection.jetstreamManager({ timeout: ANSWER_MILLISECONDS }),
      scenario,
      id,
    );
    try {
      return await play.play();
    } finally {
      await play.clean();
      await connection.close();
    }
  }

  private async play(): Promise<RuleResult> {
    await this.begin();
    for (const event of this.scenario.events) {
      if (event.kind === "killed") await this.repair(event.machine, { at: event.at, dies: true });
      else if (event.kind === "during") await this.repair(event.machine, { at: event.at, what: event.what });
      else await this.happen(event);
    }
    // Both machines finish what they have begun.
    let unfinished = "";
    for (const which of [0, 1, 0, 1] as const) {
      unfinished = await this.repair(which, {});
      if (this.outcome === "nothing-to-do" && this.folders.every((each) => !fs.existsSync(each))) break;
    }
    await this.work(Infinity);
    return this.evaluateRules(unfinished);
  }

  private async begin(): Promise<void> {
    const { broken, messages, acknowledged } = this.scenario;
    const { stream, subject, consumer } = this.names;
    const queue = broken.startsWith("work queue");
    await this.manager.streams.add({
      name: stream,
      subjects: [subject],
      retention: (queue ? "workqueue" : "limits") as StreamConfig["retention"],
      storage: (broken === "work queue on disk" ? "file" : "memory") as StreamConfig["storage"],
      max_age: 3600e9,
      ...(broken === "limits for consumers" ? { consumer_limits: { max_ack_pending: 10 } } : {}),
    });
    if (!queue) {
      const push = broken === "push consumer" ? { deliver_subject: `nobody.${stream}` } : {};
      const limit = broken === "limits for consumers" ? { max_ack_pending: 10 } : {};
      await this.manager.consumers.add(stream, workersConsumer(consumer, { ...push, ...limit }));
    }
    await this.publish(messages);
    if (broken === "sealed" || broken === "limits for consumers") await this.work(acknowledged);
    if (broken === "sealed") {
      const { config } = await this.manager.streams.info(stream);
      await this.manager.streams.update(stream, { ...config, sealed: true } as Partial<StreamConfig>);
    }
  }

  private async happen(what: Meanwhile): Promise<void> {
    const { stream, subject, consumer } = this.names;
    switch (what.kind) {
      case "publish":
        return this.publish(what.count);
      case "work":
        return this.work(what.count);
      case "remove": {
        for (const body of await this.contents(stream)) this.removed.add(body);
        await this.manager.streams.delete(stream).catch(() => undefined);
        return;
      }
      case "thaw": {
        const info = await this.manager.streams.info(stream).catch(() => undefined);
        if (info)
          await this.manager.streams.update(stream, { ...info.config, subjects: [subject] }).catch(() => undefined);
        return;
      }
      case "server":
        return this.startServer();
      case "noetl":
        await this.startServer();
        if (!(await this.manager.consumers.info(stream, consumer).catch(() => undefined))) {
          await this.manager.consumers.add(stream, workersConsumer(consumer)).catch(() => undefined);
        }
        return;
      case "second":
        await this.repair(what.machine, {});
    }
  }

  /** What NoETL's server does at its start: it makes the stream that it misses. */
  private async startServer(): Promise<void> {
    const { stream, subject } = this.names;
    if (await this.manager.streams.info(stream).catch(() => undefined)) return;
    const storage = "memory" as StreamConfig["storage"];
    await this.manager.streams
      .add({ name: stream, subjects: [subject], max_age: 3600e9, storage })
      .catch(() => undefined);
  }

  private async publish(count: number): Promise<void> {
    for (let each = 0; each < count; each++) {
      const body = `m${++this.number}`;
      try {
        await this.connection.jetstream().publish(this.names.subject, body, { timeout: ANSWER_MILLISECONDS });
        this.accepted.push(body);
      } catch (error) {
        this.refused.push(`${body}: ${(error as Error).message}`);
      }
    }
  }

  /** A worker takes some messages and acknowledges them. */
  private async work(count: number): Promise<void> {
    const { stream, consumer } = this.names;
    try {
      const jetstream = this.connection.jetstream({ timeout: ANSWER_MILLISECONDS });
      const puller = await jetstream.consumers.get(stream, consumer);
      for (let left = count; left > 0;) {
        const { num_pending: pending } = await puller.info();
        if (pending === 0) return;
        const options = { max_messages: Math.min(left, pending, 10), expires: ANSWER_MILLISECONDS };
        let taken = 0;
        for await (const message of await puller.fetch(options)) {
          this.delivered.push(Buffer.from(message.data).toString());
          await message.ackAck();
          taken++;
          left--;
        }
        if (taken === 0) return;
      }
    } catch {
      // There is nothing to work on at the moment.
    }
  }

  /** One repair; the reason why it did not come to its end, empty where it did. */
  private async repair(
    which: 0 | 1,
    { at: wanted = 0, dies = false, what }: { at?: number; dies?: boolean; what?: Meanwhile },
  ): Promise<string> {
    const way = await openWay(this.port);
    const { stream, consumer, subject } = this.names;
    let passed = 0;
    const under: Promise<void>[] = [];
    const point = (_point: Point): void => {
      if (++passed !== wanted) return;
      if (dies) {
        way.cut();
        throw new Error("killed");
      }
      if (what) under.push(this.happen(what));
    };
    try {
      const inputs = repairInputs(way, { stream, consumer, subject });
      this.outcome = undefined;
      this.outcome = (await runRepair(inputs, this.folders[which], { at: point, said: this.said })).outcome;
      return "";
    } catch (error) {
      this.said.push((error as Error).message);
      return (error as Error).message;
    } finally {
      await Promise.all(under);
      way.close();
    }
  }

  private async contents(stream: string): Promise<string[]> {
    const info = await this.manager.streams.info(stream).catch(() => undefined);
    const found: string[] = [];
    for (let seq = info?.state.first_seq ?? 1; seq <= (info?.state.last_seq ?? 0); seq++) {
      const message = await this.manager.streams.getMessage(stream, { seq }).catch(() => undefined);
      if (message) found.push(Buffer.from(message.data).toString());
    }
    return found;
  }

  private evaluateRules(unfinished: string): RuleResult {
    const told = this.said.join("\n");
    const kept = new Set<string>();
    for (const folder of this.folders.map((each) => path.dirname(each))) {
      for (const name of fs.readdirSync(folder)) {
        if (!told.includes(path.join(folder, name))) continue;
        for (const file of ["messages.jsonl", "held.jsonl"]) {
          const backup = path.join(folder, name, file);
          if (!fs.existsSync(backup)) continue;
          for (const line of fs.readFileSync(backup, "utf8").split("\n").filter(Boolean)) {
            kept.add(Buffer.from((JSON.parse(line) as { data: string }).data, "base64").toString());
          }
        }
      }
    }
    const counts = new Map<string, number>();
    for (const body of this.delivered) counts.set(body, (counts.get(body) ?? 0) + 1);
    const isSaid = /may be delivered twice|delivered again/.test(told);
    return {
      lost: this.accepted.filter((body) => !counts.has(body) && !kept.has(body) && !this.removed.has(body)),
      doubled: isSaid
        ? []
        : [...counts].filter(([body, count]) => count > 1 && !this.removed.has(body)).map(([body]) => body),
      refused: this.refused,
      unfinished,
      said: this.said,
    };
  }

  private async clean(): Promise<void> {
    const { stream } = this.names;
    for (const name of [stream, holdingStream(stream), `${stream}-repair-lock`, `${stream}-repair-trial`]) {
      await this.manager.streams.delete(name).catch(() => undefined);
    }
    for (const folder of this.folders) fs.rmSync(path.dirname(folder), { recursive: true, force: true });
  }
}
