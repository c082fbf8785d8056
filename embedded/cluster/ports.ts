import * as net from "node:net";

/** Ports are chosen below Linux's range for outgoing connections, so that none of those takes one in the meantime. */
const [LOWEST, HIGHEST] = [12_000, 29_999];
const ATTEMPTS = 200;

/** What this process has given away, on which nothing may listen yet. */
const given = new Set<number>();

/** Ports of 127.0.0.1 on which nothing listens at the moment, all different, and none of an earlier answer. */
export async function freePorts(count: number): Promise<number[]> {
  const found: number[] = [];
  for (let attempt = 0; found.length < count; attempt++) {
    if (attempt > ATTEMPTS + count) throw new Error(`no ${count} free ports between ${LOWEST} and ${HIGHEST}`);
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST + 1));
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) found.push(port);
  }
  return found;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer().once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

/**
 * The port of 127.0.0.1 that stands for a port of a pod. A pod that comes back under its name finds its ports again,
 * as those that are connected to it expect.
 */
export class LocalPorts {
  private readonly known = new Map<string, Promise<number>>();

  /** @param pod `namespace/name` */
  of(pod: string, port: number): Promise<number> {
    const key = `${pod}:${port}`;
    const local = this.known.get(key) ?? freePorts(1).then(([free]) => free as number);
    this.known.set(key, local);
    return local;
  }
}
