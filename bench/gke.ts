/**
 * Measures the preview of the full stack on GKE against that of an empty program, on the same engine: `npm run bench:gke`. Needs
 * no cluster and no cloud. The figures are medians of runs that alternate, so that all meet the same load of the machine.
 *
 * Measured is the command `pulumi preview`, as a user runs it: engine, launcher, TypeScript and program start again each time; only
 * the plugins' stand-ins run already. The empty program is a project with the same runtime, options and stack configuration.
 * Between the two stand programs that show what the difference consists of. Then the same without the start: the
 * program inline, in a process that has loaded everything.
 */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { projectRoot } from "../contract/project";
import { type GkeStack, openGkeStack } from "../embedded/gcp/stack";
import { startLanguageHost } from "../embedded/language-host";
import { ensureTools } from "../embedded/toolchain";
import { median, report, type Row, seconds } from "./table";

const RUNS = 5;
const LIMIT = 1.5;

/** Everything there is: own network, Cloud SQL, ingress with Identity-Aware Proxy, API and gateway public. */
const FULL = {
  platform: "gke",
  projectId: "acme-noetl",
  useCloudSql: "true",
  deployPostgres: "false",
  deployGateway: "true",
  gatewayImage: "us-central1-docker.pkg.dev/acme-noetl/noetl/gateway:v2.14.1",
  exposure: "ingress",
  gatewayHost: "gateway.acme.dev",
  noetlHost: "noetl.acme.dev",
  dnsZone: "acme-dev",
  iap: "true",
  iapClientId: "123-abc.apps.googleusercontent.com",
  iapClientSecret: "bench",
  iapMembers: "group:noetl@acme.dev",
};

/** What the program loads before it declares anything. */
const SDKS = `import "@pulumi/pulumi";\nimport "@pulumi/kubernetes";\nimport "@pulumi/gcp/provider";\n`;

/** Programs between nothing and everything, each with what the one before it has. */
const STEPS = {
  "an empty program": "export {};\n",
  "the same, with Pulumi's packages loaded": SDKS,
  "the same, with one dynamic resource": `${SDKS}
import * as pulumi from "@pulumi/pulumi";
class One extends pulumi.dynamic.Resource {}
new One({ create: async () => ({ id: "one" }) }, "one", {});
`,
} as const;

/** A project with another program, but with this one's runtime, its options, its packages and the stack's configuration. */
function projectWith(dir: string, program: string, stackName: string): string {
  fs.mkdirSync(dir);
  const root = projectRoot();
  for (const file of [
    "Pulumi.yaml",
    `Pulumi.${stackName}.yaml`,
    "package.json",
    "tsconfig.json",
    "tsconfig.pulumi.json",
  ])
    fs.copyFileSync(path.join(root, file), path.join(dir, file));
  fs.symlinkSync(path.join(root, "node_modules"), path.join(dir, "node_modules"));
  fs.writeFileSync(path.join(dir, "index.ts"), program);
  return dir;
}

/** Medians of several runs in turn, by name; one run of each goes before, which is not counted. */
async function inTurn<K extends string>(work: Readonly<Record<K, () => Promise<unknown>>>): Promise<Record<K, number>> {
  const names = Object.keys(work) as K[];
  const times = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<K, number[]>;
  for (const name of names) await work[name]();
  for (let run = 0; run < RUNS; run++) for (const name of names) times[name].push(await seconds(work[name]));
  return Object.fromEntries(names.map((name) => [name, median(times[name])])) as Record<K, number>;
}

async function measure(): Promise<Row[]> {
  const tools = await ensureTools(["helm", "pulumi"]);
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-bench-"));
  const host = await startLanguageHost();
  process.env.PULUMI_DEBUG_LANGUAGES = `nodejs:${host.port}`;
  const opened: GkeStack[] = [];
  try {
    const open = async (name: string, program?: () => Promise<Record<string, unknown>>) => {
      const stack = await openGkeStack({
        dir: path.join(dir, name),
        tools,
        config: FULL,
        program,
      });
      opened.push(stack);
      return stack;
    };
    const full = await open("full");
    const empty = await open("empty", () => Promise.resolve({}));
    const resources = (await full.stack.preview()).changeSummary.create ?? 0;
    const all = `the full GKE stack, ${resources} resources`;
    const preview = (project: string) => () => full.command("preview", "--cwd", project);
    const steps = Object.entries(STEPS).map(
      ([name, program], index) =>
        [name, preview(projectWith(path.join(dir, `step-${index}`), program, full.stack.name))] as const,
    );
    const command = await inTurn({ ...Object.fromEntries(steps), [all]: preview(projectRoot()) });
    const inline = await inTurn({ empty: () => empty.stack.preview(), full: () => full.stack.preview() });
    const least = command["an empty program"] ?? NaN;
    const most = command[all] ?? NaN;
    const rows: Row[] = [
      ...Object.entries(command).map(([what, measured]) => ({ what, measured, unit: "s" })),
      { what: "the full stack against the empty program", measured: most / least, unit: "times", limit: LIMIT },
      { what: "an empty program, inline", measured: inline.empty, unit: "s" },
      { what: "the full GKE stack, inline", measured: inline.full, unit: "s" },
      {
        what: "the full stack against the empty program, inline",
        measured: inline.full / inline.empty,
        unit: "times",
        limit: LIMIT,
      },
    ];
    return rows;
  } finally {
    for (const each of opened.reverse()) await each.close();
    host.stop();
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

report(measure);
