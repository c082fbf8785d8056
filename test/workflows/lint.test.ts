import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { projectRoot } from "../../contract/project";
import { ensureTools, TOOLS, versionFits } from "../../embedded/toolchain";
import { ensureZizmor } from "../../embedded/toolchain/zizmor";
import { GITHUB_FOLDER, type Step, workflow, workflowFiles } from "./workflow";

/** Commits of the actions in use, looked up in their repositories' tags. */
const PINS: Readonly<Record<string, string>> = {
  "actions/cache": "27d5ce7f107fe9357f9df03efb73ab90386fccae # v5.0.5",
  "actions/checkout": "3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1",
  "actions/download-artifact": "3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c # v8.0.1",
  "actions/setup-go": "b7ad1dad31e06c5925ef5d2fc7ad053ef454303e # v7.0.0",
  "actions/setup-node": "820762786026740c76f36085b0efc47a31fe5020 # v7.0.0",
  "actions/upload-artifact": "bbbca2ddaa5d8feaa63e36b76fdaad77386f024f # v7.0.0",
  "google-github-actions/auth": "7c6bc770dae815cd3e89ee6cdf493a5fab2cc093 # v3.0.0",
  "google-github-actions/setup-gcloud": "aa5489c8933f4cc7a4f7d45035b3b1440c9c10db # v3.0.1",
  "pulumi/actions": "8e5e406f4007fca908480587cb9893c07090f58d # v7.0.0",
};

let actionlint: string;
let zizmor: string;

beforeAll(async () => {
  ({ actionlint } = await ensureTools(["actionlint"]));
  zizmor = await ensureZizmor();
});

interface Ran {
  readonly code: number;
  readonly output: string;
}
const run = (command: string, args: readonly string[], cwd = projectRoot()): Promise<Ran> =>
  new Promise((resolve) =>
    execFile(command, [...args], { cwd, timeout: 60_000 }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code ?? -1) : 0, output: stdout + stderr }),
    ),
  );
/** What checks scripts inside workflows would differ from machine to machine. */
const ACTIONLINT = ["-shellcheck=", "-pyflakes=", "-no-color"];
/** Offline: whether a commit belongs to the action's repository is looked up when it is pinned. */
const ZIZMOR = ["--quiet", "--no-progress", "--offline", "--persona=pedantic", "--strict-collection"];

const files = (): string[] => [
  ...workflowFiles().map((name) => path.join(GITHUB_FOLDER, "workflows", name)),
  ...fs
    .readdirSync(path.join(GITHUB_FOLDER, "actions"))
    .map((name) => path.join(GITHUB_FOLDER, "actions", name, "action.yml")),
];

