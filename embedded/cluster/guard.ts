/**
 * Ends a cluster when the process that started it has ended, however it did: `node guard.js DIR OWNER`, where OWNER is the JSON
 * of a {@link Recorded}. Ends by itself once the cluster is gone.
 */
import * as fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { stopCluster } from ".";
import { clusterFiles } from "./places";
import { isAlive, type Recorded } from "./processes";

/** How often it looks, in milliseconds. */
const INTERVAL_MS = 500;

async function guard(dir: string, owner: Recorded): Promise<void> {
  const { processes } = clusterFiles(dir);
  while (fs.existsSync(processes)) {
    if (!isAlive(owner)) return stopCluster(dir);
    await sleep(INTERVAL_MS);
  }
}

const [dir, owner] = process.argv.slice(2);
if (!dir || !owner) throw new Error("usage: node guard.js DIR OWNER");
void guard(dir, JSON.parse(owner) as Recorded);
