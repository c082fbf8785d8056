/**
 * Measures the main job on the embedded cluster: `npm run bench`. The tools must have been built and no embedded cluster
 * may be running, because the command is timed as a user runs it, from nothing to the finished playbook. NoETL itself
 * must be there: its stand-in starts faster and needs less memory.
 */
import { spawn } from "node:child_process";
import * as path from "node:path";
import { withDefaults, checkContract } from "../contract";
import { projectRoot } from "../contract/project";
import { attachCluster } from "../embedded/cluster";
import { EMBEDDED_STACK } from "../embedded/home";
import { EMBEDDED_DIR, openStack } from "../embedded/stack";
import { ensureTools } from "../embedded/toolchain";
import { ensureNoetl, pinnedReleases } from "../embedded/toolchain/noetl";
import { rowOfScript, rowsOf, runs } from "./commands";
import { familyOf, memoryOf } from "./processes";
import { median, report, seconds, type Row } from "./table";

const RUNS = 5;
const CLUSTER_DIR = path.join(EMBEDDED_DIR, "cluster");

function npm(script: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn("npm", ["run", "--silent", script], {
      cwd: projectRoot(),
      stdio: ["ignore", "ignore", "inherit"],
    });
    child.once("error", reject);
    child.once("close", (code) => (code === 0 ? resolve() : reject(new Error(`npm run ${script} ended with ${code}`))));
  });
}

async function measure(): Promise<Row[]> {
  if (await attachCluster(CLUSTER_DIR)) {
    throw new Error("an embedded cluster is running, and the start is to be measured: npm run down:embedded first");
  }
  const tools = await ensureTools(["helm", "pulumi"]);
  await ensureNoetl(pinnedReleases()[0] ?? "");
  const rows: Row[] = [];
  try {
    const up = await seconds(() => npm("up:embedded"));
    rows.push({ what: "up:embedded, from nothing to the finished playbook", measured: up, unit: "s", limit: 75 });
    const cluster = await attachCluster(CLUSTER_DIR);
    if (!cluster) throw new Error("the embedded cluster does not answer");
    rows.push({
      what: "memory of all processes of the cluster",
      measured: memoryOf(familyOf(Object.values(cluster.pids)), "Pss"),
      unit: "MiB",
      limit: 2560,
    });

    const { kubeconfigPath, gateway } = cluster;
    const { stack, close } = await openStack({ dir: EMBEDDED_DIR, kubeconfigPath, gateway, tools });
    try {
      const previews: number[] = [];
      for (let run = 0; run < RUNS; run++) previews.push(await seconds(() => stack.preview({ expectNoChanges: true })));
      rows.push({ what: `no-change preview, median of ${RUNS}`, measured: median(previews), unit: "s", limit: 2 });

      const outputs = await stack.outputs();
      const inputs = withDefaults({
        connection: { kubeconfig: cluster.kubeconfigPath },
        user: String(outputs.natsUser?.value),
        password: String(outputs.natsPassword?.value),
      });
      const checks: number[] = [];
      for (let run = 0; run < RUNS; run++) {
        checks.push(
          await seconds(async () => {
            const { holds, report } = await checkContract(inputs);
            if (!holds) throw new Error(report);
          }),
        );
      }
      rows.push({ what: `contract check, the first`, measured: checks[0] ?? 0, unit: "s", limit: 1 });
      rows.push({ what: `contract check, median of ${RUNS}`, measured: median(checks), unit: "s", limit: 1 });
    } finally {
      await close();
    }
    for (const command of ["doctor", "verify"]) {
      const file = path.join(projectRoot(), "dist", "commands", "doctor", `${command}.js`);
      rows.push(...rowsOf(command, await runs(process.execPath, file, "--stack", EMBEDDED_STACK)));
    }
    rows.push(rowOfScript("verify", await runs("npm", "run", "--silent", "verify", "--", "--stack", EMBEDDED_STACK)));
    rows.push(rowOfScript("up:embedded", await runs("npm", "run", "--silent", "up:embedded")));
  } finally {
    await npm("down:embedded");
  }
  return rows;
}

report(measure);
