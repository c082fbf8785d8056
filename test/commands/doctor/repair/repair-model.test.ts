import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { StreamConfig } from "nats";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { nextStep, type Live, type Progress, type Step } from "../../../../commands/doctor/repair/next-step";
import type { Point } from "../../../../commands/doctor/repair";
import { handedOut, killedAt, newFolder, numbered, repairInputs, runRepair, workQueue } from "./repair-support";
import { Play, type Scenario } from "./repair-model";
import { closedPort, startNatsServer, withManager, type NatsServer } from "../../../support/nats";

/** Found by interleavings.test.ts, each by a mistake of its own. */
const FOUND: readonly [string, Scenario][] = [
  [
    "a worker makes its consumer while the new stream is filled",
    {
      ...{ broken: "sealed", messages: 3, acknowledged: 1 },
      events: [
        { kind: "during", at: 10, machine: 1, what: { kind: "noetl" } },
        { kind: "during", at: 14, machine: 0, what: { kind: "publish", count: 3 } },
        { kind: "killed", at: 22, machine: 0 },
      ],
    },
  ],
  [
    "another machine ends a repair whose stream has been filled already",
    {
      ...{ broken: "sealed", messages: 6, acknowledged: 2 },
      events: [{ kind: "killed", at: 13, machine: 1 }, { kind: "second", machine: 0 }, { kind: "noetl" }],
    },
  ],
  [
    "the new stream is removed while it is filled, and another machine makes one",
    {
      ...{ broken: "limits for consumers", messages: 8, acknowledged: 2 },
      events: [
        { kind: "during", at: 11, machine: 1, what: { kind: "remove" } },
        { kind: "killed", at: 10, machine: 0 },
        { kind: "killed", at: 4, machine: 1 },
        { kind: "killed", at: 10, machine: 1 },
        { kind: "work", count: 2 },
      ],
    },
  ],
];

describe("an interleaving that once went wrong", () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNatsServer();
  });
  afterAll(() => server.stop());

  it.each(FOUND)("%s: nothing is lost, and nothing comes twice unless it is said", async (_, each) => {
    const id = String(FOUND.findIndex(([, found]) => found === each));
    expect(await Play.run(server, each, id)).toMatchObject({ lost: [], doubled: [], unfinished: "" });
  });
});

/** Each state of what stands in NATS, and the one step that follows. */
describe("the next step", () => {
  const open = { config: { subjects: ["noetl.commands"] }, state: { last_seq: 7 } } as unknown as NonNullable<
    Live["stream"]
  >;
  const sealed = { ...open, config: { ...open.config, sealed: true } };
  const holding = open;
  const fresh: Progress = { phase: "begun", digest: "", lastSequence: 0, line: 0, saved: 0 };
  const saved: Progress = { ...fresh, digest: "d", lastSequence: 7, saved: 7 };
  const filled: Progress = { ...saved, line: 7 };

  it.each<[string, Progress, Live, Step]>([
    ["an old stream that takes messages", fresh, { kind: "old", stream: open, open: true, holds: false }, "hold"],
    ["one that was thawed by hand", saved, { kind: "old", stream: open, open: true, holding, holds: true }, "hold"],
    ["one that nobody stands in for", saved, { kind: "old", stream: open, open: false, holds: false }, "hold"],
    ["a frozen one", fresh, { kind: "old", stream: open, open: false, holding, holds: true }, "save"],
    [
      "a frozen one of which less was saved",
      { ...saved, lastSequence: 6 },
      { kind: "old", stream: open, open: false, holding, holds: true },
      "save",
    ],
    ["a saved one", saved, { kind: "old", stream: open, open: false, holding, holds: true }, "remove"],
    [
      "a sealed one that was saved",
      saved,
      { kind: "old", stream: sealed, open: true, holding, holds: false },
      "remove",
    ],
    ["no stream, and nobody who takes what is published", saved, { kind: "none", open: false, holds: false }, "hold"],
    ["no stream", saved, { kind: "none", open: false, holding, holds: true }, "create"],
    ["a new one that nobody stands in for", saved, { kind: "new", stream: open, open: false, holds: false }, "hold"],
    ["a new one", saved, { kind: "new", stream: open, open: false, holding, holds: true }, "fill"],
    ["a filled one", filled, { kind: "new", stream: open, open: false, holding, holds: true }, "open"],
    [
      "an open one that was not filled",
      saved,
      { kind: "new", stream: open, open: true, holding, holds: false },
      "fill",
    ],
    ["an open one", filled, { kind: "new", stream: open, open: true, holding, holds: false }, "finish"],
    ["an open one alone", filled, { kind: "new", stream: open, open: true, holds: false }, "done"],
    ["somebody else's", saved, { kind: "other", stream: open, open: true, holds: false }, "adopt"],
  ])("of %s", (_what, progress, live, step) => {
    expect(nextStep(progress, live)).toBe(step);
  });
});

describe("a restart of NATS while a repair is interrupted", () => {
  const points: readonly Point[] = [
    "frozen",
    "saved",
    "removed",
    "created",
    "writing",
    "restored",
    "opened",
    "drained",
  ];

  it.each(["file", "memory"].flatMap((storage) => points.map((point) => [storage, point] as const)))(
    "the old stream in %s, killed at %s: what NATS keeps and what is saved is delivered",
    async (storage, point) => {
      const directory = fs.mkdtempSync(path.join(os.tmpdir(), "repair-restart-"));
      const config = `jetstream: {store_dir: "${directory}", max_memory_store: 64MB, max_file_store: 64MB}`;
      const port = await closedPort();
      const folder = newFolder();
      let server = await startNatsServer({ config, port });
      try {
        const inputs = repairInputs(server);
        await workQueue(server, numbered(10), undefined, { storage: storage as StreamConfig["storage"] });
        expect(await killedAt(inputs, folder, point)).toBe("SIGKILL");
        const opened = point === "opened" || point === "drained";
        const publish = (body: string) =>
          withManager(server, (_manager, connection) => connection.jetstream().publish(inputs.subject, body));
        const { stream } = await publish("before");
        expect(stream).toBe(opened ? inputs.stream : `${inputs.stream}-repair`);
        await server.stop();
        server = await startNatsServer({ config, port });
        // The holding stream is on disk: it takes what is published as soon as NATS is back.
        const after = opened ? [] : ["after"];
        if (!opened) await publish("after");
        expect((await runRepair(inputs, folder)).outcome).toBe("repaired");
        const found = await handedOut(server);
        // What only streams in memory had is lost with NATS: the new one's comes again from the backup.
        const kept = point === "frozen" && storage === "memory" ? [] : numbered(10);
        const held = opened ? [] : ["before", ...after];
        expect([...found].sort()).toEqual([...kept, ...held].sort());
      } finally {
        await server.stop();
        fs.rmSync(directory, { recursive: true, force: true });
        fs.rmSync(path.dirname(folder), { recursive: true, force: true });
      }
    },
  );
});
