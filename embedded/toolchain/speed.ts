import * as zlib from "node:zlib";

/** Processor time that the work below takes on the machine on which the estimates were measured, in milliseconds. */
const MEASURED_MS = 46;

/** How often it is done: the quickest counts, since the first also loads what it needs. */
const TRIES = 3;

/**
 * How many times the estimated processor time this machine needs, from a piece of work of a tenth of a second. Like a compiler's it
 * is searching in memory; and processor time says the same beside other work.
 */
export function processorSlowness(): number {
  const text = words(200_000);
  const times = Array.from({ length: TRIES }, () => {
    const before = process.cpuUsage();
    zlib.deflateRawSync(text, { level: 9 });
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  });
  return Math.min(...times) / MEASURED_MS;
}

/** In words, how long on this machine takes what took so many seconds where it was measured. */
export const onThisMachine = (seconds: number): string => minutes(seconds * processorSlowness());

export function minutes(seconds: number): string {
  return seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}

/** Text of as many words as `count`, which is the same each time. */
function words(count: number): Buffer {
  let seed = 1;
  const all = Array.from({ length: count }, () => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return `w${((seed >>> 12) % 4096).toString(36)}`;
  });
  return Buffer.from(all.join(" "));
}
