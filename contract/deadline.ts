import { setTimeout as sleep } from "node:timers/promises";
import { ConnectError } from "./errors";

/** Longest wait for a single step, in milliseconds. */
const STEP_MILLISECONDS = 10_000;

/** A point in time, by a clock that nobody sets. */
export class Deadline {
  private readonly start = performance.now();

  constructor(private readonly milliseconds: number) {}

  elapsed(): number {
    return performance.now() - this.start;
  }

  /** Milliseconds left, never negative. */
  remaining(): number {
    return Math.max(0, this.milliseconds - this.elapsed());
  }

  /** Whether the time is up, by a timer that was set for what was left: those count whole milliseconds, and end early by one. */
  isOver(): boolean {
    return this.remaining() < 2;
  }

  /** Milliseconds that the next step may take: at most `longest`, at most what is left, at least one. */
  step(longest: number = STEP_MILLISECONDS): number {
    return Math.max(1, Math.min(longest, this.remaining()));
  }

  /** Sleeps for `milliseconds`, but leaves `reserve` of what remains. */
  async pause(milliseconds: number, reserve = 0): Promise<void> {
    await sleep(Math.max(0, Math.min(milliseconds, this.remaining() - reserve)));
  }
}

/** Seconds for a message: whole ones, or one decimal below ten. */
export function inSeconds(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  return seconds < 10 ? `${Math.round(seconds * 10) / 10} s` : `${Math.round(seconds)} s`;
}

/**
 * Runs `work` for at most `milliseconds`. The signal is aborted when the time is up, so that `work` closes what it opened.
 *
 * @param what What is waited for, in words that follow "waited 5 s for".
 * @throws ConnectError `no-answer` when the time is up.
 */
export async function within<T>(
  milliseconds: number,
  what: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const timeUp = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new ConnectError("no-answer", `waited ${inSeconds(milliseconds)} for ${what}`));
      controller.abort();
    }, milliseconds);
  });
  try {
    return await Promise.race([work(controller.signal), timeUp]);
  } finally {
    clearTimeout(timer);
  }
}
