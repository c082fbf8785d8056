import * as fs from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { request } from "../../../embedded/noetl/pod-environment.js";

const REFUSED = "[Errno 111] Connect call failed ('noetl.noetl.svc.cluster.local', 8082)";
const URL = "http://noetl.noetl.svc.cluster.local:8082/api/health";

describe("a request of the stand-in", () => {
  let server: http.Server;
  let port: number;
  let dir: string;

  beforeEach(async () => {
    dir = fs.mkdtempSync(path.join(os.tmpdir(), "stand-in-"));
    server = http.createServer((each, answer) => (each.url === "/cut" ? each.socket.destroy() : answer.end("here")));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    ({ port } = server.address() as AddressInfo);
  });

  afterEach(() => {
    server.close();
    fs.rmSync(dir, { recursive: true });
    vi.unstubAllEnvs();
  });

  const names = (local: number) => {
    const file = path.join(dir, "names.json");
    fs.writeFileSync(file, JSON.stringify({ "noetl.noetl.svc.cluster.local:8082": local }));
    vi.stubEnv("EMBEDDED_NAMES", file);
  };

  it("goes to the local port behind the name", async () => {
    names(port);
    expect(await (await request(URL)).text()).toBe("here");
  });

  it("is refused in the same words where no pod is ready, and where the one that was has just ended", async () => {
    names(0);
    await expect(request(URL)).rejects.toThrow(REFUSED);
    names(port);
    await new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
    await expect(request(URL)).rejects.toThrow(REFUSED);
  });

  it("that is cut off says so", async () => {
    names(port);
    await expect(request(URL.replace("/api/health", "/cut"))).rejects.toThrow("other side closed");
  });
});
