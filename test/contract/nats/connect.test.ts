import * as fs from "node:fs";
import * as http from "node:http";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { StorageType, type StreamConfig } from "nats";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import {
  checkContract,
  ConnectError,
  RULES,
  withDefaults,
  type ConnectProblem,
  type ContractArguments,
  type ContractInputs,
} from "../../../contract";
import { madeByNewer } from "../../../contract/nats/session";
import { check, diff, update } from "../../../components/stream-contract/provider";
import {
  closedPort,
  inputsFor,
  JETSTREAM,
  natsClient,
  natsCommand,
  proxy,
  rejection,
  sleep,
  startGateway,
  startNatsServer,
  startNoetl,
  until,
  type NatsServer,
} from "../../support/nats";

const PASSWORD = "Right-Horse.7";
const WRONG = "Wrong-Horse.8";

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function started(config: string, port?: number): Promise<NatsServer> {
  const server = await startNatsServer({ config, port });
  cleanups.push(() => server.stop());
  return server;
}

/** The error of a check, which must be a {@link ConnectError} of this kind and hold no password. */
async function problemOf(problem: ConnectProblem, inputs: ContractInputs): Promise<string> {
  const error = await rejection(checkContract(inputs));
  expect(error).toBeInstanceOf(ConnectError);
  expect((error as ConnectError).problem).toBe(problem);
  expect(JSON.stringify([error.message, error.stack, error])).not.toContain(WRONG);
  return error.message;
}

const elapsed = async (work: () => Promise<unknown>): Promise<number> => {
  const start = performance.now();
  await work();
  return performance.now() - start;
};

describe("a server with one user", () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNatsServer({
      config: `${JETSTREAM}\nauthorization {users: [{user: noetl, password: "${PASSWORD}"}]}`,
    });
    await startNoetl(server, {}, { user: "noetl", pass: PASSWORD });
  });
  afterAll(() => server.stop());

  it("is checked with the right password", async () => {
    const report = await checkContract(inputsFor(server, { user: "noetl", password: PASSWORD }));
    expect(report).toMatchObject({ holds: true, report: "" });
  });

  it("refuses a wrong password, and that is not tried again", async () => {
    const inputs = inputsFor(server, { user: "noetl", password: WRONG, timeoutSeconds: 60 });
    const milliseconds = await elapsed(async () => {
      expect(await problemOf("wrong-password", inputs)).toBe(
        `NATS at ${server.address} does not accept the password of user noetl, or has no such user ('Authorization Violation')`,
      );
    });
    expect(milliseconds).toBeLessThan(30_000);
  });

  it("refuses a login without user", async () => {
    expect(await problemOf("wrong-password", inputsFor(server))).toContain("a login without user");
  });

  it("costs one log-in, questions that are all sent before the first answer comes, and the probes after them", async () => {
    const between = await proxy(server);
    cleanups.push(() => between.close());
    await checkContract(inputsFor(between, { user: "noetl", password: PASSWORD }));
    const sent = between.sent();
    expect(sent.match(/^CONNECT /gm)).toHaveLength(1);
    expect(sent.match(/^HPUB noetl\.commands /gm)).toHaveLength(41);
    const subjects = (sent.match(/(?<=^PUB )\S+/gm) ?? []).map((each) => each.replace(/^_INBOX\.\w+$/, "an inbox"));
    const counts = Object.fromEntries(
      [...new Set(subjects)].map((subject) => [subject, subjects.filter((each) => each === subject).length]),
    );
    expect(counts).toEqual({
      "$JS.API.STREAM.INFO.NOETL_COMMANDS": 1,
      "$JS.API.CONSUMER.INFO.NOETL_COMMANDS.noetl_worker_pool": 1,
      "$JS.API.INFO": 1,
      // Once for the answer, then whether the workers may, and whether the API gets it.
      "$JS.API.STREAM.LIST": 1,
      "$JS.API.STREAM.NAMES": 3,
      "$JS.API.CONSUMER.MSG.NEXT.NOETL_COMMANDS.noetl_worker_pool": 41,
      "$JS.ACK.NOETL_COMMANDS.noetl_worker_pool.1.4611686018427387904.4611686018427387904.0.0": 41,
      // Where traces may go, unheard or heard.
      "$JS.API.NOETL_NATS.TRACE": 1,
      "an inbox": 1,
      // On which subjects the server wants acknowledgements.
      "$SYS.REQ.USER.INFO": 1,
    });
    await until("the connection to be closed", () => between.open() === 0 || undefined);
  });

  it("takes at most a second, where the machine has nothing else to do", async () => {
    const inputs = inputsFor(server, { user: "noetl", password: PASSWORD });
    await until(
      "a check that takes less",
      async () => (await elapsed(() => checkContract(inputs))) < 1_000 || undefined,
    );
  });

  it.each([
    ["", "waited for NATS's greeting: the connection stands, and nothing comes through it"],
    ["\r\n", "waited for the answer to the log-in, which came no further than the server's greeting"],
    // The questions go out at once, so it is any of them whose time is up first.
    [
      "PONG\r\n",
      "waited for (the info of (stream NOETL_COMMANDS|consumer noetl_worker_pool)|the account's info|" +
        "the names of the streams that take noetl.commands|the answer to a ping after what was tried)",
    ],
  ])("that falls silent after %j is given up at the deadline", async (marker, message) => {
    const stalled = await proxy(server, marker);
    cleanups.push(() => stalled.close());
    const inputs = inputsFor(stalled, { user: "noetl", password: PASSWORD, timeoutSeconds: 2 });
    const milliseconds = await elapsed(async () => {
      expect(await problemOf("no-answer", inputs)).toMatch(
        new RegExp(`^${stalled.address}: ${message} \\(gave up after [.\\d]+ s and one try\\)$`),
      );
    });
    expect(milliseconds).toBeGreaterThan(1_900);
    // The rest is a busy machine's.
    expect(milliseconds).toBeLessThan(20_000);
    await until("the connection to be closed", () => stalled.open() === 0 || undefined);
  });

  it("is found behind one that is down", async () => {
    const down = `127.0.0.1:${await closedPort()}`;
    const inputs = withDefaults({
      connection: { servers: [down, `nats://${server.address}`] },
      user: "noetl",
      password: PASSWORD,
    });
    expect(await checkContract(inputs)).toMatchObject({ holds: true, server: server.address });
  });

  it("that offers no TLS is not talked to where TLS is asked for", async () => {
    const inputs = withDefaults({
      connection: { servers: [`tls://${server.address}`] },
      user: "noetl",
      password: PASSWORD,
    });
    expect(await problemOf("tls", inputs)).toContain("offers no TLS");
  });
});

