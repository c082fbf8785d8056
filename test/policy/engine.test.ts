import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { type PreviewResult, LocalWorkspace, type PulumiFn } from "@pulumi/pulumi/automation";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { projectRoot } from "../../contract/project";
// Compiled: the cluster starts its supervisor as a process of its own, from the file beside it.
import { type Cluster, startCluster } from "../../dist/embedded/cluster";
import { openGkeStack } from "../../dist/embedded/gcp/stack";
import { type Engine, openEngine, POLICY_PACK } from "../../embedded/stack";
import { PROJECT } from "../../program";
import { STACK_TOOLS } from "../../embedded/tools";
import { ensureTools, type ToolPaths } from "../../embedded/toolchain";
import { FRESH } from "../support/gke/configurations";
import { breaksTheRules, CANARY, keepsTheRules } from "./program";
import { inlineProgram } from "../../embedded/inline";

const dir = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-policy-"));
let tools: ToolPaths<"helm" | "pulumi">;
let cluster: Cluster;
let engine: Engine;

beforeAll(async () => {
  const found = await ensureTools(STACK_TOOLS);
  tools = found;
  cluster = await startCluster({ dir: path.join(dir, "cluster"), tools: found });
  engine = await openEngine({ dir: path.join(dir, "engine"), tools });
});

afterAll(async () => {
  await engine?.close();
  await cluster?.stop();
  fs.rmSync(dir, { recursive: true, force: true });
});

/** The program that {@link preview} was given last, in a stack of its own each time. */
let current: PulumiFn;
const inline = inlineProgram(() => current());

/** What the engine prints about a preview of `program` under the policy pack, and whether it let it pass. */
async function preview(program: PulumiFn, packConfig: string): Promise<{ passed: boolean; output: string }> {
  current = program;
  const stackName = `policy-${process.pid}`;
  const stack = await LocalWorkspace.createOrSelectStack(
    { stackName, projectName: PROJECT, program: inline },
    { ...engine.options, workDir: projectRoot() },
  );
  let output = "";
  try {
    const result: PreviewResult = await stack.preview({
      policyPacks: [POLICY_PACK],
      policyPackConfigs: [packConfig],
      color: "never",
      onOutput: (text) => (output += text),
    });
    return { passed: true, output: output + result.stderr };
  } catch (error) {
    return { passed: false, output: output + String(error) };
  } finally {
    fs.rmSync(path.join(projectRoot(), `Pulumi.${stackName}.yaml`), { force: true });
  }
}

/** Rules and resources that the engine reports, as `level rule resource`. */
function violations(output: string): string[] {
  const pattern = /\[(mandatory|advisory)\].*?\s([\w-]+)\s+\([\w:./-]+: ([\w-]+)\)/g;
  return [...new Set([...output.matchAll(pattern)].map(([, level, rule, name]) => `${level} ${rule} ${name}`))].sort();
}

describe("the policy pack, run by the real engine", () => {
  it("lets the project's own program pass", async () => {
    const { passed, output } = await preview(
      keepsTheRules(cluster.kubeconfigPath),
      path.join(POLICY_PACK, "teardown.json"),
    );
    expect(output).toMatch(/noetl-nats@v\S+ \(local: /);
    expect(violations(output)).toEqual([]);
    expect(passed).toBe(true);
  });

  it("stops a program that breaks the rules, and shows no credential", async () => {
    const packConfig = path.join(dir, "policy.json");
    fs.writeFileSync(packConfig, JSON.stringify({ "probes-set": "advisory" }));
    const { passed, output } = await preview(breaksTheRules(cluster.kubeconfigPath), packConfig);
    expect(passed).toBe(false);
    expect(violations(output)).toEqual([
      "advisory probes-set noetl",
      "advisory probes-set server",
      "mandatory administrator-apart noetl",
      "mandatory contract-covers-noetl noetl",
      "mandatory contract-retention contract",
      "mandatory namespaces-enforce place",
      "mandatory no-latest noetl",
      "mandatory no-latest server",
      "mandatory no-plaintext-credentials noetl",
      "mandatory no-plaintext-credentials server",
      "mandatory no-plaintext-credentials settings",
      "mandatory resources-set noetl",
      "mandatory resources-set server",
    ]);
    // Of the release's two credentials only the one that the program left unencrypted.
    expect(output).toContain("values.secrets.postgresPassword has the name of a credential");
    expect(output).not.toContain("noetlPassword");
    expect(output).not.toContain(CANARY);
  });

  it("holds a stack on GKE to its protection, and takes it down only by the pack's own configuration for that", async () => {
    // The platform alone has everything that the rule is about.
    const config = {
      ...FRESH,
      deployNats: "false",
      deployNoetl: "false",
      deployGateway: "false",
      exposure: "internal",
    };
    const gke = await openGkeStack({ dir: path.join(dir, "gke"), tools, config });
    const evaluateRules = async (...configs: string[]) => {
      let output = "";
      const passed = await gke.stack
        .preview({
          policyPacks: [POLICY_PACK],
          ...(configs.length > 0 ? { policyPackConfigs: configs } : {}),
          color: "never",
          onOutput: (text) => (output += text),
        })
        .then(
          () => true,
          () => false,
        );
      return { passed, violations: violations(output) };
    };
    try {
      expect(await evaluateRules()).toEqual({ passed: true, violations: [] });
      await gke.configure({ deletionProtection: "false" });
      const unprotected = ["cloud-sql-instance", "gke-cluster"];
      expect(await evaluateRules()).toEqual({
        passed: false,
        violations: unprotected.map((name) => `mandatory deletion-protection ${name}`),
      });
      expect(await evaluateRules(path.join(POLICY_PACK, "teardown.json"))).toEqual({
        passed: true,
        violations: unprotected.map((name) => `advisory deletion-protection ${name}`),
      });
    } finally {
      await gke.close();
    }
  });
});
