import { execFile } from "node:child_process";
import * as http from "node:http";
import * as net from "node:net";
import * as path from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { chartFolder } from "./helm";

const script = (name: string) => path.join(chartFolder("noetl"), "files", name);

interface Ended {
  code: number;
  output: string;
}

function run(command: string, args: readonly string[], env: Record<string, string>): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { env: { PATH: process.env.PATH, ...env }, timeout: 60_000 };
    execFile(command, args, options, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, output: stdout + stderr });
    });
  });
}

const servers: net.Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

function listen(server: net.Server): Promise<number> {
  servers.push(server);
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve((server.address() as net.AddressInfo).port)),
  );
}

describe("the container that waits for NoETL's API", () => {
  const wait = (url: string, seconds: number) =>
    run("sh", [script("wait-for-api.sh")], { NOETL_SERVER_URL: url, WAIT_SECONDS: String(seconds) });

  it("ends when the API is healthy, and says what it waits for until then", async () => {
    let asked = 0;
    const port = await listen(
      http.createServer((request, response) => {
        response.writeHead(request.url === "/api/health" && ++asked > 1 ? 200 : 503).end();
      }),
    );
    const { code, output } = await wait(`http://127.0.0.1:${port}/`, 20);
    expect(code).toBe(0);
    expect(output).toMatch(
      new RegExp(`^waiting for NoETL's API: http://127.0.0.1:${port}/api/health \\(\\d+ s left\\)\n`),
    );
    expect(output).toContain("NoETL's API answers");
  });

  it("gives up at its deadline", async () => {
    const { code, output } = await wait("http://127.0.0.1:1", 1);
    expect(code).toBe(1);
    expect(output).toContain("NoETL's API did not answer within 1 s: http://127.0.0.1:1/api/health");
  });
});
