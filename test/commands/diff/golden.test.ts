import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { markdown } from "../../../commands/diff/present/markdown";
import { text } from "../../../commands/diff/present/text";
import type { ChangeReport } from "../../../commands/diff/report";
import { Comparison, edit } from "./support";

/** Scripted changes, each with a reviewed report in `golden/` and the rules of the risks that it must find. */
const CASES: readonly {
  name: string;
  risks: readonly string[];
  config?: Record<string, string>;
  edit?: (root: string) => void;
  /** Also kept as the comment that GitHub shows. */
  markdown?: boolean;
}[] = [
  { name: "nothing", risks: [], markdown: true },
  { name: "worker-tuning", risks: [], config: { workerMaxAckPending: "128", workerFetchTimeoutSeconds: "60" } },
  {
    name: "subject",
    risks: ["contract-broken", "image"],
    // Older ones publish on the default subject whatever is set.
    config: { natsSubject: "noetl.work", noetlImage: "ghcr.io/noetl/noetl:v2.11.0" },
    markdown: true,
  },
  { name: "stream", risks: ["stream-renamed"], config: { natsStream: "OTHER_COMMANDS" } },
  { name: "consumer", risks: ["stream-renamed"], config: { natsConsumer: "night_shift" } },
  {
    name: "retention",
    risks: ["contract-broken"],
    edit: (root) =>
      edit(root, "config/contract.ts", "replicas: streamReplicas", 'retention: "workqueue", replicas: streamReplicas'),
  },
  {
    name: "smaller-volumes",
    risks: ["replaced", "smaller-storage", "volume-claim-template"],
    config: { natsJetstreamFileSize: "4Gi", postgresStorageSize: "5Gi" },
  },
  {
    name: "other-volumes",
    risks: ["replaced", "volume-claim-template"],
    config: { natsStorageClass: "fast", natsJetstreamFileSize: "8Gi", postgresStorageClass: "fast" },
  },
  {
    name: "password",
    risks: ["credential-rotation"],
    edit: (root) =>
      fs.appendFileSync(
        path.join(root, "Pulumi.kind.yaml"),
        "  noetl-nats:natsPassword:\n    secure: v1:bm9uY2U=:c2VjcmV0\n",
      ),
  },
  // Another spelling is another text of the release, and the same volume.
  { name: "same-size", risks: [], config: { natsJetstreamFileSize: "5120Mi" } },
  { name: "memory-store", risks: ["nats-restart"], config: { natsJetstreamMemSize: "2Gi" } },
  { name: "guard-off", risks: ["contract-guard"], config: { contractGuard: "off" } },
  {
    name: "guard-watches",
    risks: ["contract-guard", "unguarded-rolls"],
    config: { contractGuard: "watch", natsGuardRolls: "false" },
  },
  { name: "another-cluster", risks: ["another-cluster"], config: { kubeContext: "production" } },
  { name: "another-database", risks: ["another-place"], config: { noetlDatabase: "noetl_new" } },
  { name: "postgres-major", risks: ["image", "postgres-major-version"], config: { postgresImage: "postgres:18.1" } },
  { name: "latest-image", risks: ["image"], config: { noetlImage: "ghcr.io/noetl/noetl:latest" } },
  {
    name: "gateway-on",
    risks: ["image"],
    config: { deployGateway: "true", gatewayImage: "registry.example.com/noetl/gateway:v2.14.1" },
    markdown: true,
  },
  {
    name: "external-database",
    risks: ["another-place", "credential-rotation", "deleted"],
    config: { deployPostgres: "false", postgresHost: "db.example.org", postgresPassword: "Canary-Password.77" },
  },
  { name: "ensured", risks: [], config: { contractMode: "ensure" } },
  { name: "cluster", risks: ["nats-restart"], config: { natsReplicas: "3" } },
  {
    name: "chart-edited",
    risks: ["chart-major-version", "scaled-to-zero"],
    config: { workerReplicas: "0" },
    edit: (root) => {
      edit(root, "charts/noetl/Chart.yaml", "version: 0.1.0", "version: 1.0.0");
      edit(root, "charts/noetl/templates/server.yaml", "kind: Deployment", "kind: Deployment # edited");
    },
  },
  {
    name: "random-field",
    risks: [],
    edit: (root) =>
      fs.writeFileSync(
        path.join(root, "charts/noetl/templates/random.yaml"),
        'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: drawn\ndata:\n  lucky: {{ randAlphaNum 9 | quote }}\n  fixed: "1"\n',
      ),
  },
  {
    name: "plain-credential",
    risks: ["plain-credential"],
    edit: (root) =>
      fs.writeFileSync(
        path.join(root, "charts/noetl/templates/leak.yaml"),
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: leak\ndata:\n  API_TOKEN: Canary-Token-4711\n  url: https://bob:Canary-Url-99@example.org/x\n",
      ),
  },
];

