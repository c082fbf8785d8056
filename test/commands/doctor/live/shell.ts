import { execFile, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { promisify } from "node:util";
import * as k8s from "@kubernetes/client-node";
import { expect } from "vitest";
import { LOCATIONS } from "../../../../contract/facts";
import { forwardPort } from "../../../../contract/nats/port-forward";
import { openRelay } from "../../../../contract/nats/relay";
import type { Finding } from "../../../../commands/doctor/diagnosis";
import { startLanguageHost } from "../../../../embedded/language-host";
import { openEngine, type Engine } from "../../../../embedded/stack";
import { ensureTools } from "../../../../embedded/toolchain";
import { until } from "../../../support/nats";
import type { Deployment } from "./support";

/** The commands of a finding's remedy, in their order. */
export const commandsOf = (finding: Finding | undefined): string[] =>
  finding?.remedy.flatMap((step) => ("run" in step ? [step.run] : [])) ?? [];

/** The words of a command line, as a shell takes them. */
function wordsOf(command: string): string[] {
  const { stdout } = spawnSync("sh", ["-c", `set -- ${command}; printf '%s\\0' "$@"`], { encoding: "utf8" });
  return stdout.split("\0").slice(0, -1);
}

/** Runs the command line of NATS against the deployed server, as its box does. */
async function nats(deployment: Deployment, args: readonly string[]): Promise<string> {
  const tools = await ensureTools(["nats"]);
  const at = { namespace: LOCATIONS.nats.namespace, pod: LOCATIONS.nats.pod, port: LOCATIONS.nats.port };
  const relay = await openRelay(
    await forwardPort(deployment.config, at, { milliseconds: 30_000, signal: AbortSignal.timeout(60_000) }),
  );
  const { user, password = "" } = deployment.target.nats;
  const env = {
    ...process.env,
    NATS_URL: `nats://127.0.0.1:${relay.port}`,
    NATS_USER: user,
    NATS_PASSWORD: password,
    XDG_CONFIG_HOME: deployment.dir,
  };
  try {
    return (await promisify(execFile)(tools.nats, args, { env, timeout: 60_000 })).stdout;
  } finally {
    relay.close();
  }
}

/** What `kubectl` does with these arguments, by the API: there is not a kubectl here, nor a kubelet that runs what is given to exec. */
export async function kubectlOf(deployment: Deployment, command: string): Promise<string> {
  const words = wordsOf(command).slice(1);
  const isFlag = (word = ""): boolean => /^--(kubeconfig|context)$/.test(word);
  const left = words.filter((word, index) => !isFlag(word) && !isFlag(words[index - 1]));
  const [namespace = "", verb, ...rest] = left[0] === "-n" ? left.slice(1) : ["", ...left];
  if (namespace === LOCATIONS.nats.namespace && verb === "exec") {
    expect(rest.slice(0, 3)).toEqual(["deploy/nats-box", "--", "nats"]);
    return nats(deployment, rest.slice(3));
  }
  if (verb === "rollout" && rest[0] === "resume") {
    const name = (rest[1] ?? "").replace("deployment/", "");
    const body = [{ op: "remove", path: "/spec/paused" }];
    await deployment.apps.patchNamespacedDeployment({ namespace, name, body });
    return "";
  }
  if (namespace === LOCATIONS.noetl.namespace && verb === "rollout") {
    expect(rest[0]).toBe("restart");
    await deployment.restart(...rest.slice(1).map((name) => name.replace("deploy/", "")));
    return "";
  }
  if (verb === "delete" && rest[0] === "pod") {
    const grace = rest.includes("--force") ? rest.find((word) => word.startsWith("--grace-period=")) : undefined;
    const gracePeriodSeconds = grace === undefined ? undefined : Number(grace.split("=")[1]);
    await deployment.core.deleteNamespacedPod({ namespace, name: rest[1] ?? "", gracePeriodSeconds });
    return "";
  }
  if (verb === "delete" && rest[0] === "statefulset") {
    const propagationPolicy = rest.includes("--cascade=orphan") ? "Orphan" : "Background";
    await deployment.apps.deleteNamespacedStatefulSet({ namespace, name: rest[1] ?? "", propagationPolicy });
    return "";
  }
  if (verb === "delete" && rest[0] === "pvc") {
    const claim = { namespace, name: rest[1] ?? "" };
    await deployment.core.deleteNamespacedPersistentVolumeClaim(claim);
    await until(`claim ${claim.name} to be gone, as kubectl waits for it`, async () => {
      const { items } = await deployment.core.listNamespacedPersistentVolumeClaim({ namespace });
      return items.every(({ metadata }) => metadata?.name !== claim.name) || undefined;
    });
    return "";
  }
  if (verb === "delete" && rest[0] === "secret") {
    await deployment.core.deleteNamespacedSecret({ namespace, name: rest[1] ?? "" });
    return "";
  }
  if (verb === "create" && rest[0] === "secret") {
    const files = rest.flatMap((word) => /^--from-file=(.+)$/.exec(word)?.[1] ?? []);
    const data = Object.fromEntries(
      files.map((file) => [file, fs.readFileSync(path.join(deployment.dir, file)).toString("base64")]),
    );
    await deployment.core.createNamespacedSecret({ namespace, body: { metadata: { name: rest[2] ?? "" }, data } });
    return "";
  }
  if (verb === "patch" && rest[0] === "pvc") {
    const body = JSON.parse(rest[rest.indexOf("-p") + 1] ?? "") as object;
    const claim = { namespace, name: rest[1] ?? "", body };
    const strategy = k8s.setHeaderOptions("Content-Type", k8s.PatchStrategy.StrategicMergePatch);
    await deployment.core.patchNamespacedPersistentVolumeClaim(claim, strategy);
    return "";
  }
  const value = (flag: string): string => rest.find((word) => word.startsWith(`--${flag}=`))?.split(/=(.*)/s)[1] ?? "";
  if (verb === "create" && rest[0] === "role") {
    const rules = [{ apiGroups: [""], resources: [value("resource")], verbs: value("verb").split(",") }];
    await deployment.rbac.createNamespacedRole({ namespace, body: { metadata: { name: rest[1] ?? "" }, rules } });
    return "";
  }
  if (verb === "create" && rest[0] === "rolebinding") {
    const apiGroup = "rbac.authorization.k8s.io";
    const roleRef = { apiGroup, kind: "Role", name: value("role") };
    const subjects = [{ apiGroup, kind: "User", name: value("user") }];
    const body = { metadata: { name: rest[1] ?? "" }, roleRef, subjects };
    await deployment.rbac.createNamespacedRoleBinding({ namespace, body });
    return "";
  }
  // What only shows something is not a part of what puts it right.
  if (["get", "describe", "logs", "top", "cluster-info", "auth"].includes(verb ?? "")) return "";
  throw new Error(`these tests have nothing for it: ${command}`);
}

/**
 * Where what is printed is run as it stands. `pulumi` is the real engine with this stack's state, the real program, and answers its own
 * question with yes; `helm` is Helm; `nats` in its box and `kubectl` are what they would do.
 */
export class Shell {
  private constructor(
    private readonly deployment: Deployment,
    private readonly engine: Engine,
    private readonly host: Awaited<ReturnType<typeof startLanguageHost>>,
    private readonly bin: string,
  ) {}

  static async open(deployment: Deployment): Promise<Shell> {
    const tools = await ensureTools(["pulumi", "helm"]);
    const bin = path.join(deployment.dir, "shell-bin");
    fs.mkdirSync(bin, { recursive: true });
    for (const name of ["pulumi", "helm"] as const) {
      fs.rmSync(path.join(bin, name), { force: true });
      fs.symlinkSync(tools[name], path.join(bin, name));
    }
    const engine = await openEngine({ dir: deployment.dir, tools });
    return new Shell(deployment, engine, await startLanguageHost(), bin);
  }

  async close(): Promise<void> {
    this.host.stop();
    await this.engine.close();
  }

  /** Runs one command, or a script. @returns what it prints. @throws Error with what it prints where it fails. */
  async run(command: string, more: Readonly<Record<string, string>> = {}): Promise<string> {
    if (/^kubectl\s/.test(command)) return kubectlOf(this.deployment, command);
    if (/^npm run nats -- /.test(command)) return this.deployment.nats(...wordsOf(command).slice(4));
    const { cwd } = this.deployment.engine;
    const { PATH, ...variables } = this.engine.options.envVars;
    const env = {
      ...process.env,
      ...variables,
      PATH: [this.bin, PATH].join(path.delimiter),
      PULUMI_DEBUG_LANGUAGES: `nodejs:${this.host.port}`,
      PULUMI_SKIP_CONFIRMATIONS: "true",
      ...more,
    };
    const done = await promisify(execFile)("sh", ["-ec", command], { cwd, env, timeout: 570_000 }).catch(
      (error: { stdout: string; stderr: string }) => {
        throw new Error(`${command} failed:\n${error.stdout}\n${error.stderr}`);
      },
    );
    return done.stdout;
  }

  /** Runs the commands of a remedy one after the other. */
  async runAll(commands: readonly string[]): Promise<void> {
    for (const command of commands) await this.run(command);
  }
}
