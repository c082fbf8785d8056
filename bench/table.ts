/** One measured figure, and the limit it is held against. */
export interface Row {
  readonly what: string;
  readonly measured: number;
  readonly unit: string;
  readonly limit?: number;
}

/** The rows as lines of text, columns aligned; a figure above its limit is marked. */
function table(rows: readonly Row[]): string[] {
  const cells = rows.map(({ what, measured, unit, limit }) => [
    what,
    `${format(measured)} ${unit}`,
    limit === undefined ? "" : `<= ${format(limit)} ${unit}`,
    limit === undefined ? "" : measured <= limit ? "met" : "MISSED",
  ]);
  const widths = [0, 1, 2, 3].map((column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
}

const format = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toFixed(2));

/** Median of several figures. @throws Error where there is none. */
export function median(figures: readonly number[]): number {
  const sorted = [...figures].sort((a, b) => a - b);
  const middle = sorted[Math.floor(sorted.length / 2)];
  if (middle === undefined) throw new Error("no figures");
  return sorted.length % 2 === 1 ? middle : (middle + (sorted[sorted.length / 2 - 1] ?? middle)) / 2;
}

/** Seconds that `work` takes. */
export async function seconds(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

/** Measures, and prints the figures as a table or, asked with `--json`, as JSON; ends with 1 where one is above its limit. */
export function report(measure: () => Promise<Row[]>): void {
  measure().then(
    (rows) => {
      const text = process.argv.includes("--json") ? JSON.stringify(rows) : table(rows).join("\n");
      process.stdout.write(`${text}\n`);
      process.exitCode = rows.some(({ measured, limit }) => limit !== undefined && measured > limit) ? 1 : 0;
    },
    (error: unknown) => {
      process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
      process.exitCode = 1;
    },
  );
}
