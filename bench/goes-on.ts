/**
 * Measures what happens to commands while NATS servers restart or are killed: real servers on loopback, the consumer's real
 * settings, 500 commands a second; and on the whole embedded stack with NoETL itself, what a kill of its nats-server and a change
 * of its password do to playbooks, and what becomes of the commands of workers that are replaced. Ends with 1 where a figure is
 * above its limit. The last takes root, as each worker gets a PID namespace of its own.
 *
 *     npm run bench:goes-on [-- --json]
 *
 * With `-- --away 1,3,10` it measures instead what NATS being away for so many minutes does to NoETL's server and worker with the
 * probes of the chart; that takes root, and the minutes.
 */
import { availabilityRows } from "./goes-on/availability";
import { awayRows } from "./goes-on/away";
import { rolledRows } from "./goes-on/rolled";
import { stackRows } from "./goes-on/stack";
import { report, type Row } from "./table";

/** Every measurement; a further one is a further line. */
const MEASUREMENTS: readonly (() => Promise<Row[]>)[] = [
  () => availabilityRows("memory"),
  () => availabilityRows("file"),
  stackRows,
  rolledRows,
];

/** Minutes that follow `--away`; undefined without it. @throws Error where they are not numbers */
function minutesAway(): number[] | undefined {
  const at = process.argv.indexOf("--away");
  if (at < 0) return undefined;
  const minutes = (process.argv[at + 1] ?? "").split(",").map(Number);
  if (minutes.every((each) => each > 0)) return minutes;
  throw new Error("--away takes minutes with commas between them, for example --away 1,3,10");
}

async function measure(): Promise<Row[]> {
  const minutes = minutesAway();
  if (minutes) return awayRows(minutes);
  const rows: Row[] = [];
  for (const measurement of MEASUREMENTS) rows.push(...(await measurement()));
  return rows;
}

report(measure);
