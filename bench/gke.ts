/**
 * Measures the preview of the full stack on GKE against that of an empty program, on the same engine: `npm run bench:gke`. Needs
 * no cluster and no cloud. The runs alternate, so that both meet the same load of the machine.
 */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { type GkeStack, openGkeStack } from "../embedded/gcp/stack";
import { ensureTools } from "../toolchain";
import { median, seconds, table } from "./table";

const RUNS = 5;

/** Everything there is: own network, Cloud SQL, ingress with Identity-Aware Proxy, API and gateway public. */
const FULL = {
  platform: "gke",
  projectId: "acme-noetl",
  useCloudSql: "true",
  deployPostgres: "false",
  deployGateway: "true",
  gatewayImage: "us-central1-docker.pkg.dev/acme-noetl/noetl/gateway:v2.10.0",
  exposure: "ingress",
  gatewayHost: "gateway.acme.dev",
  noetlHost: "noetl.acme.dev",
  dnsZone: "acme-dev",
  iap: "true",
  iapClientId: "123-abc.apps.googleusercontent.com",
  iapClientSecret: "bench",
  iapMembers: "group:noetl@acme.dev",
};

async function main(): Promise<void> {
  const tools = await ensureTools(["helm", "pulumi"]);
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-bench-"));
  const opened: GkeStack[] = [];
  try {
    const open = async (name: string, program?: () => Promise<Record<string, unknown>>) => {
      const stack = await openGkeStack({
        dir: path.join(dir, name),
        tools,
        config: FULL,
        ...(program ? { program } : {}),
      });
      opened.push(stack);
      return stack;
    };
    const empty = await open("empty", () => Promise.resolve({}));
    const full = await open("full");
    // The first preview loads modules that later ones find loaded.
    const resources = (await full.stack.preview()).changeSummary.create ?? 0;
    await empty.stack.preview();
    const times = { empty: [] as number[], full: [] as number[] };
    for (let run = 0; run < RUNS; run++) {
      times.empty.push(await seconds(() => empty.stack.preview()));
      times.full.push(await seconds(() => full.stack.preview()));
    }
    const [least, most] = [median(times.empty), median(times.full)];
    const rows = [
      { what: `preview of an empty program, median of ${RUNS}`, measured: least, unit: "s" },
      { what: `preview of the full GKE stack (${resources} resources), median of ${RUNS}`, measured: most, unit: "s" },
      { what: "the full stack against the empty program", measured: most / least, unit: "times", limit: 1.5 },
    ];
    process.stdout.write(`${table(rows).join("\n")}\n`);
  } finally {
    for (const each of opened.reverse()) await each.close();
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
