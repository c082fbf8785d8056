import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { checkContract } from "../../components/stream-contract/check";
import {
  DEFAULT_NAMES,
  handedOut,
  newFolder,
  numbered,
  publisher,
  repairInputs,
  runRepair,
  workQueue,
} from "./repair-support";
import { removeStreams, startNatsServer, withManager, type NatsServer } from "./support";

let server: NatsServer;
let folder: string;
beforeAll(async () => {
  server = await startNatsServer();
});
afterAll(() => server.stop());
beforeEach(() => {
  folder = newFolder();
});
afterEach(async () => {
  fs.rmSync(path.dirname(folder), { recursive: true, force: true });
  await removeStreams(server);
});

const streams = (): Promise<string[]> =>
  withManager(server, async (manager) => {
    const names: string[] = [];
    for await (const { config } of manager.streams.list()) names.push(config.name);
    return names.sort();
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
