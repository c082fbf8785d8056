import type { ChildProcess } from "node:child_process";

/** Signals a program that leads a process group of its own (`detached`), most often to end it, and all that it has started. */
export function endGroup({ pid }: Pick<ChildProcess, "pid">, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended meanwhile.
  }
}
