import * as fs from "node:fs";

/** Ids of the processes and of all their descendants. */
export function familyOf(roots: readonly number[]): number[] {
  const children = new Map<number, number[]>();
  for (const entry of fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    const parent = Number(/^PPid:\s+(\d+)/m.exec(read(Number(entry), "status"))?.[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
  }
  const family = new Set<number>();
  const visit = (pid: number): void => {
    if (family.has(pid)) return;
    family.add(pid);
    children.get(pid)?.forEach(visit);
  };
  roots.forEach(visit);
  return [...family];
}

/** Resident memory (`Rss`), or proportional (`Pss`), in which shared pages count once, of processes together, in MiB. */
export function memoryOf(pids: readonly number[], kind: "Rss" | "Pss"): number {
  const [file, field] = kind === "Pss" ? ["smaps_rollup", "Pss"] : ["status", "VmRSS"];
  const figure = new RegExp(`^${field}:\\s+(\\d+)`, "m");
  return pids.reduce((sum, pid) => sum + Number(figure.exec(read(pid, file))?.[1] ?? 0), 0) / 1024;
}

/** A file of a process; empty where it has ended in the meantime. */
function read(pid: number, file: string): string {
  try {
    return fs.readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}
