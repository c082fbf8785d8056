import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";
import { projectRoot } from "../contract/project";

it("the program loads no client of NATS or Kubernetes: those are the contract's, whose provider is another process", () => {
  // A process of its own, because the test runner's modules would count.
  const script = `
    require("./dist/program");
    require("./dist/stacks/gke");
    process.stdout.write(JSON.stringify(Object.keys(require.cache)));
  `;
  const output = execFileSync(process.execPath, ["-e", script], { cwd: projectRoot(), encoding: "utf8" });
  const files = JSON.parse(output) as string[];
  const packages = new Set(files.map((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1]));
  expect(packages).toContain("@pulumi/kubernetes");
  expect(packages).not.toContain("nats");
  expect(packages).not.toContain("@kubernetes/client-node");
});
