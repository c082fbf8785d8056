/**
 * Measures what happens to commands while NATS servers restart or are killed: real servers on loopback, the consumer's real
 * settings, 500 commands a second. Ends with 1 where a figure is above its limit.
 *
 *     npm run bench:goes-on [-- --json]
 */
import { availabilityRows } from "./goes-on/availability";
import { table, type Row } from "./table";

/** Every measurement; a further one is a further line. */
const MEASUREMENTS: readonly (() => Promise<Row[]>)[] = [
  () => availabilityRows("memory"),
  () => availabilityRows("file"),
];

async function measure(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const measurement of MEASUREMENTS) rows.push(...(await measurement()));
  return rows;
}

measure().then(
  (rows) => {
    process.stdout.write(process.argv.includes("--json") ? `${JSON.stringify(rows)}\n` : `${table(rows).join("\n")}\n`);
    process.exitCode = rows.some(({ measured, limit }) => limit !== undefined && measured > limit) ? 1 : 0;
  },
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  },
);
