import { execFile } from "node:child_process";
import * as fs from "node:fs";
import { createRequire } from "node:module";
import * as os from "node:os";
import * as path from "node:path";
import { promisify } from "node:util";
import type * as Automation from "@pulumi/pulumi/automation";
import type * as Pulumi from "@pulumi/pulumi";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type * as ClusterModule from "../../embedded/cluster/index.js";
import type * as SettingsModule from "../../embedded/settings.js";
import type * as StackModule from "../../embedded/stack.js";
import { projectRoot } from "../../contract/project";
import { STACK_TOOLS } from "../../embedded/tools";
import { ensureTools } from "../../embedded/toolchain";
import { inlineProgram } from "../../embedded/inline";

const compiled = createRequire(path.join(projectRoot(), "dist", "index.js"));
const { startCluster } = compiled("./embedded/cluster") as typeof ClusterModule;
const { openEngine } = compiled("./embedded/stack") as typeof StackModule;
const { STAND_IN_CHART } = compiled("./embedded/settings") as typeof SettingsModule;
// The example's own requires must find these very instances.
const pulumi = compiled("@pulumi/pulumi") as typeof Pulumi;
const { LocalWorkspace } = compiled("@pulumi/pulumi/automation") as typeof Automation;

const run = promisify(execFile);

/** The chart's repository cannot be reached everywhere; everything else about the example stays as it is. */
function useStandInChart(): void {
  pulumi.runtime.registerStackTransformation(({ type, name, props, opts }) =>
    type === "kubernetes:helm.sh/v3:Release" && name === "nats-release"
      ? {
          props: {
            ...props,
            chart: path.join(projectRoot(), STAND_IN_CHART),
            repositoryOpts: undefined,
            version: undefined,
          },
          opts,
        }
      : undefined,
  );
}

describe("examples/library, in a project that has the package installed", () => {
  let dir: string;
  let project: string;
  let cluster: ClusterModule.Cluster;
  let engine: StackModule.Engine;

  beforeAll(async () => {
    const tools = await ensureTools(STACK_TOOLS);
    dir = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-library-"));
    project = path.join(dir, "project");
    fs.cpSync(path.join(projectRoot(), "examples", "library"), project, { recursive: true });
    // What `npm pack` would publish, unpacked: a file that it leaves out is missing here too.
    const { stdout } = await run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", dir], {
      cwd: projectRoot(),
    });
    const [{ filename }] = JSON.parse(stdout.slice(stdout.indexOf("["))) as [{ filename: string }];
    const modules = path.join(project, "node_modules");
    const installed = path.join(modules, "noetl-nats");
    fs.mkdirSync(installed, { recursive: true });
    await run("tar", ["-xzf", path.join(dir, filename), "-C", installed, "--strip-components=1"]);
    for (const name of fs.readdirSync(path.join(projectRoot(), "node_modules")).filter((each) => each !== ".bin")) {
      fs.symlinkSync(path.join(projectRoot(), "node_modules", name), path.join(modules, name));
    }
    cluster = await startCluster({ dir: path.join(dir, "cluster"), tools });
    // The example names no kubeconfig, as most programs: plugins and the check take the ambient one.
    process.env.KUBECONFIG = cluster.kubeconfigPath;
    engine = await openEngine({ dir: path.join(dir, "engine"), tools, cwd: project });
  });

  afterAll(async () => {
    await engine?.close();
    await cluster?.stop();
    fs.rmSync(dir, { recursive: true, force: true });
  });

  it("compiles", async () => {
    fs.writeFileSync(
      path.join(project, "tsconfig.json"),
      JSON.stringify({
        compilerOptions: {
          strict: true,
          module: "nodenext",
          target: "es2022",
          types: ["node"],
          skipLibCheck: true,
          outDir: "built",
        },
        files: ["index.ts"],
      }),
    );
    await run(process.execPath, [path.join(projectRoot(), "node_modules/typescript/bin/tsc"), "-p", project]);
    expect(fs.existsSync(path.join(project, "built", "index.js"))).toBe(true);
  });

  it("runs, and its contract holds", async () => {
    const stack = await LocalWorkspace.createStack(
      {
        stackName: "library",
        projectName: "my-platform",
        program: inlineProgram(() => {
          useStandInChart();
          const entry = path.join(project, "built", "index.js");
          delete require.cache[entry];
          return Promise.resolve(createRequire(entry)(entry) as Record<string, unknown>);
        }),
      },
      {
        workDir: project,
        pulumiCommand: engine.options.pulumiCommand,
        envVars: engine.options.envVars,
      },
    );
    const { outputs } = await stack.up();
    expect(outputs.gatewayUrl?.value).toBe("http://gateway.gateway.svc.cluster.local:8090");
    const exported = (await stack.exportStack()) as {
      deployment: { resources: { type: string; outputs?: Record<string, unknown> }[] };
    };
    const contract = exported.deployment.resources.find(({ type }) => type.endsWith("StreamContract"));
    expect(contract?.outputs).toMatchObject({ holds: true, retention: "limits", subjects: ["noetl.commands"] });
    await stack.destroy();
  });
});
