/**
 * Measures what happens to commands while NATS servers restart or are killed: real servers on loopback, the consumer's real
 * settings, 500 commands a second. Ends with 1 where a figure is above its limit.
 *
 *     npm run bench:goes-on [-- --json]
 */
import { availabilityRows } from "./goes-on/availability";
import { report, type Row } from "./table";

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

report(measure);
