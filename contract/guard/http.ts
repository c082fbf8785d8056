/** `/metrics` and `/healthz`: two GETs, and nothing else. */
import * as http from "node:http";
import type { AddressInfo } from "node:net";

/** What is served; asked for at every request. */
export interface Served {
  metrics(this: void): string;
  /** Undefined while the guard works; else what is wrong with it. */
  trouble(this: void): string | undefined;
}

export interface GuardServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Listens, on all addresses where none is given.  @throws Error where the port is taken. */
export async function serve(
  { port, address }: { readonly port: number; readonly address?: string },
  served: Served,
): Promise<GuardServer> {
  const server = http.createServer((request, response) => {
    const answer = (status: number, text: string, type = "text/plain; charset=utf-8"): void => {
      response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(text) });
      response.end(request.method === "HEAD" ? undefined : text);
    };
    request.resume();
    if (request.method !== "GET" && request.method !== "HEAD") return answer(405, "only GET\n");
    switch ((request.url ?? "").split("?")[0]) {
      case "/healthz": {
        const trouble = served.trouble();
        return answer(trouble === undefined ? 200 : 503, `${trouble ?? "ok"}\n`);
      }
      case "/metrics":
        return answer(200, served.metrics(), "text/plain; version=0.0.4; charset=utf-8");
      default:
        return answer(404, "only /metrics and /healthz\n");
    }
  });
  server.requestTimeout = 5_000;
  server.headersTimeout = 5_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, address, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
