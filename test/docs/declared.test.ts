import { execFile } from "node:child_process";
import * as fs from "node:fs";
import { createRequire } from "node:module";
import * as path from "node:path";
import { promisify } from "node:util";
import { LocalWorkspace, type Stack } from "@pulumi/pulumi/automation";
import type * as Pulumi from "@pulumi/pulumi";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type * as ParseModule from "../../config/parse.js";
import { projectRoot } from "../../contract/project";
import ts from "typescript";
import { openProject, type Project } from "../support/engine";
import { natsCommand, rejection, startNatsServer, withManager, type NatsServer } from "../support/nats";
import { inlineProgram } from "../../embedded/inline";

const run = promisify(execFile);

let at: Project;
let server: NatsServer;

beforeAll(async () => {
  server = await startNatsServer();
  at = await openProject("declared");
});

afterAll(async () => {
  await server?.stop();
  fs.rmSync(at.dir, { recursive: true, force: true });
});

/** The program of docs/declared.md, asking the test's server. */
function example(): string {
  const doc = fs.readFileSync(path.join(projectRoot(), "docs", "declared.md"), "utf8");
  const program = /```ts\n([\s\S]*?)```/.exec(doc)?.[1] ?? "";
  expect(program).toContain("declaredOnly: true");
  return program.replace("127.0.0.1:4222", server.address);
}

describe("the program of docs/declared.md", () => {
  let stack: Stack;
  let project: string;
  const write = (program: string): void => {
    const { outputText } = ts.transpileModule(program, { compilerOptions: { module: ts.ModuleKind.CommonJS } });
    fs.mkdirSync(path.join(project, "built"), { recursive: true });
    fs.writeFileSync(path.join(project, "built", "index.js"), outputText);
  };

  beforeAll(async () => {
    project = at.folder;
    fs.writeFileSync(
      path.join(project, "tsconfig.json"),
      JSON.stringify({
        compilerOptions: {
          strict: true,
          module: "nodenext",
          target: "es2022",
          types: ["node"],
          skipLibCheck: true,
          noEmit: true,
        },
        files: ["index.ts"],
      }),
    );
    // The program's SDK has to be the one that runs it.
    stack = await LocalWorkspace.createStack(
      {
        stackName: "shop",
        projectName: "shop",
        program: inlineProgram(() => {
          const entry = path.join(project, "built", "index.js");
          delete require.cache[entry];
          return Promise.resolve(createRequire(entry)(entry) as Record<string, unknown>);
        }),
      },
      await at.options(project),
    );
  });

  it("compiles", async () => {
    fs.writeFileSync(path.join(project, "index.ts"), example());
    await run(process.execPath, [path.join(projectRoot(), "node_modules/typescript/bin/tsc"), "-p", project]);
  }, 180_000);

  it("makes what it declares", async () => {
    write(example());
    const { outputs } = await stack.up();
    expect(outputs.changes?.value).toEqual([
      "create stream ORDERS",
      "create bucket carts",
      "create object store invoices",
      "create consumer billing of ORDERS",
    ]);
    await natsCommand(`nats --server ${server.address} kv put carts alice apples`);
    const { changeSummary } = await stack.preview();
    expect(changeSummary).toEqual({ same: 2 });
  });

  it("shows at a refresh what somebody has changed, and puts it right", async () => {
    await natsCommand(`nats --server ${server.address} stream edit ORDERS --max-age=60s --dupe-window=60s -f`);
    const { stdout } = await stack.refresh();
    expect(stdout).toContain("~ 1 updated");
    const exported = (await stack.exportStack()).deployment as {
      resources: { type: string; outputs: { differences: object; drift: object } }[];
    };
    const contract = exported.resources.find(({ type }) => type.endsWith("StreamContract"));
    expect(contract?.outputs.differences).toEqual({
      "declared-stream of stream ORDERS": "maxAgeSeconds 60 s; expected: maxAgeSeconds 86400 s",
    });
    const { outputs } = await stack.up();
    expect(outputs.changes?.value).toEqual(["update stream ORDERS: maxAgeSeconds 60 s -> 86400 s"]);
  });

  it("refuses at preview what contradicts itself, and at the update what NATS does not update", async () => {
    write(example().replace('filterSubjects: ["orders.new"]', 'filterSubjects: ["other"], deliverPolicy: "new"'));
    const preview = await rejection(stack.preview());
    expect(preview.message).toContain("has the filter other outside of what ORDERS stores (orders.>)");
    expect(preview.message).toContain("has deliverPolicy new on the work queue ORDERS");
    write(example().replace('storage: "file"', 'storage: "memory"'));
    const update = await rejection(stack.up());
    expect(update.message).toContain("a stream keeps its storage for life");
    write(example());
    await stack.up();
  });

  it("removes what it is told to by its name", async () => {
    write(
      example().replace('{ name: "carts", ttlSeconds: 3600, history: 5 }', '{ name: "carts", remove: "withContents" }'),
    );
    const { outputs } = await stack.up();
    expect(outputs.changes?.value).toEqual(["remove bucket carts with 1 message"]);
  });

  it("leaves everything in NATS when it is destroyed", async () => {
    await stack.destroy();
    await withManager(server, async (manager) => {
      expect((await manager.streams.list().next()).map(({ config }) => config.name).sort()).toEqual([
        "OBJ_invoices",
        "ORDERS",
      ]);
    });
  });
});

describe("a stack's settings", () => {
  it("may be set by path, as the engine passes them", async () => {
    const compiled = createRequire(path.join(projectRoot(), "dist", "index.js"));
    const { parseSettings } = compiled("./config/parse") as typeof ParseModule;
    const { runtime } = compiled("@pulumi/pulumi") as typeof Pulumi;
    const workDir = path.join(at.dir, "stack");
    fs.mkdirSync(workDir);
    fs.copyFileSync(path.join(projectRoot(), "Pulumi.yaml"), path.join(workDir, "Pulumi.yaml"));
    // The project names its entry point, which has to be there although the program is this test's.
    fs.writeFileSync(path.join(workDir, "index.ts"), "");
    let found: unknown;
    const stack = await LocalWorkspace.createStack(
      {
        stackName: "settings",
        projectName: "noetl-nats",
        program: inlineProgram(() => {
          const own = Object.entries(runtime.allConfig()).map(([key, value]) => [
            key.replace("noetl-nats:", ""),
            value,
          ]);
          const { natsStreams, natsBuckets } = parseSettings(Object.fromEntries(own) as Record<string, string>);
          found = { natsStreams, natsBuckets };
          return Promise.resolve();
        }),
      },
      await at.options(workDir),
    );
    const set = (key: string, value: string): Promise<void> => stack.setConfig(`noetl-nats:${key}`, { value }, true);
    await set("natsStreams[0].name", "ORDERS");
    await set("natsStreams[0].subjects[0]", "orders.>");
    await set("natsStreams[0].maxAgeSeconds", "86400");
    await set("natsStreams[0].allowDirect", "true");
    await set("natsBuckets[0].name", "carts");
    await stack.preview();
    expect(found).toEqual({
      natsStreams: [{ name: "ORDERS", subjects: ["orders.>"], maxAgeSeconds: 86_400, allowDirect: true }],
      natsBuckets: [{ name: "carts" }],
    });
  });
});
