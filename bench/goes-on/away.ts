/** NATS away for minutes: what NoETL's own server and worker do, and how soon the next playbook gets to its end. */
import { setTimeout as sleep } from "node:timers/promises";
import { seconds, type Row } from "../table";
import { completes } from "./noetl";
import { type Container, PERIOD_MILLISECONDS, type Scene, withScene } from "./scene";

/** From NATS being back to the end of the next playbook, in seconds: a client that gave up is restarted after a minute. */
const BACK_SECONDS = 120;

async function away({ nats, api }: Scene, containers: readonly Container[], minutes: number): Promise<Row[]> {
  await completes(api);
  // Until each probe has seen what its process has.
  await sleep(2 * PERIOD_MILLISECONDS);
  const before = containers.map(({ restarts }) => restarts);
  await nats.stop();
  await sleep(minutes * 60_000);
  nats.start();
  const measured = await seconds(() => completes(api));
  const what = (figure: string): string => `NATS away for ${minutes} min: ${figure}`;
  return [
    { what: what("back, to the end of the next playbook"), measured, unit: "s", limit: BACK_SECONDS },
    ...["server", "worker"].map((name, index) => ({
      what: what(`restarts of the ${name}`),
      measured: (containers[index]?.restarts ?? 0) - (before[index] ?? 0),
      unit: "",
      limit: 1,
    })),
  ];
}

/** The figures for each length of time without NATS, one after the other. @param minutes whole ones, or parts */
export const awayRows = (minutes: readonly number[]): Promise<Row[]> =>
  withScene(async (scene) => {
    const rows: Row[] = [];
    const containers = [scene.server, scene.startWorker()];
    for (const each of minutes) rows.push(...(await away(scene, containers, each)));
    return rows;
  });
