import * as fs from "node:fs";
import { createRequire } from "node:module";
import * as path from "node:path";
import { LocalWorkspace, type PreviewOptions, type Stack } from "@pulumi/pulumi/automation";
import { RetentionPolicy, StorageType } from "nats";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { StreamContract, type StreamContractArgs } from "../../../components/stream-contract";
import * as provider from "../../../components/stream-contract/provider";
import { projectRoot } from "../../../contract/project";
import { STREAM } from "../../../contract/facts";
import { openProject, type Project } from "../../support/engine";
import {
  addConsumer,
  addStream,
  JETSTREAM,
  rejection,
  removeStreams,
  startNatsServer,
  startNoetl,
  until,
  withManager,
  type NatsServer,
} from "../../support/nats";
import { inlineProgram } from "../../../embedded/inline";

const PASSWORD = "Right-Horse.7";
const WRONG = "Wrong-Horse.8";
const LOGIN = { user: "noetl", pass: PASSWORD };
const PACKAGE = "noetl-nats/stream-contract/provider";

const startServer = (port?: number): Promise<NatsServer> =>
  startNatsServer({
    config: `${JETSTREAM}\nauthorization {users: [{user: noetl, password: "${PASSWORD}"}]}`,
    ...(port === undefined ? {} : { port }),
  });

describe("the package", () => {
  it("exports the provider under the name that the stub asks for", () => {
    const fromProject = createRequire(path.join(projectRoot(), "package.json"));
    expect(Object.keys(fromProject(PACKAGE) as object).sort()).toEqual(Object.keys(provider).sort());
  });
});

