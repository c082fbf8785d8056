/**
 * How long the oldest command waits. No message is read for it: the guard remembers when each look found which last sequence,
 * and a message of that sequence is at least as old as the look's last one was.
 */

/** What one look found: the stream's last sequence, and when that message was stored, in milliseconds by a clock that nobody sets. */
interface Sample {
  readonly sequence: number;
  readonly storedAt: number;
}

/** Looks that are remembered, about 17 hours of them at one each 15 s; beyond that every second one is. */
const MOST_SAMPLES = 4096;

export class OldestPending {
  private samples: Sample[] = [];
  private created = "";
  private lookedAt = -Infinity;
  private last = 0;

  /**
   * @param stream Creation, last sequence, and how old the last message is by the server's clock, in milliseconds.
   * @param floor Sequence up to which nothing waits.
   * @param waiting Commands that wait or are in flight.
   * @param now Milliseconds by a clock that nobody sets.
   * @returns seconds that the oldest of them has waited at least; 0 where none does
   */
  look(
    stream: { readonly created: string; readonly sequence: number; readonly age: number },
    { floor, waiting }: { readonly floor: number; readonly waiting: number },
    now: number,
  ): number {
    const isOther = stream.created !== this.created;
    if (isOther) this.samples = [];
    if (stream.sequence > (this.samples.at(-1)?.sequence ?? 0)) {
      // Whatever the server's clock says: what the look before did not find came after it.
      const longest = !isOther && stream.sequence > this.last ? now - this.lookedAt : Infinity;
      const age = Math.min(Math.max(0, stream.age), longest);
      this.samples.push({ sequence: stream.sequence, storedAt: now - age });
    }
    this.created = stream.created;
    this.last = stream.sequence;
    this.lookedAt = now;
    this.samples = this.samples.filter(({ sequence }) => sequence > floor);
    if (this.samples.length > MOST_SAMPLES) this.samples = this.samples.filter((_, index) => index % 2 === 0);
    const [oldest] = this.samples;
    return waiting === 0 || oldest === undefined ? 0 : Math.max(0, (now - oldest.storedAt) / 1000);
  }
}
