import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { PatchStrategy, setHeaderOptions } from "@kubernetes/client-node";
import { afterAll, beforeAll, expect, it } from "vitest";
import { PROJECT, projectRoot } from "../../../../contract/project";
import { LOCATIONS, STREAM } from "../../../../contract/facts";
import { FILE_NAMES } from "../../../../commands/diff/options";
import type { ChangeReport } from "../../../../commands/diff/report";
import { embeddedPaths } from "../../../../embedded/home";
import { openEngine, type Engine } from "../../../../embedded/stack";
import { ensureTools } from "../../../../embedded/toolchain";
import { edit, git, scratchRepository, temporaryFolder } from "../../diff/support";
import { Deployment, STACK } from "./support";

const CANARY = "Canary-By-Hand.4711";

interface Ran {
  readonly code: number | null;
  readonly stderr: string;
  /** The report in one of its formats. */
  read(name: keyof typeof FILE_NAMES): string;
}

let folder: string;
let repository: string;
let deployment: Deployment;
let engine: Engine;

beforeAll(async () => {
  deployment = await Deployment.attach();
  engine = await openEngine({ dir: deployment.dir, tools: await ensureTools(["pulumi", "helm"]) });
  folder = temporaryFolder();
  // A repository of the deployed stack, with the command in it: it previews the project that it belongs to.
  repository = scratchRepository(path.join(folder, "repository"));
  fs.cpSync(path.join(projectRoot(), "dist"), path.join(repository, "dist"), { recursive: true });
  fs.copyFileSync(path.join(projectRoot(), `Pulumi.${STACK}.yaml`), path.join(repository, `Pulumi.${STACK}.yaml`));
  fs.appendFileSync(path.join(repository, ".gitignore"), "dist\n");
  git(repository, "add", "-A");
  git(repository, "commit", "-qm", "the deployed stack");
});

afterAll(async () => {
  await engine?.close();
  if (folder) fs.rmSync(folder, { recursive: true, force: true });
});

/** `npm run diff` as it runs in a workflow. The plug-ins that stand in for the official ones live in this process. */
async function diff(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
  const output = fs.mkdtempSync(path.join(folder, "report-"));
  const child = spawn(
    process.execPath,
    [
      path.join(repository, "dist", "commands", "diff", "main.js"),
      ...["--stack", STACK, "--base", "main", "--live", "--format", "markdown,json,html,text", "--output", output],
      ...args,
    ],
    {
      cwd: repository,
      env: { ...process.env, ...engine.options.envVars, ...env },
      stdio: ["ignore", "ignore", "pipe"],
    },
  );
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const timer = setTimeout(() => child.kill("SIGKILL"), 240_000);
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  clearTimeout(timer);
  return { code, stderr, read: (name) => fs.readFileSync(path.join(output, FILE_NAMES[name]), "utf8") };
}

/** Runs `work` while an update seems to hold the stack's lock. */
async function whileLocked<T>(work: () => Promise<T>): Promise<T> {
  const locks = path.join(embeddedPaths(deployment.dir).state, ".pulumi", "locks", "organization", PROJECT, STACK);
  fs.mkdirSync(locks, { recursive: true });
  const file = path.join(locks, "00000000-0000-4000-8000-000000000000.json");
  const lock = { pid: process.pid, username: "test", hostname: "test", timestamp: new Date().toISOString() };
  fs.writeFileSync(file, JSON.stringify(lock));
  try {
    // The engine takes it for one: what would change the state is refused.
    const { command, env, cwd } = deployment.engine;
    const args = ["refresh", "--yes", "--skip-preview", "--non-interactive", "--stack", STACK];
    expect(spawnSync(command, args, { env, cwd, encoding: "utf8", timeout: 120_000 }).stderr).toMatch(
      /currently locked/,
    );
    return await work();
  } finally {
    fs.rmSync(file);
  }
}