// The program stands in a project of its own that has the package among its modules, as a user's program does.
describe("a program with a StreamContract, run by the engine", () => {
  let at: Project;
  let server: NatsServer;
  let stack: Stack;
  let args: StreamContractArgs;
  /** All that the engine printed in this file. */
  let printed = "";

  const onOutput = (text: string): void => void (printed += text);
  const state = (): string =>
    fs
      .readdirSync(at.state, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => fs.readFileSync(path.join(entry.parentPath, entry.name), "utf8"))
      .join("\n");
  /** A preview; again where it was cut off after its two seconds, as on a busy machine, and therefore knows nothing of NATS. */
  const preview = (options: PreviewOptions = {}) =>
    until(
      "a preview that asks NATS in time",
      async () => {
        const found = await stack.preview({ onOutput, onError: onOutput, ...options });
        return /could not be asked whether .*: waited for /.test(found.stdout) ? undefined : found;
      },
      120_000,
    );
  const up = async (changes: StreamContractArgs = {}) => {
    args = { ...args, ...changes };
    return stack.up({ onOutput, onError: onOutput });
  };

  beforeAll(async () => {
    server = await startServer();
    at = await openProject("engine");
    args = {
      connection: { servers: [server.address] },
      user: "noetl",
      password: PASSWORD,
      timeoutSeconds: 6,
      triggers: ["one"],
    };
    stack = await LocalWorkspace.createStack(
      {
        stackName: "test",
        projectName: "somebody-elses",
        program: inlineProgram(() => {
          const contract = new StreamContract("contract", args);
          const { holds, report, retention, changes, serverVersion } = contract;
          return Promise.resolve({ holds, report, retention, changes, serverVersion });
        }),
      },
      await at.options(at.folder),
    );
  });

  afterAll(async () => {
    await server.stop();
    fs.rmSync(at.dir, { recursive: true, force: true });
  });

  it("names all bad inputs at preview, and no password", async () => {
    const good = args;
    args = { ...good, password: `${WRONG}\n`, stream: "NOETL.COMMANDS", subject: "noetl..commands", timeoutSeconds: 0 };
    const { message } = await rejection(stack.preview({ onOutput, onError: onOutput }));
    args = good;
    expect(message).toContain("password is more than one line");
    expect(message).toContain("stream is not a JetStream name; allowed is a name without white space and . * > / \\");
    expect(message).toContain("subject is not a NATS subject: it has an empty token");
    expect(message).toContain("timeoutSeconds is smaller than 1; allowed is seconds, 1 to 3600, for example 120");
    expect(message).not.toContain(WRONG);
  });

  it("fails where the stream does not appear in time", async () => {
    const { message } = await rejection(up());
    expect(message).toMatch(
      /violation stream-exists: found no such stream after [\d.]+ s, expected stream NOETL_COMMANDS/,
    );
  });

  it("passes where stream and consumer are as NoETL creates them", async () => {
    await startNoetl(server, {}, LOGIN);
    const { outputs, summary } = await up();
    expect(summary.result).toBe("succeeded");
    expect(outputs).toMatchObject({ holds: { value: true }, report: { value: "" }, retention: { value: "limits" } });
    expect(outputs.serverVersion?.value).toMatch(/^2\./);
  });

  it("changes nothing when nothing changed", async () => {
    const { changeSummary } = await preview();
    expect(changeSummary).toEqual({ same: 2 });
  });

  it("looks at the live contract although nothing changed, and says at preview what an update then fails with", async () => {
    await removeStreams(server, LOGIN);
    const { changeSummary, stdout } = await preview();
    expect(changeSummary).toEqual({ same: 1, update: 1 });
    expect(stdout).toContain("warning: The stream contract of NoETL does not hold: 1 violation.");
    expect(stdout).toContain("violation stream-exists: found no such stream, expected stream NOETL_COMMANDS");
    // It stands with its resource, not with the stack.
    expect(stdout).toMatch(/noetl-nats:StreamContract \(contract\):\s+warning: The stream contract/);
    const { message } = await rejection(up());
    expect(message).toContain("violation stream-exists");
  });

  it("tells a stream that was lost and recreated once", async () => {
    await startNoetl(server, {}, LOGIN);
    const found = await preview();
    expect(found.changeSummary).toEqual({ same: 1, update: 1 });
    expect(found.stdout).toContain("drift stream-lost");
    expect((await up()).outputs.report?.value).toContain("drift stream-lost");
    expect((await preview()).changeSummary).toEqual({ same: 2 });
  });

  it("says in one line at preview that NATS cannot be reached, and fails an update", async () => {
    await server.stop();
    const { changeSummary, stdout } = await preview();
    expect(changeSummary).toEqual({ same: 2 });
    const lines = stdout.slice(stdout.indexOf("Diagnostics:")).split("\n");
    expect(lines.filter((line) => line.includes("warning: NATS"))).toEqual([
      `    warning: NATS could not be asked whether the stream contract holds: ${server.address} refuses the connection ` +
        "(ECONNREFUSED): is NATS running there?",
    ]);
    const { message } = await rejection(up());
    expect(message).toContain(`${server.address} refuses the connection (ECONNREFUSED)`);
    server = await startServer(server.port);

    await startNoetl(server, {}, LOGIN);
    await up();
  });

  it("checks again when a trigger changes, and passes with a warning on drift", async () => {
    await removeStreams(server, LOGIN);
    await startNoetl(server, { stream: { storage: StorageType.File } }, LOGIN);
    const { summary, stdout } = await up({ triggers: ["two"] });
    expect(summary.resourceChanges).toEqual({ same: 1, update: 1 });
    expect(stdout).toContain("warning: NoETL works, but its stream contract has drifted: 1 difference.");
    expect(stdout).toContain("drift stream-storage: found file, expected memory");
  });

  it("fails on drift where it is strict", async () => {
    const { message } = await rejection(up({ strict: true }));
    expect(message).toContain("drift stream-storage: found file, expected memory");
    await up({ strict: false });
  });

  it("fails on a wrong password without printing it", async () => {
    const { message } = await rejection(up({ password: WRONG }));
    expect(message).toContain(`NATS at ${server.address} does not accept the password of user noetl`);
    await up({ password: PASSWORD });
  });

  it("fails on a violation with what was found and expected, what breaks and how to fix it", async () => {
    await removeStreams(server, LOGIN);
    await withManager(server, (manager) => addStream(manager, { retention: RetentionPolicy.Workqueue }), LOGIN);
    const { message } = await rejection(up({ triggers: ["three"] }));
    expect(message).toContain("The stream contract of NoETL does not hold: 2 violations.");
    expect(message).toContain("violation stream-retention: found workqueue, expected limits");
    expect(message).toContain("consumer must be deliver all on workqueue stream");
    expect(message).toContain(`nats --server ${server.address} stream rm NOETL_COMMANDS -f`);
    expect(message).toContain("kubectl -n noetl rollout restart deploy/noetl-server deploy/noetl-worker");
  });

  it("passes when it is fixed and run again", async () => {
    await removeStreams(server, LOGIN);
    await startNoetl(server, {}, LOGIN);
    const { summary } = await up();
    expect(summary.resourceChanges).toEqual({ same: 1, update: 1 });
    expect((await preview()).changeSummary).toEqual({ same: 2 });
  });

  it("shows drift field by field at a refresh, a lost stream too", async () => {
    await withManager(
      server,
      async (manager) => {
        await manager.streams.delete(STREAM.name);
        await addStream(manager, { retention: RetentionPolicy.Interest, no_ack: true });
        await addConsumer(manager);
      },
      LOGIN,
    );
    const seen = await preview({ refresh: true, diff: true });
    expect(seen.stdout).toMatch(/~ retention +: "limits" +=> "interest"/); // what the refresh found
    expect(seen.stdout).toMatch(/~ streamCreated +: "20.*" => "20/);
  });

  it("keeps at a refresh what it found, and checks again after it", async () => {
    const refreshed = await stack.refresh({ onOutput, onError: onOutput });
    expect(refreshed.summary.resourceChanges).toEqual({ same: 1, update: 1 });
    expect((await stack.outputs()).retention?.value).toBe("limits"); // outputs of the program change with the next update
    const found = await preview({ diff: true });
    expect(found.changeSummary).toEqual({ same: 1, update: 1 });
    expect(found.stdout).toMatch(/~ retention +: "interest" => "limits"/);
    expect(found.stdout).not.toMatch(/~ storage/);
    expect(found.stdout).toMatch(/- stream-acks *: "no_ack; expected: acknowledges"/);
    expect(found.stdout).toMatch(/- stream-lost *: "created 20.*; expected: created 20/);
    const { message } = await rejection(up());
    expect(message).toContain("violation stream-retention: found interest, expected limits");
  });

  it("reports a lost stream at a refresh as drift, not as an error", async () => {
    await removeStreams(server, LOGIN);
    const { summary } = await stack.refresh({ onOutput, onError: onOutput });
    expect(summary.result).toBe("succeeded");
    expect(JSON.stringify(await stack.exportStack())).toContain("stream-exists");
    await startNoetl(server, {}, LOGIN);
    expect((await up()).outputs.holds?.value).toBe(true);
  });

  it("in mode ensure puts the stream in place before anybody else, and says what it did", async () => {
    await removeStreams(server, LOGIN);
    const { outputs } = await up({ mode: "ensure", gateway: { password: PASSWORD, user: "noetl" } });
    expect(outputs.changes?.value).toEqual([
      "create bucket sessions",
      "create bucket requests",
      "create stream NOETL_COMMANDS",
      "create consumer noetl_worker_pool",
    ]);
    expect(outputs.holds?.value).toBe(true);
    await stack.refresh({ onOutput });
    expect((await preview()).changeSummary).toEqual({ same: 2 });
  });

  it("deletes nothing in NATS", async () => {
    await stack.destroy({ onOutput, onError: onOutput });
    const created = await withManager(server, (manager) => manager.streams.info(STREAM.name), LOGIN);
    expect(created.config.name).toBe(STREAM.name);
  });

  it("has left no password in the state or on the screen", () => {
    const kept = state();
    const places = Object.entries({ kept, printed });
    expect(places.filter(([, text]) => text.includes(PASSWORD) || text.includes(WRONG)).map(([name]) => name)).toEqual(
      [],
    );
    // Both were really looked at.
    expect(kept.includes('"ciphertext"') && kept.includes("StreamContract")).toBe(true);
    expect(printed.includes("StreamContract")).toBe(true);
  });
});
