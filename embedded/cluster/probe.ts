import * as fs from "node:fs";
import * as http from "node:http";
import * as path from "node:path";
import type { V1Container } from "@kubernetes/client-node";

/** True where a GET is answered with 200 within the time of the container's readiness probe; default of the API: 1 s. */
export function answers(url: string, { readinessProbe }: Pick<V1Container, "readinessProbe">): Promise<boolean> {
  return new Promise((resolve) => {
    const request = http.get(url, { timeout: (readinessProbe?.timeoutSeconds ?? 1) * 1000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(false));
  });
}

/** True where a process holds an established TCP connection to this port of any address. */
export function holdsConnection(pid: number, port: number): boolean {
  const [established, wanted] = ["01", port.toString(16).toUpperCase().padStart(4, "0")];
  try {
    const rows = ["tcp", "tcp6"].flatMap((table) => fs.readFileSync(`/proc/${pid}/net/${table}`, "utf8").split("\n"));
    const inodes = new Set(
      rows
        .map((row) => row.trim().split(/\s+/))
        .filter(([, , remote, state]) => state === established && remote?.endsWith(`:${wanted}`))
        .map((fields) => `socket:[${fields[9]}]`),
    );
    if (inodes.size === 0) return false;
    const fds = `/proc/${pid}/fd`;
    return fs.readdirSync(fds).some((fd) => inodes.has(readLink(path.join(fds, fd))));
  } catch {
    // It has ended in the meantime.
    return false;
  }
}

function readLink(file: string): string {
  try {
    return fs.readlinkSync(file);
  } catch {
    return "";
  }
}
