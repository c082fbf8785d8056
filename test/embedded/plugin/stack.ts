import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { LocalWorkspace, PulumiCommand, type Stack } from "@pulumi/pulumi/automation";
import * as random from "@pulumi/random";
import { serveStandIns } from "../../../embedded/plugin";
import type { ToolPaths } from "../../../embedded/toolchain";
import { RUN_HERE } from "../../../embedded/cluster/stages";
import { inlineProgram } from "../../../embedded/inline";

/** What the test program can be asked to do; it is the program whose calls to the official plugin were recorded, and a password. */
export interface Stage {
  readonly replicas: number;
  readonly setting: string;
  readonly secret: string;
  readonly claim?: string;
  readonly releaseName?: string;
  readonly nodePort: number;
  readonly port?: number;
  readonly image?: string;
  /** Shell script of the Job, run on this machine; without it the Job succeeds. */
  readonly script?: string;
}

export const CREATE: Stage = { replicas: 1, setting: "a", secret: "canary-one", nodePort: 30080 };
export const UPDATE: Stage = { replicas: 2, setting: "b", secret: "canary-two", nodePort: 30081 };

const program = (kubeconfig: string, stage: Stage) => (): Promise<Record<string, unknown>> => {
  const provider = new k8s.Provider("p", { kubeconfig, enableServerSideApply: true });
  const options = { provider };
  const ns = new k8s.core.v1.Namespace("ns", { metadata: { name: "rec" } }, options);
  const namespace = ns.metadata.name;
  const password = pulumi.secret(stage.secret);
  const secret = new k8s.core.v1.Secret(
    "creds",
    { metadata: { name: "creds", namespace }, stringData: { password } },
    options,
  );
  new k8s.core.v1.Service(
    "svc",
    {
      metadata: { name: "svc", namespace },
      spec: {
        type: "NodePort",
        selector: { app: "sample" },
        ports: [{ port: stage.port ?? 80, nodePort: stage.nodePort }],
      },
    },
    options,
  );
  const settings = new k8s.core.v1.ConfigMap("cm", { metadata: { namespace }, data: { a: stage.setting } }, options);
  new k8s.batch.v1.Job(
    "job",
    {
      metadata: { name: "job", namespace, annotations: { "pulumi.com/replaceUnready": "true" } },
      spec: {
        backoffLimit: 0,
        template: {
          ...(stage.script === undefined ? {} : { metadata: { annotations: { [RUN_HERE]: "true" } } }),
          spec: {
            restartPolicy: "Never",
            containers: [
              {
                name: "c",
                image: stage.image ?? `sample:${stage.replicas}`,
                ...(stage.script === undefined
                  ? {}
                  : {
                      command: ["sh", "-c", stage.script],
                      terminationMessagePolicy: "FallbackToLogsOnError",
                    }),
              },
            ],
          },
        },
      },
    },
    { ...options, customTimeouts: { create: "60s" } },
  );
  const generated = new random.RandomPassword("generated", { length: 24, special: false });
  const release = new k8s.helm.v3.Release(
    "rel",
    {
      name: stage.releaseName ?? "sample",
      chart: "./chart",
      namespace,
      timeout: 60,
      values: {
        replicas: stage.replicas,
        setting: stage.setting,
        secretSetting: password,
        claim: stage.claim ?? "1Gi",
      },
    },
    { ...options, dependsOn: [secret] },
  );
  return Promise.resolve({
    status: release.status,
    names: release.resourceNames,
    configMap: settings.metadata.name,
    generated: generated.result,
  });
};

/**
 * A stack of the test program in a fresh folder, with the stand-ins attached. With NOETL_NATS_PLUGINS=official the engine
 * uses the plugins installed in PULUMI_HOME instead.
 */
export async function openStack(options: {
  tools: ToolPaths<"pulumi" | "helm">;
  kubeconfig: string;
  stage: Stage;
  log?: (line: string) => void;
}): Promise<{ stack: Stack; stateDir: string; run(stage: Stage): void; close(): Promise<void> }> {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-plugin-"));
  fs.mkdirSync(path.join(dir, "state"));
  fs.cpSync(path.join(__dirname, "recordings", "program", "chart"), path.join(dir, "chart"), { recursive: true });
  const official = process.env.NOETL_NATS_PLUGINS === "official";
  const standIns = official
    ? undefined
    : await serveStandIns({ helm: options.tools.helm, cwd: dir, ...(options.log && { log: options.log }) });
  const current = { stage: options.stage };
  const stack = await LocalWorkspace.createOrSelectStack(
    {
      stackName: "r1",
      projectName: "rec",
      program: inlineProgram(() => program(options.kubeconfig, current.stage)()),
    },
    {
      workDir: dir,
      ...(official ? {} : { pulumiHome: path.join(dir, "home") }),
      pulumiCommand: await PulumiCommand.get({ root: pulumiRoot(options.tools.pulumi, dir) }),
      envVars: {
        PULUMI_BACKEND_URL: `file://${path.join(dir, "state")}`,
        PULUMI_CONFIG_PASSPHRASE: "test",
        ...(standIns && { PULUMI_DEBUG_PROVIDERS: standIns.debugProviders }),
        PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
        PULUMI_SKIP_UPDATE_CHECK: "true",
      },
      projectSettings: { name: "rec", runtime: "nodejs", backend: { url: `file://${path.join(dir, "state")}` } },
    },
  );
  return {
    stack,
    stateDir: path.join(dir, "state"),
    run: (stage) => void (current.stage = stage),
    close: async () => {
      await standIns?.stop();
      fs.rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** The automation interface wants the command at `<root>/bin/pulumi`. */
function pulumiRoot(binary: string, dir: string): string {
  fs.mkdirSync(path.join(dir, "cli", "bin"), { recursive: true });
  fs.symlinkSync(binary, path.join(dir, "cli", "bin", "pulumi"));
  return path.join(dir, "cli");
}
