import { execFile } from "node:child_process";
import * as fs from "node:fs";
import { createRequire } from "node:module";
import * as os from "node:os";
import * as path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type * as ClusterModule from "../../embedded/cluster/index.js";
import type * as SettingsModule from "../../embedded/settings.js";
import type * as StackModule from "../../embedded/stack.js";
import { projectRoot } from "../../contract/project";
import { STACK_TOOLS } from "../../embedded/tools";
import { ensureTools } from "../../embedded/toolchain";
import { startLanguageHost } from "../../embedded/language-host";

const compiled = createRequire(path.join(projectRoot(), "dist", "index.js"));
const { startCluster } = compiled("./embedded/cluster") as typeof ClusterModule;
const { openEngine } = compiled("./embedded/stack") as typeof StackModule;
const { STAND_IN_CHART } = compiled("./embedded/settings") as typeof SettingsModule;

const run = promisify(execFile);
const PASSWORD = "canary-kind-Password.4";

// What a user does with a kind cluster, down to the command line; only the cluster behind the context is another one.
describe("the stack kind, by the pulumi command", () => {
  let dir: string;
  let project: string;
  let cluster: ClusterModule.Cluster;
  let engine: StackModule.Engine;
  let host: Awaited<ReturnType<typeof startLanguageHost>>;
  let command: string;

  async function pulumi(args: readonly string[], input = ""): Promise<string> {
    const running = run(command, [...args, "--non-interactive", "--color", "never"], {
      cwd: project,
      env: {
        ...process.env,
        ...engine.options.envVars,
        KUBECONFIG: path.join(dir, "kubeconfig"),
        PULUMI_DEBUG_LANGUAGES: `nodejs:${host.port}`,
        // Compiled again, as in a workflow: what an earlier run left would hide that the sources do not compile.
        TS_NODE_CACHE_DIRECTORY: path.join(dir, "compiled"),
      },
      maxBuffer: 64 * 1024 * 1024,
    });
    running.child.stdin?.end(input);
    const { stdout } = await running;
    return stdout;
  }
  const program = (...args: string[]) => pulumi([...args, "--stack", "kind"]);

  beforeAll(async () => {
    const tools = await ensureTools(STACK_TOOLS);
    command = tools.pulumi;
    dir = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-kind-"));
    // A copy, because the engine writes into the stack's file.
    project = path.join(dir, "project");
    const { stdout } = await run("git", ["ls-files", "-z"], { cwd: projectRoot() });
    const files = stdout.split("\0").filter((name) => name !== "" && fs.existsSync(path.join(projectRoot(), name)));
    for (const name of files) fs.cpSync(path.join(projectRoot(), name), path.join(project, name));
    for (const name of ["node_modules", "dist"]) {
      fs.symlinkSync(path.join(projectRoot(), name), path.join(project, name));
    }
    cluster = await startCluster({ dir: path.join(dir, "cluster"), tools });
    const kubeconfig = JSON.parse(cluster.kubeconfig) as {
      contexts: { name: string; context: object }[];
      clusters: { name: string; cluster: object }[];
      "current-context": string;
    };
    const [own] = kubeconfig.contexts;
    if (!own) throw new Error("the embedded cluster's kubeconfig has no context");
    // The current context is another one, so that only the stack's own can lead to the cluster.
    kubeconfig.contexts = [
      { ...own, name: "kind-noetl" },
      { name: "elsewhere", context: { cluster: "elsewhere", user: "admin" } },
    ];
    kubeconfig.clusters.push({ name: "elsewhere", cluster: { server: "https://127.0.0.1:1" } });
    kubeconfig["current-context"] = "elsewhere";
    fs.writeFileSync(path.join(dir, "kubeconfig"), JSON.stringify(kubeconfig), { mode: 0o600 });
    process.env.KUBECONFIG = path.join(dir, "kubeconfig");
    engine = await openEngine({ dir: path.join(dir, "engine"), tools, cwd: project });
    host = await startLanguageHost();
  });

  afterAll(async () => {
    host?.stop();
    await engine?.close();
    await cluster?.stop();
    fs.rmSync(dir, { recursive: true, force: true });
  });

  it("comes up on the minimal path, with the password that the stack keeps encrypted", async () => {
    await pulumi(["stack", "select", "--create", "kind"]);
    await pulumi(["config", "set", "natsChart", STAND_IN_CHART]);
    await pulumi(["config", "set", "--secret", "natsPassword"], PASSWORD);
    const printed = await program("up", "--yes");
    expect(printed).toMatch(/holds +: true/);
    expect(printed).not.toContain("Undefined value");
    expect(printed).not.toContain("canary");
    // With official plugins the engine takes the launcher from PATH, and says so.
    if (!engine.plugins.includes("official")) expect(printed).not.toContain("warning:");
    const outputs = JSON.parse(await pulumi(["stack", "output", "--json", "--stack", "kind"])) as object;
    expect(outputs).toMatchObject({ natsPassword: "[secret]", namespaces: { nats: "nats", noetl: "noetl" } });
    expect(outputs).not.toHaveProperty("gatewayUrl");
  });

  it("adds the gateway with one more switch, and then has nothing left to change", async () => {
    await pulumi(["config", "set", "deployGateway", "true"]);
    await program("up", "--yes");
    const outputs = JSON.parse(await pulumi(["stack", "output", "--json", "--stack", "kind"])) as object;
    expect(outputs).toMatchObject({ gatewayUrl: "http://gateway.gateway.svc.cluster.local:8090" });
    expect(await program("preview", "--diff", "--expect-no-changes")).toContain("unchanged");
  });
});
