/**
 * NoETL's gateway itself in the place of a pod: `node gateway-itself.js PROGRAM`.
 *
 * It is led to what is ready behind the addresses in its environment by ports of the loopback interface, each connection apart: what
 * is behind a Service changes while a gateway lives. Nothing else of the environment differs from the pod's.
 */
import { spawn } from "node:child_process";
import * as net from "node:net";
import { need, place } from "./pod-environment";

/** Port of the loopback interface that leads to an address; a connection that cannot be made is reset. */
function lead(host: string, port: number): Promise<number> {
  const server = net.createServer((client) => {
    try {
      const upstream = net.connect(place(host, port));
      client.pipe(upstream).pipe(client);
      for (const [socket, other] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        socket.on("error", () => other.destroy());
        socket.on("close", () => other.destroy());
      }
    } catch {
      client.resetAndDestroy();
    }
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => resolve((server.address() as net.AddressInfo).port));
  });
}

/** A URL with another host and port; user and password stay as they are written. */
async function led(url: string, standardPort: number): Promise<string> {
  const [, before = "", host = "", port, after = ""] =
    /^([a-z]+:\/\/(?:[^@/]*@)?)([^:/@]+)(?::(\d+))?(.*)$/.exec(url) ?? [];
  if (host === "") throw new Error("an address in the gateway's environment cannot be read");
  return `${before}127.0.0.1:${await lead(host, Number(port ?? standardPort))}${after}`;
}

async function main([program = ""]: readonly string[]): Promise<void> {
  const child = spawn(program, [], {
    stdio: ["ignore", "inherit", "inherit"],
    env: {
      ...process.env,
      NATS_URL: await led(need("NATS_URL"), 4222),
      NOETL_BASE_URL: await led(need("NOETL_BASE_URL"), 80),
      GATEWAY_BIND: "127.0.0.1",
      ROUTER_PORT: need("EMBEDDED_PORT"),
    },
  });
  child.once("error", (error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  });
  child.once("close", (code) => process.exit(code ?? 1));
  // This release has no handler, and would be waited for until it is killed.
  process.on("SIGTERM", () => child.kill("SIGKILL"));
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
