import * as net from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { checkContract, ConnectError, ensureContract, withDefaults, type ContractInputs } from "../../contract";
import { rejection, removeStreams, startNatsServer, startNoetl, until, type NatsServer } from "../support/nats";

let server: NatsServer;
beforeAll(async () => {
  server = await startNatsServer();
  await startNoetl(server);
});
afterAll(() => server.stop());

/** What happens to one connection: the bytes from the server that are let through, and what comes then. */
interface Fault {
  /** The last text from the server that passes; the greeting and the answers to ping and questions are its markers. */
  readonly after: string;
  /**
   * `drop` breaks the connection, `end` closes the server's half of it, `stall` lets nothing more through in either
   * direction, `half-open` ends the server's side alone: the client hears nothing, and what it sends is lost.
   */
  readonly then: "drop" | "end" | "stall" | "half-open";
}

interface FaultyWay {
  readonly address: string;
  /** Connections so far, and those that are open. */
  count(): { all: number; open: number };
}

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** A way to the server on which the first connections meet the faults, one each, and later ones none. */
async function faulty(...faults: Fault[]): Promise<FaultyWay> {
  const sockets = new Set<net.Socket>();
  let all = 0;
  let open = 0;
  const listener = net.createServer({ allowHalfOpen: true }, (client) => {
    const fault = faults[all++];
    open++;
    const upstream = net.connect(server.port, "127.0.0.1");
    let passed = "";
    let struck = false;
    const strike = (): void => {
      struck = true;
      if (fault?.then === "drop") client.resetAndDestroy();
      if (fault?.then === "end") client.end();
      if (fault?.then === "half-open") upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => socket.destroy()).on("close", () => sockets.delete(socket));
    }
    client.on("close", () => {
      open--;
      upstream.destroy();
    });
    client.on("end", () => client.end());
    upstream.on("close", () => struck || client.destroy());
    client.on("data", (chunk) => struck || upstream.write(chunk));
    upstream.on("data", (chunk) => {
      if (struck) return;
      const text = chunk.toString("latin1");
      const end = fault ? (passed + text).indexOf(fault.after) : -1;
      const part = fault && end >= 0 ? text.slice(0, end + fault.after.length - passed.length) : text;
      passed += part;
      if (part !== "") client.write(part, "latin1");
      if (end >= 0) strike();
    });
    if (fault?.after === "") strike();
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => listener.close(resolve));
  });
  const { port } = listener.address() as net.AddressInfo;
  return { address: `127.0.0.1:${port}`, count: () => ({ all, open }) };
}

const inputs = ({ address }: { address: string }, timeoutSeconds: number): ContractInputs =>
  withDefaults({ connection: { servers: [address] }, timeoutSeconds });

/** Before the greeting, after it, after the log-in, and in the middle of an answer. */
const MOMENTS = ["", "\r\n", "PONG\r\n", '"config"'];

describe("a connection that breaks once", () => {
  it.each(MOMENTS.flatMap((after) => (["drop", "end"] as const).map((then) => ({ after, then }))))(
    "after $after ($then) is made again, and the contract is checked",
    async (fault) => {
      const way = await faulty(fault);
      expect(await checkContract(inputs(way, 60))).toMatchObject({ holds: true, report: "" });
      expect(way.count().all).toBe(2);
      await until("every connection to be closed", () => way.count().open === 0 || undefined);
    },
  );

  it("breaks twice, in two ways, and is made a third time", async () => {
    const way = await faulty({ after: "\r\n", then: "drop" }, { after: '"config"', then: "end" });
    expect(await checkContract(inputs(way, 60))).toMatchObject({ holds: true });
    expect(way.count().all).toBe(3);
  });
});

describe("a connection that nothing comes through any more", () => {
  it.each(["stall", "half-open"] as const)(
    "(%s) after the log-in is given up, made again, and checked",
    async (then) => {
      const way = await faulty({ after: "PONG\r\n", then });
      const started = performance.now();
      expect(await checkContract(inputs(way, 60))).toMatchObject({ holds: true, report: "" });
      expect(way.count().all).toBe(2);
      expect(performance.now() - started).toBeLessThan(30_000);
    },
  );

  it("every time, ends at the deadline and says what was waited for, wherever it happens", async () => {
    const faults = MOMENTS.flatMap((after) => (["stall", "half-open"] as const).map((then) => ({ after, then })));
    await Promise.all(
      faults.map(async (fault) => {
        const way = await faulty(...Array.from({ length: 9 }, () => fault));
        const started = performance.now();
        const error = await rejection(checkContract(inputs(way, 2)));
        expect(performance.now() - started).toBeLessThan(20_000);
        expect(error).toBeInstanceOf(ConnectError);
        expect((error as ConnectError).problem).toBe("no-answer");
        expect(error.message).toMatch(/waited for .* \(gave up after [\d.]+ s and one try\)$/);
        await until("every connection to be closed", () => way.count().open === 0 || undefined);
      }),
    );
  });
});

describe("a change whose answer is lost", () => {
  it("is said to have been done where it was", async () => {
    await removeStreams(server);
    try {
      const way = await faulty({ after: 'stream_create_response","config"', then: "drop" });
      const { report, changes } = await ensureContract({ ...inputs(way, 60), mode: "ensure" });
      expect({ report, changes }).toEqual({
        report: "",
        changes: ["create stream NOETL_COMMANDS", "create consumer noetl_worker_pool"],
      });
      expect(way.count().all).toBe(2);
    } finally {
      await removeStreams(server);
      await startNoetl(server);
    }
  });
});

describe("a connection that breaks every time", () => {
  it("is given up at the deadline, and not tried without pause", async () => {
    const way = await faulty(...Array.from({ length: 99 }, () => ({ after: "\r\n", then: "drop" }) as const));
    const error = await rejection(checkContract(inputs(way, 2)));
    expect((error as ConnectError).problem).toBe("closed");
    expect(error.message).toMatch(/closed the connection .* \(gave up after [\d.]+ s and \d tries\)$/);
    // Pauses of 0.1, 0.2, 0.4, 0.8 s.
    expect(way.count().all).toBeLessThan(7);
  });
});
