import * as fs from "node:fs";
import { expect, it } from "vitest";
import { ping } from "../../../contract/nats/ping";
import { natsClient, startNatsServer, until } from "../../support/nats";

const SECONDS = 10_000;

/** Whether every thread of a process stands still, as Linux tells it behind the program's name. */
function isStopped(pid: number): boolean {
  const threads = fs.readdirSync(`/proc/${pid}/task`);
  return threads.every((thread) => fs.readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8").includes(") T "));
}

it("tells that the server has handled what was sent, and fails where it says nothing, or the connection breaks or is closed", async () => {
  const server = await startNatsServer();
  const connection = await natsClient(server, { reconnect: false });
  try {
    let heard = 0;
    connection.subscribe("told", { callback: () => heard++ });
    connection.publish("told");
    await ping(connection, SECONDS, "an answer");
    expect(heard).toBe(1);

    process.kill(server.pid, "SIGSTOP");
    // The system stops it in its own time, and one that runs just now answers before.
    await until("the server to stand still", () => isStopped(server.pid) || undefined);
    await expect(ping(connection, 300, "an answer")).rejects.toMatchObject({ problem: "no-answer" });
    const waiting = ping(connection, SECONDS, "an answer").catch((error: Error) => error.message);
    const begun = Date.now();
    process.kill(server.pid, "SIGKILL");
    expect(await waiting).not.toContain("waited");
    expect(Date.now() - begun).toBeLessThan(SECONDS / 2);
    await expect(ping(connection, SECONDS, "an answer")).rejects.toMatchObject({ code: "CONNECTION_CLOSED" });
  } finally {
    await connection.close();
    await server.stop();
  }
});
