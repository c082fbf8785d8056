import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { LocalWorkspace, type Stack } from "@pulumi/pulumi/automation";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { guardGateway, guardNoetl, guardServers } from "../../../components/stream-contract/hooks";
import { projectRoot, RELEASE } from "../../../contract/project";
import { openEngine, type Engine } from "../../../embedded/stack";
import { ensureTools } from "../../../embedded/toolchain";
import { rejection, startGateway, startNatsServer, startNoetl, type NatsServer } from "../../support/nats";
import { inlineProgram } from "../../../embedded/inline";

/** Stands for NoETL: a component with a Helm release, which cannot be installed, because there is no cluster. */
class Component extends pulumi.ComponentResource {
  constructor(opts: pulumi.ComponentResourceOptions, name = "noetl") {
    super("test:index:Component", name, {}, opts);
    const provider = new k8s.Provider(`${name}-cluster`, { kubeconfig: "/no/such/file" });
    new k8s.helm.v3.Release(`${name}-release`, { chart: "./charts/noetl" }, { parent: this, provider });
  }
}

describe("a release of NoETL, run by the engine", () => {
  let dir: string;
  let engine: Engine;
  let server: NatsServer;
  let stack: Stack;
  let stream: string;
  let guard: typeof guardNoetl = guardNoetl;
  let program = (): void => {
    const connection = { servers: [server.address] };
    new Component(guard({}, { connection, stream, gateway: {}, timeoutSeconds: 5 }));
  };
  let printed = "";
  const onOutput = (text: string): void => void (printed += text);

  beforeAll(async () => {
    const tools = await ensureTools(["pulumi", "helm"]);
    dir = fs.mkdtempSync(path.join(os.tmpdir(), "contract-hooks-"));
    engine = await openEngine({ dir, tools });
    server = await startNatsServer();
    await startNoetl(server);
    stack = await LocalWorkspace.createStack(
      {
        stackName: "hooks",
        projectName: "hooks",
        program: inlineProgram(() => {
          program();
          return Promise.resolve({});
        }),
      },
      { workDir: projectRoot(), ...engine.options },
    );
  });
  afterAll(async () => {
    await server.stop();
    await engine.close();
    fs.rmSync(dir, { recursive: true, force: true });
    fs.rmSync(path.join(projectRoot(), "Pulumi.hooks.yaml"), { force: true });
  });

  it("is not touched where NoETL could not work, and the update says why", async () => {
    stream = "RENAMED";
    const { message } = await rejection(stack.up({ onOutput, onError: onOutput }));
    expect(message).toContain("NoETL was left as it is, for it could not work.");
    expect(message).toContain("violation stream-overlap: found NOETL_COMMANDS, expected RENAMED alone");
    // There are no former settings yet.
    expect(message).not.toContain("Then update again");
    expect(message).not.toContain("/no/such/file");
  });

  it("of the gateway goes on there, and is not touched where its own part could not work", async () => {
    guard = guardGateway;
    expect((await rejection(stack.up({ onOutput, onError: onOutput }))).message).toContain("/no/such/file");
    await startGateway(server, { sessions: { no_ack: true } });
    const { message } = await rejection(stack.up({ onOutput, onError: onOutput }));
    guard = guardNoetl;
    expect(message).toContain("The gateway was left as it is, for it could not work.");
    expect(message).toContain("violation bucket-writable of sessions");
    expect(message).not.toContain("/no/such/file");
  });

  it("goes on where nothing stands in the way, or where NATS cannot be asked, which it says", async () => {
    stream = "NOETL_COMMANDS";
    expect((await rejection(stack.up({ onOutput, onError: onOutput }))).message).toContain("/no/such/file");
    await server.stop();
    const { message } = await rejection(stack.up({ onOutput, onError: onOutput }));
    expect(message).toContain("NATS could not be asked before NoETL is deployed");
    expect(message).toContain("/no/such/file");
  });

  it("of NATS has hooks of its own: two in one program, and those that somebody else has bound", async () => {
    const called: string[] = [];
    const bound = new Map<string, pulumi.ResourceHookBinding | undefined>();
    // One binding for both, which nobody else may write into.
    const hooks: pulumi.ResourceHookBinding = { beforeCreate: [({ name }) => void called.push(name)] };
    const own: pulumi.ResourceTransformation = ({ type, props, opts }) =>
      type === RELEASE ? { props, opts: { ...opts, hooks } } : undefined;
    const seen: pulumi.ResourceTransformation = ({ type, name, opts }) => {
      if (type === RELEASE) bound.set(name, (opts as pulumi.CustomResourceOptions).hooks);
      return undefined;
    };
    const contract = { connection: { servers: [server.address] } };
    program = () => {
      for (const name of ["east", "west"]) {
        const guarded = guardServers({ transformations: [own] }, () => contract);
        new Component({ ...guarded, transformations: [...(guarded.transformations ?? []), seen] }, name);
      }
    };
    const { message } = await rejection(stack.up({ onOutput, onError: onOutput, continueOnError: true }));
    expect(message).toContain("/no/such/file");
    expect(message).not.toContain("already registered");
    expect(called.sort()).toEqual(["east-release", "west-release"]);
    for (const name of ["east", "west"])
      expect(bound.get(`${name}-release`)?.beforeUpdate).toMatchObject(
        ["roll", "restart"].map((each) => ({ name: `noetl-nats-${each}-of-${name}-release` })),
      );
    expect(hooks.beforeUpdate).toBeUndefined();
  });
});
