import { spawn, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { DeliverPolicy, type ConnectionOptions, type NatsConnection, type NatsError } from "nats";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { checkContract, ensureContract, withDefaults } from "../../../contract";
import { bucketStream } from "../../../contract/buckets";
import { Deadline } from "../../../contract/deadline";
import { gatewayEnvironment } from "../../../contract/env";
import { CONSUMER, GATEWAY, natsUrl, STREAM } from "../../../contract/facts";
import { GUARD_INBOX, GUARD_USER, guardPermissions } from "../../../contract/guard/permissions";
import type { ContractInputs } from "../../../contract/inputs";
import { openSession } from "../../../contract/nats/connect";
import {
  NATS_ROLES,
  type NatsRole,
  OPERATOR_INBOX,
  OPERATOR_USER,
  operatorActs,
  operatorPermissions,
  roleActs,
  roleInbox,
  rolePermissions,
  roleUser,
} from "../../../contract/nats/roles";
import type { Session } from "../../../contract/nats/session";
import { type Login, usersText } from "../../../contract/nats/users";
import { projectRoot } from "../../../contract/project";
import { ensureGateway } from "../../../embedded/toolchain/gateway";
import { ensureNoetl } from "../../../embedded/toolchain/noetl";
import { clientReleases, ensureNoetlClient } from "../../../embedded/toolchain/noetl-client";
import { NOETL_SERVER_ENV } from "../../support/noetl-client";
import {
  closedPort,
  inputsFor,
  natsClient,
  natsCommand,
  removeStreams,
  startNatsServer,
  until,
  type NatsServer,
} from "../../support/nats";

const DRIVER = path.join(__dirname, "..", "noetl-client.py");
const INSTALL_TIMEOUT_MS = 300_000;
/** May everything, as natsUser. */
const ADMIN = "admin-Password.1";
const admin: ConnectionOptions = { user: "admin", pass: ADMIN };

/** The contract of a NoETL with a gateway, by release. */
const LINES = { "2.8.9": "2.8", "2.29.0": "2.10", "4.26.0": "4.7" } as const;
const inputsOf = (release: keyof typeof LINES): ContractInputs =>
  withDefaults({ noetlLine: LINES[release], gateway: {} });

type User = NatsRole | "guard" | "operator";
const passwordOf = (user: User): string => `${user}-Password.2`;
const OTHERS = { guard: [GUARD_USER, GUARD_INBOX], operator: [OPERATOR_USER, OPERATOR_INBOX] } as const;
const nameOf = (user: User): string => (user in OTHERS ? OTHERS[user as "guard"][0] : roleUser(user as NatsRole));
const inboxOf = (user: User): string => (user in OTHERS ? OTHERS[user as "guard"][1] : roleInbox(user as NatsRole));

/** As the servers' pods get it. */
function config(inputs: ContractInputs): string {
  const logins: Login[] = [
    { user: "admin", password: ADMIN },
    ...NATS_ROLES.map((role) => ({
      user: roleUser(role),
      password: passwordOf(role),
      permissions: rolePermissions(role, inputs),
    })),
    { user: GUARD_USER, password: passwordOf("guard"), permissions: guardPermissions(inputs, "heal") },
    { user: OPERATOR_USER, password: passwordOf("operator"), permissions: operatorPermissions(inputs) },
  ];
  return `max_payload: 1048576
jetstream: {store_dir: "DIR/jetstream", max_memory_store: 64MB, max_file_store: 2GB}
authorization { ${usersText(logins)} }`;
}

let server: NatsServer;
beforeAll(async () => {
  server = await startNatsServer({ config: config(inputsOf("2.8.9")) });
});
afterAll(() => server.stop());

const urlOf = (role: NatsRole): string =>
  natsUrl({ user: roleUser(role), password: passwordOf(role), host: "127.0.0.1", port: server.port });

describe.each(clientReleases() as (keyof typeof LINES)[])("NoETL %s, each part with a user of its own", (release) => {
  beforeAll(async () => {
    await ensureNoetlClient(release);
    await server.reload(config(inputsOf(release)));
  }, INSTALL_TIMEOUT_MS);
  beforeEach(() => removeStreams(server, admin));

  /** Server or worker, as its pod runs it: its own login, and the chart's module before NoETL's. */
  async function part(role: "server" | "worker") {
    // All of NoETL, where it is installed: with what it keeps states and results with.
    const { python, modules } =
      release === "2.8.9"
        ? { python: (await ensureNoetl(release)).python, modules: "" }
        : await ensureNoetlClient(release);
    const child = spawn(python, ["-B", DRIVER, "3", role], {
      env: {
        PATH: process.env.PATH,
        ...NOETL_SERVER_ENV,
        PYTHONPATH: [path.join(projectRoot(), "charts", "noetl", "files"), modules].filter(Boolean).join(":"),
        NATS_URL: urlOf(role),
        NATS_USER: roleUser(role),
        NATS_PASSWORD: passwordOf(role),
        NATS_INBOX_PREFIX: roleInbox(role),
        ...(release === "2.8.9" ? {} : { NOETL_EVENT_MIRROR_ENABLED: "true" }),
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const said = { out: "", err: "" };
    child.stdout.setEncoding("utf8").on("data", (text: string) => (said.out += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (said.err += text));
    const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
    return {
      says: (line: string) =>
        until(
          line,
          () => {
            if (child.exitCode !== null)
              throw new Error(`${role} ended with ${child.exitCode}:\n${said.out}${said.err}`);
            return said.out.includes(line) || undefined;
          },
          90_000,
        ),
      result: async () => {
        await ended;
        expect({ role, exit: child.exitCode, err: child.exitCode === 0 ? "" : said.err }).toEqual({
          role,
          exit: 0,
          err: "",
        });
        return JSON.parse(said.out.trim().split("\n").at(-1) ?? "") as { received: unknown[]; stored: string[] };
      },
    };
  }

  it("has the worker make stream and consumer, and get what the server announces", async () => {
    const worker = await part("worker");
    await worker.says("subscribed");
    const announcing = await part("server");
    const [got, kept] = [await worker.result(), await announcing.result()];
    expect(got.received).toHaveLength(3);
    if (release === "2.8.9") expect([got.stored, kept.stored]).toEqual([["results"], ["results", "states"]]);
    const login = (role: NatsRole) => ({
      user: roleUser(role),
      password: passwordOf(role),
      inbox: roleInbox(role),
    });
    const noetlLogin = { ...login("server"), worker: login("worker") };
    const terms = { user: "admin", password: ADMIN, noetlLogin, noetlLine: LINES[release], strict: true };
    expect((await checkContract(inputsFor(server, terms))).report).toBe("");
    // It tries with each what that one does, and names the one that is refused.
    const report = async (changed: object) =>
      (await checkContract(inputsFor(server, { ...terms, noetlLogin: { ...noetlLogin, ...changed } }))).report;
    expect(await report({ worker: { ...login("worker"), password: "old" } })).toContain("user noetl-worker");
    expect(await report(login("worker"))).toMatch(/Permissions Violation for Publish to "noetl\.commands/);
    expect(await report({ worker: login("server") })).toMatch(
      /Permissions Violation for Publish to "\$JS\.API\.CONSUMER\./,
    );
  });
});

describe("NoETL's gateway itself, with a user of its own", () => {
  const inputs = inputsOf("2.8.9");
  let child: ChildProcess | undefined;
  beforeAll(() => server.reload(config(inputs)));
  beforeEach(() => removeStreams(server, admin));
  afterEach(async () => {
    if (child === undefined) return;
    const ended = new Promise((resolve) => child?.once("close", resolve));
    child.kill("SIGKILL");
    await ended;
  });

  it("makes its buckets, and the contract holds for its login and what it writes", async () => {
    await ensureContract(inputsFor(server, { user: "admin", password: ADMIN, mode: "ensure" }));
    const port = await closedPort();
    child = spawn(await ensureGateway(), {
      env: {
        PATH: process.env.PATH,
        NOETL_BASE_URL: "http://127.0.0.1:9",
        GATEWAY_BIND: "127.0.0.1",
        ROUTER_PORT: String(port),
        ...gatewayEnvironment<string>({
          url: urlOf("gateway"),
          subjects: GATEWAY,
          corsAllowedOrigins: ["https://gui.test"],
        }),
      },
      stdio: "ignore",
    });
    const gateway = { user: roleUser("gateway"), password: passwordOf("gateway") };
    const terms = { user: "admin", password: ADMIN, gateway, strict: true };
    await until("the gateway's buckets", async () => {
      const { holds } = await checkContract(inputsFor(server, terms));
      return holds || undefined;
    });
    const connection = await natsClient(server, { user: roleUser("gateway"), pass: passwordOf("gateway") });
    try {
      const sessions = await connection.jetstream().views.kv(GATEWAY.sessionBucket, { bindOnly: true });
      await sessions.put("token", "somebody");
      expect((await sessions.get("token"))?.string()).toBe("somebody");
      const keys: string[] = [];
      for await (const key of await sessions.keys()) keys.push(key);
      expect(keys).toEqual(["token"]);
      await sessions.delete("token");
    } finally {
      await connection.close();
    }
  });
});

describe("what each may, as a table", () => {
  const inputs = inputsOf("2.8.9");
  const [SESSIONS, REQUESTS] = [GATEWAY.sessionBucket, GATEWAY.requestBucket];
  const sessions = new Map<User, Session>();

  beforeAll(async () => {
    await server.reload(config(inputs));
    await removeStreams(server, admin);
    await ensureContract(inputsFor(server, { user: "admin", password: ADMIN, gateway: {}, mode: "ensure" }));
    for (const user of [...NATS_ROLES, "guard", "operator"] as const) {
      const login = inputsFor(server, { user: nameOf(user), password: passwordOf(user) });
      const inboxPrefix = inboxOf(user);
      sessions.set(user, await openSession(login, new Deadline(20_000), { inboxPrefix }));
    }
  });
  afterAll(async () => {
    for (const session of sessions.values()) await session.close();
  });

  const sessionOf = (user: User): Session => {
    const session = sessions.get(user);
    if (session === undefined) throw new Error(`${user} has not logged in`);
    return session;
  };
  const mayPublish = async (user: User, subject: string): Promise<boolean> =>
    (await sessionOf(user).publishRefusals([{ subject, body: "" }], new Deadline(20_000)))[0] === undefined;
  const mayHear = async (user: User, subject: string): Promise<boolean> =>
    (await sessionOf(user).listenRefusals([subject], new Deadline(20_000)))[0] === undefined;

  const COMMAND = `${STREAM.name}.${CONSUMER.name}`;
  const ALL = ["server", "worker", "gateway", "guard"] as const;
  const NOETL = ["server", "worker"] as const;
  const api = (request: string): string => `$JS.API.${request}`;

  /** Forbidden: who, what it would come to, and the subject on which it is asked for. */
  const PUBLISHED: readonly (readonly [users: readonly User[], what: string, subject: string])[] = [
    [["worker", "gateway", "guard"], "forge a command", STREAM.subject],
    [["worker", "gateway", "guard"], "forge a command of a pool", `${STREAM.subject}.shared.7`],
    [ALL, "delete the command stream", api(`STREAM.DELETE.${STREAM.name}`)],
    [ALL, "empty the command stream", api(`STREAM.PURGE.${STREAM.name}`)],
    [ALL, "delete one command", api(`STREAM.MSG.DELETE.${STREAM.name}`)],
    [ALL, "change the command stream", api(`STREAM.UPDATE.${STREAM.name}`)],
    [ALL, "read a command beside the consumer", api(`STREAM.MSG.GET.${STREAM.name}`)],
    [ALL, "read a command directly", api(`DIRECT.GET.${STREAM.name}`)],
    [ALL, "follow the commands with a consumer that ends with it", api(`CONSUMER.CREATE.${STREAM.name}`)],
    [ALL, "follow the commands with a named consumer", api(`CONSUMER.CREATE.${STREAM.name}.spy.${STREAM.subject}`)],
    [ALL, "follow the commands with another durable consumer", api(`CONSUMER.DURABLE.CREATE.${STREAM.name}.spy`)],
    [ALL, "copy the command stream to a file", api(`STREAM.SNAPSHOT.${STREAM.name}`)],
    [ALL, "put another stream in its place", api(`STREAM.RESTORE.${STREAM.name}`)],
    [ALL, "have the stream's leader step down", api(`STREAM.LEADER.STEPDOWN.${STREAM.name}`)],
    [ALL, "take a server out of the stream", api(`STREAM.PEER.REMOVE.${STREAM.name}`)],
    [ALL, "have the consumer's leader step down", api(`CONSUMER.LEADER.STEPDOWN.${COMMAND}`)],
    [ALL, "pause the consumer", api(`CONSUMER.PAUSE.${COMMAND}`)],
    [ALL, "release the consumer's pinned client", api(`CONSUMER.UNPIN.${COMMAND}`)],
    [["server", "gateway", "guard"], "fetch a command", api(`CONSUMER.MSG.NEXT.${COMMAND}`)],
    [["server", "gateway", "guard"], "acknowledge a command", `$JS.ACK.${COMMAND}.1.1.1.1.0`],
    [["server", "gateway", "guard"], "delete the consumer", api(`CONSUMER.DELETE.${COMMAND}`)],
    [["server", "gateway"], "make the consumer", api(`CONSUMER.DURABLE.CREATE.${COMMAND}`)],
    [["gateway"], "make the command stream", api(`STREAM.CREATE.${STREAM.name}`)],
    [["gateway"], "look the command stream up", api(`STREAM.INFO.${STREAM.name}`)],
    [ALL, "make a stream of its own, which fills the store", api("STREAM.CREATE.HOARD")],
    [ALL, "make a bucket of its own", api("STREAM.CREATE.KV_hoard")],
    [ALL, "list all streams", api("STREAM.LIST")],
    [ALL, "list the consumers of the commands", api(`CONSUMER.LIST.${STREAM.name}`)],
    [[...NOETL, "guard"], "read a session", api(`DIRECT.GET.KV_${SESSIONS}.$KV.${SESSIONS}.token`)],
    [[...NOETL, "guard"], "read a session by its number", api(`STREAM.MSG.GET.KV_${SESSIONS}`)],
    [[...NOETL, "guard"], "follow the sessions", api(`CONSUMER.CREATE.KV_${SESSIONS}`)],
    [[...NOETL, "guard"], "forge a session", `$KV.${SESSIONS}.token`],
    [[...NOETL, "guard"], "read a request", api(`DIRECT.GET.KV_${REQUESTS}.$KV.${REQUESTS}.one`)],
    [[...NOETL, "guard"], "answer a browser's request with another's", `$KV.${REQUESTS}.one`],
    [[...NOETL, "gateway", "guard"], "delete the sessions", api(`STREAM.DELETE.KV_${SESSIONS}`)],
    [[...NOETL, "gateway", "guard"], "empty the sessions", api(`STREAM.PURGE.KV_${SESSIONS}`)],
    [["gateway", "guard"], "read a result", api("DIRECT.GET.KV_noetl_result_store.$KV.noetl_result_store.one")],
    [["gateway", "guard"], "write a result", "$KV.noetl_result_store.one"],
    [["gateway", "guard"], "read a large result", api("CONSUMER.CREATE.OBJ_noetl_result_objects")],
    [["gateway", "guard"], "write a large result", "$O.noetl_result_objects.C.one"],
    [["worker", "gateway", "guard"], "read the state of an execution", api("STREAM.MSG.GET.KV_noetl_execution_state")],
    [["worker", "gateway", "guard"], "write the state of an execution", "$KV.noetl_execution_state.exec.7.loop"],
    [ALL, "delete all results", api("STREAM.DELETE.KV_noetl_result_store")],
    [ALL, "delete the states of executions", api("STREAM.DELETE.KV_noetl_execution_state")],
    [ALL, "empty the bucket of results", api("STREAM.PURGE.KV_noetl_result_store")],
    [ALL, "delete all large results", api("STREAM.DELETE.OBJ_noetl_result_objects")],
    [ALL, "forge a callback to a browser", `${GATEWAY.callbackSubjectPrefix}.one`],
    [ALL, "forge an update to a browser", `${GATEWAY.updatesSubjectPrefix}7`],
    [ALL, "answer in JetStream's name", "_INBOX.somebody.1"],
    [ALL, "answer the workers in JetStream's name", `${roleInbox("worker")}.one.1`],
    [ALL, "use whatever else there is", "orders.created"],
    [ALL, "ask the account for all there is", api("ACCOUNT.PURGE.$G")],
    [ALL, "ask a server of the system account", "$SYS.REQ.SERVER.PING.CONNZ"],
    [["gateway"], "ask whose stream takes a subject", api("STREAM.NAMES")],
  ];

  it.each(PUBLISHED.flatMap(([users, ...rest]) => users.map((user) => [user, ...rest] as const)))(
    "%s may not %s",
    async (user, _what, subject) => expect(await mayPublish(user, subject)).toBe(false),
  );

  /** Forbidden: who, what it would come to, and what it would listen on. */
  const HEARD: typeof PUBLISHED = [
    [["worker", "gateway", "guard", "server"], "hear commands beside the stream", STREAM.subject],
    [ALL, "hear everything", ">"],
    [[...NOETL, "guard"], "hear answers to others, sessions among them", "_INBOX.>"],
    [["server", "gateway", "guard"], "hear the commands that workers fetch", `${roleInbox("worker")}.>`],
    [["worker", "gateway", "guard"], "hear the answers to the server", `${roleInbox("server")}.>`],
    [NATS_ROLES, "hear the answers to the guard", `${GUARD_INBOX}.>`],
    [[...NOETL, "guard"], "hear sessions as they are stored", `$KV.${SESSIONS}.>`],
    [["gateway", "guard"], "hear results as they are stored", "$KV.noetl_result_store.>"],
    [[...NOETL, "guard"], "hear callbacks", `${GATEWAY.callbackSubjectPrefix}.>`],
    [ALL, "hear requests of others to JetStream", "$JS.API.>"],
    [NATS_ROLES, "hear advisories", "$JS.EVENT.ADVISORY.>"],
    [ALL, "hear acknowledgements", "$JS.ACK.>"],
    [ALL, "hear of the system account", "$SYS.>"],
  ];

  it.each(HEARD.flatMap(([users, ...rest]) => users.map((user) => [user, ...rest] as const)))(
    "%s may not %s",
    async (user, _what, subject) => expect(await mayHear(user, subject)).toBe(false),
  );

  it.each([
    ["acknowledge a command", `$JS.ACK.${COMMAND}.1.1.1.1.0`],
    ["forge a callback to a browser", `${GATEWAY.callbackSubjectPrefix}.one`],
    ["forge an update to a browser", `${GATEWAY.updatesSubjectPrefix}7`],
    ["answer in JetStream's name", "_INBOX.somebody.1"],
    ["answer the workers in JetStream's name", `${roleInbox("worker")}.one.1`],
    ["use whatever else there is", "orders.created"],
    ["ask a server of the system account", "$SYS.REQ.SERVER.PING.CONNZ"],
  ])("operator may not %s", async (_what, subject) => expect(await mayPublish("operator", subject)).toBe(false));

  it.each(HEARD)("operator may not, as %s, %s", async (_users, _what, subject) =>
    expect(await mayHear("operator", subject)).toBe(false),
  );

  it.each(operatorActs(inputs).map((act) => [act.what, act] as const))(
    "operator may %s",
    async (_what, { publish = [], subscribe = [] }) => {
      for (const subject of publish)
        expect([subject, await mayPublish("operator", subject.replace(/>$/, "one"))]).toEqual([subject, true]);
      for (const subject of subscribe) expect([subject, await mayHear("operator", subject)]).toEqual([subject, true]);
    },
  );

  it("has more than 40 forbidden acts for those who run code of others, none of which is in the table of roles", () => {
    const forbidden = (user: User) => [...PUBLISHED, ...HEARD].filter(([users]) => users.includes(user)).length;
    expect(NATS_ROLES.map((role) => forbidden(role) >= 40)).toEqual([true, true, true]);
  });

  it.each(NATS_ROLES.flatMap((role) => roleActs(role, inputs).map((act) => [role, act.what, act] as const)))(
    "%s may %s",
    async (role, _what, { publish = [], subscribe = [] }) => {
      const literal = (subject: string): string => subject.replace(/\*/g, "one").replace(/>$/, "one");
      for (const subject of publish)
        expect([subject, await mayPublish(role, literal(subject))]).toEqual([subject, true]);
      for (const subject of subscribe) expect([subject, await mayHear(role, subject)]).toEqual([subject, true]);
    },
  );
});

describe("the command nats in nats-box, with a user of its own", () => {
  it("does what remedies have it do, with the inbox that its context names", async () => {
    await server.reload(config(inputsOf("2.8.9")));
    await removeStreams(server, admin);
    await ensureContract(inputsFor(server, { user: "admin", password: ADMIN, gateway: {}, mode: "ensure" }));
    const home = fs.mkdtempSync(path.join(os.tmpdir(), "nats-box-"));
    const contexts = path.join(home, "nats", "context");
    fs.mkdirSync(contexts, { recursive: true });
    // As the chart makes it of its values.
    const context = { url: `nats://${server.address}`, inbox_prefix: OPERATOR_INBOX };
    fs.writeFileSync(path.join(contexts, "default.json"), JSON.stringify(context));
    fs.writeFileSync(path.join(home, "nats", "context.txt"), "default");
    const env = { XDG_CONFIG_HOME: home, NATS_USER: OPERATOR_USER, NATS_PASSWORD: passwordOf("operator") };
    const run = (command: string) => natsCommand(`nats ${command}`, env);
    try {
      expect(await run("stream ls --names")).toContain(STREAM.name);
      await run(`stream edit ${STREAM.name} --max-age 1800s -f`);
      await run(`pub --jetstream ${STREAM.subject} '{}'`);
      expect(await run(`stream get ${STREAM.name} --last-for ${STREAM.subject}`)).toContain("{}");
      await run(`kv put ${GATEWAY.sessionBucket} token somebody`);
      expect(await run(`kv get ${GATEWAY.sessionBucket} token --raw`)).toContain("somebody");
      await run(`consumer rm ${STREAM.name} ${CONSUMER.name} -f`);
      await run(`stream rm ${STREAM.name} -f`);
      expect(await run("stream ls --names")).not.toContain(STREAM.name);
    } finally {
      fs.rmSync(home, { recursive: true });
    }
  });
});

describe("what remains possible, as docs/security.md says", () => {
  beforeAll(() => server.reload(config(inputsOf("2.8.9"))));
  beforeEach(async () => {
    await removeStreams(server, admin);
    await ensureContract(inputsFor(server, { user: "admin", password: ADMIN, gateway: {}, mode: "ensure" }));
  });

  const as = (role: NatsRole) =>
    natsClient(server, { user: roleUser(role), pass: passwordOf(role), inboxPrefix: roleInbox(role) });
  const commands = async (): Promise<number> => {
    const connection = await natsClient(server, admin);
    try {
      return (await (await connection.jetstreamManager()).streams.info(STREAM.name)).state.messages;
    } finally {
      await connection.close();
    }
  };

  it("a command that the server's login forges", async () => {
    const connection = await as("server");
    const before = await commands();
    await connection.jetstream().publish(STREAM.subject, "{}");
    expect(await commands()).toBe(before + 1);
    await connection.close();
  });

  /** What a bucket or a store of the role's own keeps: the role writes it, and NATS hands it to whomever it is told. */
  const OWN = {
    server: { stream: "KV_noetl_result_store", subject: "$KV.noetl_result_store.one" },
    worker: { stream: "KV_noetl_result_store", subject: "$KV.noetl_result_store.one" },
    gateway: { stream: bucketStream(GATEWAY.requestBucket), subject: `$KV.${GATEWAY.requestBucket}.one` },
  } as const;
  const keep = async (connection: NatsConnection, role: NatsRole, text: string): Promise<void> => {
    const { stream, subject } = OWN[role];
    const config = { name: stream, subjects: [subject.replace("one", ">")], allow_direct: true };
    await connection.request(`$JS.API.STREAM.CREATE.${stream}`, JSON.stringify(config));
    await connection.jetstream().publish(subject, text);
  };

  it.each(NATS_ROLES)("a command that the %s's login has NATS send as an answer", async (role) => {
    const connection = await as(role);
    const before = await commands();
    await keep(connection, role, "{}");
    const { stream, subject } = OWN[role];
    connection.publish(`$JS.API.DIRECT.GET.${stream}.${subject}`, "", { reply: STREAM.subject });
    await until("the command", async () => (await commands()) > before || undefined);
    await connection.close();
  });

  it.each(NATS_ROLES)("the stream that the %s's login has NATS delete by such an answer", async (role) => {
    const connection = await as(role);
    await keep(connection, role, "");
    const { stream, subject } = OWN[role];
    connection.publish(`$JS.API.DIRECT.GET.${stream}.${subject}`, "", {
      reply: `$JS.API.STREAM.DELETE.${STREAM.name}`,
    });
    await until("the end of the stream", () =>
      commands().then(
        () => undefined,
        (error: NatsError) => error.api_error?.err_code === 10059 || undefined,
      ),
    );
    await connection.close();
  });

  it("sessions that a worker's login has NATS deliver to it", async () => {
    const [connection, administrator] = [await as("worker"), await natsClient(server, admin)];
    await administrator.jetstream().publish(`$KV.${GATEWAY.sessionBucket}.token`, "somebody");
    const heard = connection.subscribe(`${roleInbox("worker")}.spy`, { max: 1 });
    const stream_name = bucketStream(GATEWAY.sessionBucket);
    const config = { deliver_policy: "all", ack_policy: "none", deliver_subject: `${roleInbox("worker")}.spy` };
    await keep(connection, "worker", JSON.stringify({ stream_name, config }));
    const { stream, subject } = OWN.worker;
    const reply = `$JS.API.CONSUMER.CREATE.${stream_name}`;
    connection.publish(`$JS.API.DIRECT.GET.${stream}.${subject}`, "", { reply });
    for await (const message of heard) expect(message.string()).toBe("somebody");
    await Promise.all([connection.close(), administrator.close()]);
  });

  it("a message among the commands that the guard's login has NATS send as an answer, and no command of its own", async () => {
    const login = { user: GUARD_USER, pass: passwordOf("guard"), inboxPrefix: GUARD_INBOX };
    const connection = await natsClient(server, login);
    const before = await commands();
    connection.publish("$JS.API.INFO", "", { reply: STREAM.subject });
    await until("the message", async () => (await commands()) > before || undefined);
    await connection.close();
  });

  it("a command that a worker's login has NATS deliver out of its object store", async () => {
    const connection = await as("worker");
    const before = await commands();
    const stream = "OBJ_noetl_result_objects";
    const ask = async (request: string, body: object) =>
      (await connection.request(`$JS.API.${request}`, JSON.stringify(body))).json<{ error?: object }>();
    const subjects = ["$O.noetl_result_objects.>"];
    expect((await ask(`STREAM.CREATE.${stream}`, { name: stream, subjects })).error).toBeUndefined();
    await connection.jetstream().publish("$O.noetl_result_objects.C.one", "{}");
    const consumer = { deliver_policy: DeliverPolicy.All, ack_policy: "none", deliver_subject: STREAM.subject };
    expect((await ask(`CONSUMER.CREATE.${stream}`, { stream_name: stream, config: consumer })).error).toBeUndefined();
    await until("the command", async () => (await commands()) > before || undefined);
    await connection.close();
  });
});