describe("actionlint and zizmor", () => {
  it("find nothing in workflows and actions", async () => {
    expect(await run(actionlint, ACTIONLINT)).toEqual({ code: 0, output: "" });
    expect(await run(zizmor, [...ZIZMOR, ".github"])).toMatchObject({ code: 0 });
  });

  it("would find what they are there for", async () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-lint-"));
    const bad = path.join(folder, ".github", "workflows", "bad.yml");
    fs.mkdirSync(path.dirname(bad), { recursive: true });
    fs.writeFileSync(
      bad,
      [
        "name: bad",
        "on: pull_request_target",
        "jobs:",
        "  bad:",
        "    runs-on: ubuntu-24.04",
        "    needs: nothing",
        "    steps:",
        "      - uses: actions/checkout@v4",
        "      - run: echo ${{ github.event.pull_request.title }}",
      ].join("\n"),
    );
    try {
      const syntax = await run(actionlint, [...ACTIONLINT, bad], folder);
      expect(syntax.code).toBe(1);
      expect(syntax.output).toContain('needs job "nothing" which does not exist');
      const security = await run(zizmor, [...ZIZMOR, folder]);
      expect(security.code).toBeGreaterThanOrEqual(11);
      for (const audit of [
        "dangerous-triggers",
        "template-injection",
        "unpinned-uses",
        "artipacked",
        "excessive-permissions",
      ]) {
        expect(security.output).toContain(`[${audit}]`);
      }
    } finally {
      fs.rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe("every workflow", () => {
  it("uses actions by the commits that were looked up", () => {
    for (const file of files()) {
      for (const [, used = ""] of fs.readFileSync(file, "utf8").matchAll(/uses: (.*)$/gm)) {
        if (used.startsWith("./")) continue;
        const [action = "", pin] = used.split("@");
        expect(`${action}@${pin}`).toBe(`${action}@${PINS[action]}`);
      }
    }
  });

  it.each(workflowFiles().map((file) => path.basename(file, ".yml")))(
    "%s.yml has least permissions and deadlines",
    (name) => {
      const { permissions, jobs } = workflow(name);
      expect(permissions).toEqual({});
      for (const job of Object.values(jobs)) {
        expect(job).toHaveProperty("timeout-minutes");
        expect(job.permissions?.contents).toBe("read");
        const writes = Object.entries(job.permissions ?? {}).filter(([, access]) => access === "write");
        const allowed = { comment: ["pull-requests"], drift: ["id-token", "issues"] }[name] ?? ["id-token"];
        for (const [scope] of writes) expect(allowed).toContain(scope);
        for (const step of job.steps.filter(({ uses }) => uses?.startsWith("actions/checkout@"))) {
          expect(step.with?.["persist-credentials"]).toBe(false);
        }
      }
    },
  );

  it("keeps secrets out: logins are short-lived", () => {
    for (const file of files()) expect(fs.readFileSync(file, "utf8")).not.toMatch(/\$\{\{[^}]*\bsecrets\b/);
  });
});

/** Jobs that may log in at the cloud, with what they are called. */
const LOGINS = workflowFiles().flatMap((file) => {
  const name = path.basename(file, ".yml");
  return Object.entries(workflow(name).jobs)
    .filter(([, { permissions }]) => permissions?.["id-token"] === "write")
    .map(([key, job]) => ({ title: `${name}.yml, ${key}`, name, job }));
});

describe("a login and other people's programs", () => {
  it("are kept apart: install scripts are run nowhere, and the packages that have one are known not to need it", () => {
    for (const file of files()) {
      for (const [, rest = ""] of fs.readFileSync(file, "utf8").matchAll(/npm (?:ci|install|i)\b(.*)$/gm))
        expect(`${file}${rest}`).toBe(`${file} --ignore-scripts`);
    }
    const lock = JSON.parse(fs.readFileSync(path.join(projectRoot(), "package-lock.json"), "utf8")) as {
      packages: Record<string, { hasInstallScript?: boolean }>;
    };
    const scripts = Object.entries(lock.packages).filter(([, { hasInstallScript }]) => hasInstallScript);
    // The one fetches a plugin that the engine fetches itself where it lacks, the other says something about its version.
    expect(scripts.map(([name]) => name)).toEqual(["node_modules/@pulumi/kubernetes", "node_modules/protobufjs"]);
  });

  it("there are four jobs with a login", () => {
    expect(LOGINS.map(({ title }) => title)).toEqual([
      "deploy.yml, plan",
      "deploy.yml, deploy",
      "drift.yml, refresh",
      "preview.yml, live",
    ]);
  });

  it.each(LOGINS)("$title takes what another job has compiled, and compiles nothing", ({ name, job }) => {
    const setup = job.steps.findIndex(({ uses }) => uses === "./.github/actions/setup");
    const login = job.steps.findIndex(({ uses }) => uses === "./.github/actions/cloud");
    expect(setup).toBeGreaterThan(-1);
    expect(login).toBeGreaterThan(setup);
    expect(job.steps[setup]?.with).toEqual({ compiled: "compiled" });
    expect(job.env?.NOETL_NATS_BUILD).toBe("off");
    for (const { run } of job.steps) expect(run ?? "").not.toMatch(/npm (?:ci|install|run build|test)|npx|tsc/);
    const build = workflow(name).jobs.build;
    expect(build?.permissions).toEqual({ contents: "read" });
    const upload = build?.steps.find(({ uses }) => uses?.startsWith("actions/upload-artifact@"));
    expect(upload?.with).toMatchObject({ name: "compiled", path: "dist", "include-hidden-files": true });
  });

  it("the action that sets up compiles exactly where nothing is brought along", () => {
    const [compile] = actionSteps("setup").filter(({ run }) => run === "npm run build");
    const [take] = actionSteps("setup").filter(({ uses }) => uses?.startsWith("actions/download-artifact@"));
    expect(compile?.if).toBe("${{ inputs.compiled == '' }}");
    expect(take).toMatchObject({ if: "${{ inputs.compiled != '' }}", with: { path: "dist" } });
  });

  it("a branch's code logs in only through an environment, and the documented condition lets none in", () => {
    expect(workflow("preview").jobs.live?.environment).toBe("preview");
    const page = fs.readFileSync(path.join(projectRoot(), "docs", "ci.md"), "utf8");
    const [, standard] = /^pool noetl-preview "(.*)"$/m.exec(page) ?? [];
    expect(standard).toBe("assertion.ref == 'refs/heads/main'");
    expect(page).toContain("assertion.event_name == 'pull_request' && assertion.environment == 'preview'");
    // Nothing reads Secrets of all namespaces.
    expect(page).not.toMatch(/create clusterrole \S+ .*secrets/);
  });
});

const actionSteps = (name: string): Step[] =>
  (
    parse(fs.readFileSync(path.join(GITHUB_FOLDER, "actions", name, "action.yml"), "utf8")) as {
      runs: { steps: Step[] };
    }
  ).runs.steps;
/** The version of Go that a go.mod asks for. */
const goOf = (file: string): string => /^go (\S+)$/m.exec(fs.readFileSync(file, "utf8"))?.[1] ?? "";

describe("what one file says and another repeats", () => {
  it("comments are posted for the previews that there are, from their artifacts", () => {
    const jobs = Object.values(workflow("preview").jobs).filter(({ name }) => name.startsWith("preview "));
    const previews = jobs.flatMap(({ name, strategy, steps }) => {
      const uploaded = steps.find(({ uses }) => uses?.startsWith("actions/upload-artifact@"))?.with?.name as string;
      return (strategy?.matrix?.stack ?? [""]).map((stack) => {
        const fill = (text: string): string => text.replace("${{ matrix.stack }}", stack);
        return { name: fill(name), artifact: fill(uploaded) };
      });
    });
    const { steps } = workflow("comment").jobs.comment ?? { steps: [] as Step[] };
    const names = /reports" (.*)$/.exec(steps.find(({ name }) => name === "Comment")?.run ?? "")?.[1]?.split(" ") ?? [];
    const downloads = steps.filter(({ uses }) => uses?.startsWith("actions/download-artifact@"));
    expect(previews).toEqual(names.map((name) => ({ name: `preview (${name})`, artifact: `report-${name}` })));
    expect(downloads.map(({ with: inputs }) => [inputs?.name, inputs?.path])).toEqual(
      names.map((name) => [`report-${name}`, `\${{ runner.temp }}/reports/report-${name}`]),
    );
  });

  it("the engine is the one that the tests run", () => {
    const pulumi = actionSteps("cloud").find(({ uses }) => uses?.startsWith("pulumi/actions@"));
    expect(`v${String(pulumi?.with?.["pulumi-version"])}`).toBe(TOOLS.pulumi.version);
  });

  it("Go is one that builds every tool, and the one that the documents ask for", () => {
    const folder = path.join(projectRoot(), "embedded", "toolchain");
    const go = actionSteps("setup").find(({ uses }) => uses?.startsWith("actions/setup-go@"));
    const version = goOf(path.join(projectRoot(), String(go?.with?.["go-version-file"])));
    const modules = fs.readdirSync(folder).filter((name) => fs.existsSync(path.join(folder, name, "go.mod")));
    expect(modules.length).toBeGreaterThan(1);
    for (const name of modules) {
      const needed = goOf(path.join(folder, name, "go.mod"));
      expect({ name, needed, fits: versionFits(version, needed) }).toEqual({ name, needed, fits: true });
    }
    const minor = version.split(".").slice(0, 2).join(".");
    for (const file of ["README.md", "CONTRIBUTING.md", "embedded/toolchain/build.ts"]) {
      expect(fs.readFileSync(path.join(projectRoot(), file), "utf8")).toContain(`Go ${minor} or newer`);
    }
  });

  it("commands and stacks are there", () => {
    const { scripts } = JSON.parse(fs.readFileSync(path.join(projectRoot(), "package.json"), "utf8")) as {
      scripts: Record<string, string>;
    };
    const folder = path.join(projectRoot(), "scripts", "ci");
    const shell = fs.readdirSync(folder).filter((name) => name.endsWith(".sh"));
    const text = [...files(), ...shell.map((name) => path.join(folder, name))]
      .map((file) => fs.readFileSync(file, "utf8"))
      .join("\n");
    const commands = [...text.matchAll(/npm (?:run (?:--silent )?)?(lint|typecheck|test|diff|verify)\b/g)].map(
      ([, name]) => name,
    );
    expect(commands.length).toBeGreaterThan(4);
    for (const name of commands) expect(scripts).toHaveProperty(name ?? "");
    for (const stack of workflow("preview").jobs.diff?.strategy?.matrix?.stack ?? []) {
      expect(fs.existsSync(path.join(projectRoot(), `Pulumi.${stack}.yaml`))).toBe(true);
    }
  });

  it("tests run on every Node that is supported", () => {
    expect(workflow("ci").jobs.test?.strategy?.matrix?.node).toEqual(["20", "22", "24"]);
  });
});
