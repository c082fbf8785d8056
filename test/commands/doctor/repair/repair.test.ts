import * as fs from "node:fs";
import { describe, expect, it } from "vitest";
import { checkContract } from "../../../../contract/check";
import {
  DEFAULT_NAMES,
  forEachRepair,
  handedOut,
  killedAt,
  numbered,
  POINTS,
  publisher,
  type Publisher,
  repairInputs,
  runRepair,
  workQueue,
} from "./repair-support";
import { startNatsServer, withManager, type NatsServer, type ServerTool } from "../../../support/nats";

let server: NatsServer;
let folder: string;
forEachRepair((bed) => ({ server, folder } = bed));

const streams = (): Promise<string[]> =>
  withManager(server, async (manager) => {
    const names: string[] = [];
    for await (const { config } of manager.streams.list()) names.push(config.name);
    return names.sort();
  });

/** All is as it should be: nothing refused, everything handed out once, nothing left behind. */
async function expectComplete(live: Publisher, bodies: readonly string[]): Promise<void> {
  expect(live.refused).toEqual([]);
  expect([...(await handedOut(server))].sort()).toEqual([...bodies, ...live.accepted].sort());
  expect(await streams()).toEqual([DEFAULT_NAMES.stream]);
  expect(fs.existsSync(folder)).toBe(false);
  expect((await checkContract(repairInputs(server), false)).report).toBe("");
}

describe("a repair that is killed, while a publisher goes on", () => {
  it("at every point, one after the other, refuses nothing, loses nothing and gives nothing twice", async () => {
    const inputs = repairInputs(server);
    await workQueue(server, numbered(100));
    const live = await publisher(server);
    const ends: string[] = [];
    for (const [point, times] of POINTS) ends.push(`${point} ${await killedAt(inputs, folder, point, times)}`);
    const { outcome, intents } = await runRepair(inputs, folder);
    await live.stop();
    expect(ends).toEqual(POINTS.map(([point]) => `${point} SIGKILL`));
    expect(outcome).toBe("repaired");
    expect(intents[0]?.since).toBeDefined();
    await expectComplete(live, numbered(100));
  }, 300_000);

  it.each(POINTS)("at %s (%i) goes on", async (point, times) => {
    const inputs = repairInputs(server);
    await workQueue(server, numbered(100));
    const live = await publisher(server);
    expect(await killedAt(inputs, folder, point, times)).toBe("SIGKILL");
    expect((await runRepair(inputs, folder)).outcome).toBe("repaired");
    await live.stop();
    await expectComplete(live, numbered(100));
  });
});

describe("an older nats-server", () => {
  it.each<ServerTool>(["nats-server-2.9", "nats-server-2.10", "nats-server-2.11", "nats-server-2.12"])(
    "%s: none is refused, none is lost, none comes twice",
    async (tool) => {
      const older = await startNatsServer({ tool });
      try {
        await workQueue(older, numbered(150));
        const live = await publisher(older);
        const { outcome } = await runRepair(repairInputs(older), folder);
        await live.stop();
        expect(outcome).toBe("repaired");
        expect(live.refused).toEqual([]);
        expect([...(await handedOut(older))].sort()).toEqual([...numbered(150), ...live.accepted].sort());
      } finally {
        await older.stop();
      }
    },
  );
});

describe("a work queue in the place of NoETL's stream", () => {
  it("is replaced while a publisher goes on: none is refused, none is lost, none comes twice, in order", async () => {
    await workQueue(server, numbered(150));
    const live = await publisher(server);
    const { outcome } = await runRepair(repairInputs(server), folder);
    await live.stop();
    expect(outcome).toBe("repaired");
    expect(live.refused).toEqual([]);
    const all = await handedOut(server);
    expect(all.filter((each) => each.startsWith("command"))).toEqual(numbered(150));
    expect([...all].sort()).toEqual([...numbered(150), ...live.accepted].sort());
    expect(live.accepted.length).toBeGreaterThan(20);
    expect(await streams()).toEqual([DEFAULT_NAMES.stream]);
    expect(fs.existsSync(folder)).toBe(false);
    expect((await checkContract(repairInputs(server), false)).report).toBe("");
  });
});
