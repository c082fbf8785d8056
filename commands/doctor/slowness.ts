import { inSeconds } from "../../contract/deadline";

/** An answer that takes longer than this is reported as slow, in milliseconds. It is an answer nevertheless. */
const SLOW_MILLISECONDS = 3_000;
/** How many are shown. */
const MOST = 5;

/** Keeps what was answered late, so that a slow way is reported as slow and not as broken. */
export class Slowness {
  private readonly late: { readonly what: string; readonly milliseconds: number }[] = [];

  /** Runs `work` and keeps how long its answer took where that was long. A question without an answer is reported elsewhere. */
  async watch<T>(what: string, work: () => Promise<T>): Promise<T> {
    const started = performance.now();
    const answer = await work();
    const milliseconds = performance.now() - started;
    if (milliseconds > SLOW_MILLISECONDS) this.late.push({ what, milliseconds });
    return answer;
  }

  /** The latest answers, in words that follow "waited for". */
  lines(): string[] {
    return [...this.late]
      .sort((a, b) => b.milliseconds - a.milliseconds)
      .slice(0, MOST)
      .map(({ what, milliseconds }) => `${inSeconds(milliseconds)} for ${what}`);
  }
}
