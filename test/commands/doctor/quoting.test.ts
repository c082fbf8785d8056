/** Commands that are printed to be pasted, run by a shell in which the programs they name do nothing. */
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { diagnose } from "../../../commands/doctor/diagnosis";
import { kubectlOf, targetOf } from "../../../commands/doctor/target";
import { parse } from "../../../commands/shared/arguments";
import { withDefaults } from "../../../contract/inputs";
import { fixCommands } from "../../../contract/message";
import { crashing, healthy, namespace, nats, workload } from "./evidence";

/** A name that JetStream takes, and what a shell would make of it. */
const HOSTILE = "a;touch${IFS}pwned;$(touch${IFS}pwned2)`touch${IFS}pwned3`'\"&|#";

let folder: string;
beforeEach(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-quoting-"))));
afterEach(() => fs.rmSync(folder, { recursive: true }));

/** The arguments that the programs of these commands get. @throws where a command does more than run them. */
function argumentsOf(commands: readonly string[]): string[] {
  const stubs = ["kubectl", "nats", "pulumi", "helm", "curl", "npm", "noetl"].map(
    (name) => `${name}() { printf '%s\\0' "$@"; }`,
  );
  const said = execFileSync("sh", ["-eu", "-c", [...stubs, ...commands].join("\n")], { cwd: folder, encoding: "utf8" });
  expect(fs.readdirSync(folder)).toEqual([]);
  return said.split("\0");
}

const target = targetOf("kind", { config: { kubeContext: HOSTILE }, outputs: {} });

it("a context of the kubeconfig stays one argument", () => {
  expect(argumentsOf([`${kubectlOf(target)} get pods`])).toEqual(["--context", HOSTILE, "get", "pods", ""]);
});

it("names in the contract's commands stay one argument each", () => {
  const inputs = withDefaults({
    connection: { context: HOSTILE, namespace: "nats", service: "nats", port: 4222 },
    stream: HOSTILE,
    consumer: HOSTILE,
  });
  const commands = (["recreate-stream", "recreate-consumer"] as const).flatMap((action) =>
    fixCommands(inputs, [{ action }]),
  );
  expect(argumentsOf(commands).filter((argument) => argument === HOSTILE).length).toBeGreaterThan(4);
});

describe("a stack's name that is none of Pulumi's", () => {
  const command = { name: "doctor", does: "", options: { stack: { type: "string", means: "" } } } as const;
  it.each([HOSTILE, "a b", "--yes", "a/b/c/d", "kind\n"])("is refused: %j", (stack) =>
    expect(() => parse(command, [`--stack=${stack}`])).toThrow(/--stack is not a stack's name/),
  );
  it.each(["kind", "acme/noetl-nats/prod.eu_1"])("is not refused: %s", (stack) =>
    expect(parse(command, ["--stack", stack]).stack).toBe(stack),
  );
});

/** Deployments whose remedies name what is in NATS, in the cluster and in the settings. */
const kubectl = kubectlOf(target);
const broken = nats(null, null, {
  overlapping: [HOSTILE],
  inputs: { stream: HOSTILE, consumer: HOSTILE, connection: { context: HOSTILE } },
});
const words = (said: string) => ({
  ok: true as const,
  value: namespace("noetl", {
    pods: [crashing("noetl-server-1", "noetl-server", [said])],
    workloads: [workload("noetl-server", 0)],
  }),
});

it.each([
  ["another stream has the subject", { nats: { ok: true as const, value: broken } }],
  ["the stream is full", { namespaces: { noetl: words("nats: maximum messages exceeded") } }],
  [
    "an external NATS",
    { natsAddress: HOSTILE, namespaces: { noetl: words("insufficient storage resources available") } },
  ],
])("a remedy does what it says and nothing else: %s", (_, changes) => {
  const evidence = healthy({ kubectl, stream: HOSTILE, subject: "noetl.commands", consumers: [HOSTILE], ...changes });
  const commands = diagnose(evidence).findings.flatMap(({ remedy }) =>
    remedy.flatMap((step) => ("run" in step ? [step.run] : [])),
  );
  expect(commands.length).toBeGreaterThan(0);
  expect(argumentsOf(commands)).toContain(HOSTILE);
});