/** Runs `work` while somebody has changed a password in the cluster and the stream's age in NATS. */
async function changedByHand<T>(work: () => Promise<T>): Promise<T> {
  const { core } = deployment;
  const { namespace } = LOCATIONS.postgres;
  const { items } = await core.listNamespacedSecret({ namespace });
  const secret = items.find(({ data }) => data?.NOETL_PASSWORD !== undefined);
  const name = secret?.metadata?.name ?? "";
  const setPassword = (value: string) =>
    core.patchNamespacedSecret(
      { namespace, name, body: { data: { NOETL_PASSWORD: value } } },
      setHeaderOptions("Content-Type", PatchStrategy.MergePatch),
    );
  const setAge = (seconds: number) =>
    deployment.withManager(async (manager) => {
      const { config } = await manager.streams.info(STREAM.name);
      await manager.streams.update(STREAM.name, { ...config, max_age: seconds * 1e9 });
    });
  await setPassword(Buffer.from(CANARY).toString("base64"));
  await setAge(600);
  try {
    return await work();
  } finally {
    await setPassword(secret?.data?.NOETL_PASSWORD ?? "");
    await setAge(STREAM.maxAgeSeconds);
  }
}

it("shows what the engine would do and what drifted, no value of a secret, and minds no lock", async () => {
  const settings = `Pulumi.${STACK}.yaml`;
  edit(repository, settings, "config:", "config:\n  noetl-nats:workerReplicas: '3'");
  const ran = await changedByHand(() => whileLocked(() => diff(["--refresh"])));
  git(repository, "checkout", "-q", settings);
  expect(ran).toMatchObject({ code: 0, stderr: "" });
  const report = JSON.parse(ran.read("json")) as ChangeReport;
  const { live } = report;
  expect(live?.drift?.map(({ name, differences }) => [name, differences])).toEqual([
    ["postgres-auth", [{ path: "data.NOETL_PASSWORD", kind: "update-replace" }]],
    ["stream-contract", [{ path: "expect.maxAgeSeconds", kind: "update", old: STREAM.maxAgeSeconds, new: 600 }]],
  ]);
  // The working tree's change, and what puts the drift right.
  expect(live?.steps.map(({ op, name }) => `${op} ${name}`)).toEqual(
    expect.arrayContaining(["update noetl-release", "replace postgres-auth", "update stream-contract"]),
  );
  expect(live?.steps.find(({ name }) => name === "noetl-release")?.differences).toContainEqual({
    path: "values.worker.replicas",
    kind: "update",
  });
  expect(live?.diagnostics).toEqual([]);
  expect(report.risks.filter(({ rule }) => rule === "drift")).toEqual([
    {
      rule: "drift",
      level: "warning",
      subject: "Secret postgres-auth",
      text: "is not what the stack's state says (data.NOETL_PASSWORD); the update replaces it.",
    },
    {
      rule: "drift",
      level: "warning",
      subject: "StreamContract stream-contract",
      text: "is not what the stack's state says (expect.maxAgeSeconds 3600 -> 600); the update changes it back.",
    },
  ]);
  const canary = new RegExp([CANARY, Buffer.from(CANARY).toString("base64"), folder].join("|"));
  for (const format of ["markdown", "json", "html", "text"] as const) {
    expect(ran.read(format)).toContain("expect.maxAgeSeconds");
    expect(ran.read(format)).toContain("drifted from its state: 2");
    expect(ran.read(format)).not.toMatch(canary);
  }
}, 600_000);

it.each([
  {
    what: "a stack that the backend does not have",
    args: ["--stack", "kind"],
    env: {},
    code: 2,
    says:
      "--live: the stack kind cannot be opened:\n" +
      "error: no stack named 'kind' found\n" +
      "Stacks that exist: pulumi stack ls",
  },
  {
    what: "a preview that the engine refuses",
    args: [],
    env: { PULUMI_CONFIG_PASSPHRASE: "wrong" },
    code: 3,
    says:
      `--live: the engine's preview of the stack ${STACK} failed:\n` +
      "error: getting stack configuration: get stack secrets manager: incorrect passphrase\n" +
      "Set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE.",
  },
])(
  "$what is a failure as a whole, which replaces the comment",
  async ({ args, env, code, says }) => {
    const ran = await diff(args, env);
    expect(ran).toMatchObject({ code, stderr: `${says}\n` });
    const comment = ran.read("markdown");
    expect(comment).toMatch(/^<!-- noetl-nats-diff stack=\w+ -->\n/);
    expect(comment).toContain("**The comparison failed: nothing is known about what this change does.**");
    expect(comment).toContain(says);
    for (const format of ["json", "html", "text"] as const) expect(ran.read(format)).toContain("The comparison failed");
  },
  600_000,
);