/** Run once with `UPDATE_GOLDEN=1` to write the files, then read what changed. */
const UPDATE = process.env.UPDATE_GOLDEN === "1";

function golden(file: string, report: string): void {
  // Every edit of a chart gives another one.
  const actual = report.replace(/(chartDigest: )[0-9a-f]{16}/g, "$1(digest)");
  const name = path.join(__dirname, "golden", file);
  if (UPDATE) fs.writeFileSync(name, actual);
  expect(actual).toBe(fs.readFileSync(name, "utf8"));
}

describe("the report of a scripted change", () => {
  let comparison: Comparison;
  const reports: ChangeReport[] = [];
  beforeAll(async () => {
    comparison = await Comparison.open();
  });
  afterAll(() => comparison.close());

  it.each(CASES)("$name", async ({ name, risks, config, edit: change, markdown: asComment }) => {
    const report = await comparison.with({ ...(config ? { config } : {}), ...(change ? { edit: change } : {}) });
    reports.push(report);
    expect([...new Set(report.risks.map(({ rule }) => rule))].sort()).toEqual(risks);
    golden(`${name}.txt`, text(report));
    if (asComment) golden(`${name}.md`, markdown(report, { maxSize: 60_000 }));
  });

  it("shows no canary in any of them", () => {
    expect(reports).toHaveLength(CASES.length);
    expect(JSON.stringify(reports)).not.toMatch(/Canary-(Password|Token|Url)/);
  });

  it("keeps every golden file in use", () => {
    const expected = CASES.flatMap(({ name, markdown: asComment }) => [
      `${name}.txt`,
      ...(asComment ? [`${name}.md`] : []),
    ]);
    expect(fs.readdirSync(path.join(__dirname, "golden")).sort()).toEqual(expected.sort());
  });
});

// What only a deployment tells, logins and authorities, stands in these stacks' releases.
describe("a stack with a login for each part and TLS", () => {
  const CLOSED = {
    natsUsers: "each",
    natsBox: "false",
    deployGateway: "true",
    gatewayImage: "example.com/gateway:v2.14.1",
  };
  let comparison: Comparison;
  beforeAll(async () => {
    comparison = await Comparison.open({ ...CLOSED, natsTls: "generated" });
  });
  afterAll(() => comparison.close());

  it.each(["generated", "provided", "cert-manager"])("is compared with its charts: natsTls %s", async (natsTls) => {
    const source = { provided: { natsTlsSecret: "mine" }, "cert-manager": { natsTlsIssuer: "ClusterIssuer/mine" } };
    const { natsTlsSecret, natsTlsIssuer }: Record<string, string> = source[natsTls as keyof typeof source] ?? {};
    const config = {
      ...CLOSED,
      natsTls,
      ...(natsTlsSecret ? { natsTlsSecret } : {}),
      ...(natsTlsIssuer ? { natsTlsIssuer } : {}),
    };
    const report = await comparison.with({ config: { ...config, workerReplicas: "3" } });
    const worker = report.objects.find(({ name }) => name === "noetl-worker");
    expect(worker?.changes).toContainEqual(expect.objectContaining({ path: "spec.replicas", old: 2, new: 3 }));
    const url = report.environment.flatMap(({ rows }) => rows.filter(({ name }) => name === "NATS_URL"));
    expect(url.map(({ new: now }) => now)).not.toContain("(known after deployment)");
  });
});
