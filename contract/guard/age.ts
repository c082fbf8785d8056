/**
 * How long the oldest command waits. No message is read for it: the guard remembers when each look found which last sequence,
 * and a message of that sequence is at least as old as the look's last one was.
 */

/** What one look found: the stream's last sequence, and when that message was stored, in milliseconds since 1970. */
interface Sample {
  readonly sequence: number;
  readonly storedAt: number;
}

/** Looks that are remembered, about 17 hours of them at one each 15 s; beyond that every second one is. */
const MOST_SAMPLES = 4096;

export class OldestPending {
  private samples: Sample[] = [];
  private created = "";

  /**
   * @param stream Creation, last sequence and time of the last message.
   * @param floor Sequence up to which all is acknowledged.
   * @param waiting Commands that wait or are in flight.
   * @returns seconds that the oldest of them has waited at least; 0 where none does
   */
  look(
    stream: { readonly created: string; readonly sequence: number; readonly storedAt: number },
    { floor, waiting }: { readonly floor: number; readonly waiting: number },
    now: number,
  ): number {
    if (stream.created !== this.created) this.samples = [];
    this.created = stream.created;
    if (stream.sequence > (this.samples.at(-1)?.sequence ?? 0)) {
      this.samples.push({ sequence: stream.sequence, storedAt: stream.storedAt });
    }
    this.samples = this.samples.filter(({ sequence }) => sequence > floor);
    if (this.samples.length > MOST_SAMPLES) this.samples = this.samples.filter((_, index) => index % 2 === 0);
    const [oldest] = this.samples;
    return waiting === 0 || oldest === undefined ? 0 : Math.max(0, (now - oldest.storedAt) / 1000);
  }
}