describe("a server that is not there", () => {
  it("is tried until the deadline", async () => {
    const address = `127.0.0.1:${await closedPort()}`;
    const message = await problemOf("refused", inputsFor({ address }, { timeoutSeconds: 2 }));
    expect(message).toMatch(
      new RegExp(
        `^${address} refuses the connection \\(ECONNREFUSED\\): is NATS running there\\? \\(gave up after [\\d.]+ s and \\d tries\\)$`,
      ),
    );
  });

  it("is checked when it comes up in time", async () => {
    const port = await closedPort();
    const inputs = inputsFor({ address: `127.0.0.1:${port}` }, { timeoutSeconds: 60 });
    const checking = checkContract(inputs);
    await sleep(500);
    await startNoetl(await started(JETSTREAM, port));
    expect(await checking).toMatchObject({ holds: true });
  });

  it("has an unknown name", async () => {
    const inputs = withDefaults({ connection: { servers: ["nats.invalid:4222"] }, timeoutSeconds: 5 });
    expect(await problemOf("host-unknown", inputs)).toContain("the host of nats.invalid:4222 is unknown");
  });

  it("is another kind of server", async () => {
    const listener = net.createServer((socket) =>
      socket.on("error", () => socket.destroy()).end("SSH-2.0-OpenSSH\r\n"),
    );
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    cleanups.push(() => new Promise((resolve) => listener.close(resolve)));
    const address = `127.0.0.1:${(listener.address() as net.AddressInfo).port}`;
    expect(await problemOf("no-nats", inputsFor({ address }))).toBe(`what answers at ${address} is not a NATS server`);
  });

  it("has as many clients as it takes, and says so", async () => {
    const server = await started(`${JETSTREAM}\nmax_connections: 1`);
    const client = await natsClient(server);
    cleanups.push(() => client.close());
    expect(await problemOf("closed", inputsFor(server, { timeoutSeconds: 1 }))).toMatch(
      /closed the connection during the log-in \(maximum connections exceeded\): let some of its clients go, or let it have more \(natsMaxConnections/,
    );
  });

  it("lets an account have as many clients as it may, and says whose limit that is", async () => {
    const server = await started(
      `${JETSTREAM}
       accounts: {A: {jetstream: enabled, limits: {max_connections: 1}, users: [{user: a, password: a}]}}`,
    );
    const client = await natsClient(server, { user: "a", pass: "a" });
    cleanups.push(() => client.close());
    expect(await problemOf("closed", inputsFor(server, { user: "a", password: "a", timeoutSeconds: 1 }))).toMatch(
      /\(maximum account active connections exceeded\): let some of the account's clients go, or let the account have more \(`max_connections` in its `limits`/,
    );
  });

  it("takes shorter lines than a login needs, and names the setting", async () => {
    const server = await started(`${JETSTREAM}\nmax_control_line: 100`);
    expect(await problemOf("closed", inputsFor(server, { timeoutSeconds: 1 }))).toMatch(
      /\(maximum control line exceeded\): let it take longer lines.* \(`max_control_line`/,
    );
  });

  it("hangs up on everybody", async () => {
    const listener = net.createServer((socket) => socket.on("error", () => undefined).destroy());
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    cleanups.push(() => new Promise((resolve) => listener.close(resolve)));
    const address = `127.0.0.1:${(listener.address() as net.AddressInfo).port}`;
    expect(await problemOf("closed", inputsFor({ address }, { timeoutSeconds: 3 }))).toContain("closed the connection");
  });
});

describe("JetStream", () => {
  it("off on the server", async () => {
    const server = await started("");
    expect(await problemOf("jetstream-off", inputsFor(server))).toContain(`JetStream is off at ${server.address}`);
  });

  it("at a server that takes subscriptions of two tokens alone, where answers have three", async () => {
    const server = await started(`max_subscription_tokens: 2\n${JETSTREAM}`);
    expect(await problemOf("missing-permission", inputsFor(server))).toMatch(
      /too many tokens.* Answers come on subjects of 3 tokens: let the server take as many \(max_subscription_tokens\), and restart it/,
    );
    await server.restart(`max_subscription_tokens: 3\n${JETSTREAM}`);
    await startNoetl(server);
    expect(await checkContract(inputsFor(server))).toMatchObject({ holds: true, report: "" });
  });

  it("off for the account", async () => {
    const server = await started(
      `${JETSTREAM}
       accounts: {A: {jetstream: enabled, users: [{user: a, password: a}]}, B: {users: [{user: b, password: "${WRONG}"}]}}`,
    );
    const inputs = inputsFor(server, { user: "b", password: WRONG });
    expect(await problemOf("jetstream-off", inputs)).toContain("JetStream is off for the account of user b");
  });
});

describe("a stream that a newer server made", () => {
  it("is said to be one, with what there is to do", async () => {
    const store = fs.mkdtempSync(path.join(os.tmpdir(), "contract-store-"));
    cleanups.push(() => Promise.resolve(fs.rmSync(store, { recursive: true, force: true })));
    const config = JETSTREAM.replace("DIR/jetstream", store);
    const newer = await startNatsServer({ config });
    await startNoetl(newer, {
      stream: { storage: StorageType.File, allow_msg_counter: true } as Partial<StreamConfig>,
    });
    await newer.stop();
    const older = await startNatsServer({ config, tool: "nats-server-2.11" });
    cleanups.push(() => older.stop());
    expect(await problemOf("refused-request", inputsFor(older))).toMatch(
      /stream is offline: .* A newer nats-server than this one \(2\.11\.\d+\) has made it: run such a one again, or remove it/,
    );
    await natsCommand(`nats --server ${older.address} stream rm NOETL_COMMANDS -f`);
    await startNoetl(older);
    expect(await checkContract(inputsFor(older))).toMatchObject({ holds: true, report: "" });
  });
});

describe("what a newer server made, by a server's own words", () => {
  it.each([
    ["stream is offline: unsupported - required API level: 4, current API level: 1", "it", /^nats stream rm/],
    ['stream is offline: stopped - unsupported consumer "pool"', "its consumer pool", /^nats consumer rm$/],
    ["consumer is offline: unsupported - required API level: 4, current API level: 1", "it", /^nats consumer rm$/],
  ])("%s: %s", (words, what, remove) => {
    expect(madeByNewer(words)).toEqual({ what, remove: expect.stringMatching(remove) as string });
  });

  it("is not said of a stream that is offline for another reason", () => {
    expect(madeByNewer("stream is offline: stopped - no space left on device")).toBeUndefined();
    expect(madeByNewer("stream is offline")).toBeUndefined();
  });
});

describe("permissions", () => {
  const least = [
    "$JS.API.INFO",
    "$JS.API.STREAM.INFO.NOETL_COMMANDS",
    "$JS.API.CONSUMER.INFO.NOETL_COMMANDS.noetl_worker_pool",
  ];
  const config = (publish: readonly string[], subscribe: readonly string[]): string =>
    `${JETSTREAM}
     authorization {users: [
       {user: admin, password: admin}
       {user: checker, password: "${WRONG}", permissions: {publish: ${JSON.stringify(publish)}, subscribe: ${JSON.stringify(subscribe)}}}
     ]}`;
  const inputs = (server: NatsServer): ContractInputs => inputsFor(server, { user: "checker", password: WRONG });

  /** Rules about what is tried with NoETL's login, which this one is not. */
  const TRIED = RULES.flatMap(({ id, about }) =>
    ["login", "publish"].includes(about) || /^worker-/.test(id) ? id : [],
  );

  it("of the least-privileged user suffice", async () => {
    const server = await started(config(least.slice(1), ["_INBOX.>"]));
    await startNoetl(server, {}, { user: "admin", pass: "admin" });
    const { holds, report, skippedRules } = await checkContract(inputs(server));
    expect({ holds, report }).toEqual({ holds: true, report: "" });
    // What it may not ask is left out, and said.
    expect(skippedRules.map(({ id }) => id)).toEqual([
      "account-storage",
      "account-streams",
      "stream-overlap",
      "stream-loop",
      "stream-fed",
      ...TRIED,
    ]);
    for (const { id, why } of skippedRules) {
      expect(why).toContain(
        TRIED.includes(id) ? "user checker may do nothing of what" : "user checker lacks a permission",
      );
    }
  });

  it("that the account tells too suffice, all but for other streams", async () => {
    const server = await started(config(least, ["_INBOX.>"]));
    await startNoetl(server, {}, { user: "admin", pass: "admin" });
    const { skippedRules } = await checkContract(inputs(server));
    expect(skippedRules.map(({ id }) => id)).toEqual(["stream-overlap", "stream-loop", "stream-fed", ...TRIED]);
  });

  it("of a login of its own are the gateway's, so that the check's may be as small", async () => {
    const buckets = ["sessions", "requests"].map((name) => `$JS.API.STREAM.INFO.KV_${name}`);
    const server = await started(config([...least.slice(1), ...buckets], ["_INBOX.>"]));
    const admin = { user: "admin", pass: "admin" };
    await startNoetl(server, {}, admin);
    await startGateway(server, {}, admin);
    const gateway = { user: "admin", password: "admin" };
    const report = await checkContract({ ...inputs(server), gateway: withDefaults({ gateway }).gateway });
    expect(report).toMatchObject({ holds: true, report: "" });
    expect(report.checks.map(({ id }) => id)).toContain("gateway-buckets");
    // Without its own login the gateway is taken to have the check's, which may not listen.
    const without = await checkContract({ ...inputs(server), gateway: withDefaults({ gateway: {} }).gateway });
    expect(without.checks.filter(({ ok }) => !ok).map(({ id }) => id)).toEqual([
      "gateway-updates",
      "gateway-callbacks",
    ]);
  });

  it.each([
    ["publish", least.slice(0, 2), ["_INBOX.>"], `Publish to "$JS.API.CONSUMER.INFO.NOETL_COMMANDS.noetl_worker_pool"`],
    ["subscribe", least, ["other"], "Subscription to"],
  ])("to %s missing are named", async (_name, publish, subscribe, violation) => {
    const server = await started(config(publish, subscribe));
    await startNoetl(server, {}, { user: "admin", pass: "admin" });
    const message = await problemOf("missing-permission", inputs(server));
    expect(message).toContain(`user checker lacks a permission at ${server.address}`);
    expect(message).toContain(violation);
    expect(message).toContain("The check needs publish on $JS.API.STREAM.INFO.NOETL_COMMANDS");
  });
});

describe("through a cluster", () => {
  type Answer = { status: number; body?: unknown };

  /** An API server that answers as told; what is not told is 404. Port-forwards are answered with `upgrade`. */
  async function apiServer(answers: Record<string, Answer>, upgrade = 404): Promise<string> {
    const server = http.createServer((request, response) => {
      const { status, body } = answers[request.url ?? ""] ?? { status: 404 };
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body ?? {}));
    });
    server.on("upgrade", (_request, socket) => socket.end(`HTTP/1.1 ${upgrade} No\r\ncontent-length: 0\r\n\r\n`));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    cleanups.push(() => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    });
    return `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`;
  }

  const kubeconfig = (server: string): string =>
    JSON.stringify({
      "current-context": "test",
      // The client library speaks plain http only where certificates are not verified.
      clusters: [{ name: "test", cluster: { server, "insecure-skip-tls-verify": true } }],
      users: [{ name: "deployer", user: { token: WRONG } }],
      contexts: [{ name: "test", context: { cluster: "test", user: "deployer" } }],
    });

  const inputs = (connection: ContractArguments["connection"]): ContractInputs =>
    withDefaults({ connection, timeoutSeconds: 3 });

  // It takes a busy machine a while to load.
  beforeAll(() => import("@kubernetes/client-node/dist/portforward.js"));

  const SERVICE = "/api/v1/namespaces/nats/services/nats";
  const PODS = "/api/v1/namespaces/nats/pods?labelSelector=app%3Dnats";
  const service = { status: 200, body: { spec: { selector: { app: "nats" } } } };
  const pods = (status: string): Answer => ({
    status: 200,
    body: {
      items: [
        {
          metadata: { name: "nats-0" },
          status: {
            phase: "Running",
            conditions: [{ type: "Ready", status }],
            containerStatuses: [{ name: "nats", state: { waiting: { reason: "CrashLoopBackOff", message: WRONG } } }],
          },
        },
      ],
    },
  });

  it.each<[string, ConnectProblem, Record<string, Answer>, number, string]>([
    ["no Service", "no-pod", {}, 0, "there is no Service nats/nats: is NATS deployed there?"],
    [
      "no pod behind the Service",
      "no-pod",
      { [SERVICE]: service, [PODS]: { status: 200, body: { items: [] } } },
      0,
      "there is no pod behind Service nats/nats (app=nats)",
    ],
    [
      "no ready pod",
      "pod-not-ready",
      { [SERVICE]: service, [PODS]: pods("False") },
      0,
      "no pod of NATS in namespace nats is ready: nats-0 is Running, container nats: CrashLoopBackOff",
    ],
    [
      "a login that is not accepted",
      "cluster-login",
      { [SERVICE]: { status: 401 } },
      0,
      "does not accept the kubeconfig's login",
    ],
    [
      "no right to list pods",
      "forbidden",
      { [SERVICE]: service, [PODS]: { status: 403 } },
      0,
      "the kubeconfig's user deployer may not list the pods of namespace nats: its role needs list on pods",
    ],
    [
      "no right to forward",
      "forbidden",
      { [SERVICE]: service, [PODS]: pods("True") },
      403,
      "the kubeconfig's user deployer may not open a port-forward to pod nats/nats-0: its role needs create and get on pods/portforward",
    ],
    [
      "a pod that is gone by then",
      "no-pod",
      { [SERVICE]: service, [PODS]: pods("True") },
      404,
      "there is no pod nats/nats-0",
    ],
  ])("says so: %s", async (_name, problem, answers, upgrade, message) => {
    const server = await apiServer(answers, upgrade);
    expect(await problemOf(problem, inputs({ kubeconfig: kubeconfig(server) }))).toContain(message);
  });

  describe("the look of a preview and of an update", () => {
    /** Whether the resource changes, and what is said. */
    async function looked(kubeconfig: string, preview: boolean): Promise<{ changes?: boolean; said: string[] }> {
      const said: string[] = [];
      const console = vi.spyOn(globalThis.console, "error").mockImplementation((line: string) => void said.push(line));
      try {
        const { inputs: news = {} } = check({}, { connection: { kubeconfig }, run: { preview, urn: "urn" } });
        return { ...(await diff("id", { ...news, holds: true, differences: {} }, news)), said };
      } finally {
        console.mockRestore();
      }
    }

    it("finds that the cluster lacks what the state has, and names --refresh", async () => {
      const empty = kubeconfig(await apiServer({}));
      const { changes, said } = await looked(empty, true);
      expect(changes).toBe(true);
      expect(said).toEqual([
        expect.stringMatching(/there is no Service nats\/nats.*`pulumi up --refresh` finds what is/),
      ]);
      const { inputs: news = {} } = check({}, { connection: { kubeconfig: empty } });
      const { message } = await rejection(
        update("id", { ...news, holds: true, differences: {} }, { ...news, strict: true }),
      );
      expect(message).toMatch(/there is no Service nats\/nats.*`pulumi up --refresh`/);
    });

    it("takes a NATS that does not run for one on which the contract does not hold", async () => {
      const waiting = kubeconfig(await apiServer({ [SERVICE]: service, [PODS]: pods("False") }));
      const { changes, said } = await looked(waiting, true);
      expect(changes).toBe(true);
      expect(said).toEqual([expect.stringContaining("container nats: CrashLoopBackOff")]);
    });

    it.each<[string, Record<string, Answer>, number, string]>([
      ["may not read", { [SERVICE]: { status: 403 } }, 0, "its role needs get on services"],
      [
        "may not forward",
        { [SERVICE]: service, [PODS]: pods("True") },
        403,
        "its role needs create and get on pods/portforward",
      ],
      ["is not accepted", { [SERVICE]: { status: 401 } }, 0, "does not accept the kubeconfig's login"],
    ])(
      "with a login that %s, says so in one line and lets the preview pass",
      async (_name, answers, upgrade, words) => {
        const server = kubeconfig(await apiServer(answers, upgrade));
        const preview = await looked(server, true);
        expect(preview.changes).toBe(false);
        expect(preview.said).toEqual([expect.stringContaining(words)]);
        expect(preview.said[0]).not.toContain("\n");
        expect(await looked(server, false)).toEqual({ changes: true, said: [] });
      },
    );

    it("does not wait for an API server that is silent", async () => {
      const listener = net.createServer((socket) => void socket.on("error", () => socket.destroy()).resume());
      await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
      cleanups.push(() => new Promise((resolve) => listener.close(resolve)));
      const silent = kubeconfig(`http://127.0.0.1:${(listener.address() as net.AddressInfo).port}`);
      const milliseconds = await elapsed(async () => {
        expect(await looked(silent, true)).toEqual({
          changes: false,
          said: [expect.stringContaining("waited 2 s for")],
        });
      });
      expect(milliseconds).toBeLessThan(30_000);
    });
  });

  it("names a pod that does not exist", async () => {
    const server = await apiServer({});
    const message = await problemOf("no-pod", inputs({ kubeconfig: kubeconfig(server), pod: "nats-7" }));
    expect(message).toContain("there is no pod nats/nats-7");
  });

  it("says that the cluster cannot be reached", async () => {
    const server = `https://127.0.0.1:${await closedPort()}`;
    const message = await problemOf("cluster-unreachable", inputs({ kubeconfig: kubeconfig(server) }));
    expect(message).toContain(`the Kubernetes API at ${server} cannot be reached`);
    expect(message).toContain("ECONNREFUSED");
  });

  it("says what it waited for when the API server is silent", async () => {
    const listener = net.createServer((socket) => void socket.on("error", () => socket.destroy()).resume());
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    cleanups.push(() => new Promise((resolve) => listener.close(resolve)));
    const server = `http://127.0.0.1:${(listener.address() as net.AddressInfo).port}`;
    const message = await problemOf("no-answer", inputs({ kubeconfig: kubeconfig(server) }));
    expect(message).toContain(`for the Kubernetes API at ${server} to name a ready NATS pod`);
  });

  it("refuses kubeconfigs that cannot work, without quoting them", async () => {
    const broken = `apiVersion: v1\nusers:\n  - token: ${WRONG}\n broken`;
    expect(await problemOf("bad-kubeconfig", inputs({ kubeconfig: broken }))).toBe(
      "the kubeconfig given: it cannot be read as a kubeconfig",
    );
    expect(await problemOf("bad-kubeconfig", inputs({ kubeconfig: "/no/such/file" }))).toBe(
      "kubeconfig /no/such/file: no such file",
    );
    expect(
      await problemOf(
        "bad-kubeconfig",
        inputs({ kubeconfig: kubeconfig("http://127.0.0.1:1"), context: "kind-noetl" }),
      ),
    ).toBe("the kubeconfig given has no context kind-noetl; it has test");
  });
});
