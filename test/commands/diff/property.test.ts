import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { identityOf, type KubeObject } from "../../../commands/diff/objects";
import { FORMATS } from "../../../commands/diff/options";
import { present } from "../../../commands/diff/present";
import type { ChangeReport } from "../../../commands/diff/report";
import { allObjects } from "../../../commands/diff/side";
import { Comparison } from "./support";

/** Secrets that no report may show, in any spelling. */
const OLD = { natsPassword: "Canary-Nats.Old1", postgresPassword: "Canary-Pg_Old~2", noetlPassword: "CanaryNoetlOld3" };
const NEW = { natsPassword: "Canary-Nats.New1", postgresPassword: "Canary-Pg_New~2", noetlPassword: "CanaryNoetlNew3" };

const GATEWAY = { deployGateway: "true", gatewayImage: "registry.example.com/noetl/gateway:v2.14.1" };

/** Changes of the configuration that the program accepts. */
const anyChange = fc.record(
  {
    natsPassword: fc.constant(NEW.natsPassword),
    postgresPassword: fc.constant(NEW.postgresPassword),
    noetlPassword: fc.constant(NEW.noetlPassword),
    natsStream: fc.constantFrom("WORK", "OTHER_COMMANDS"),
    natsJetstreamFileSize: fc.constantFrom("4Gi", "6Gi", "1Ti"),
    natsJetstreamMemSize: fc.constantFrom("512Mi", "2Gi"),
    natsReplicas: fc.constantFrom("3", "5"),
    workerMaxAckPending: fc.integer({ min: 1, max: 1000 }).map(String),
    workerReplicas: fc.integer({ min: 0, max: 9 }).map(String),
    noetlLogLevel: fc.constantFrom("DEBUG", "ERROR"),
    corsAllowedOrigins: fc.constantFrom("https://a.example.org", "https://a.example.org,https://b.example.org"),
    natsSessionCacheTtlSeconds: fc.integer({ min: 1, max: 9999 }).map(String),
    postgresStorageSize: fc.constantFrom("5Gi", "20Gi"),
  },
  { requiredKeys: [] },
);

/** All scalars of an object, without paths: an independent look at what changed. */
function scalars(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(scalars);
  if (value !== null && typeof value === "object") return Object.values(value).flatMap(scalars);
  return [String(value)];
}

const minus = (from: readonly string[], take: readonly string[]): string[] => {
  const left = [...take];
  return from.filter((value) => {
    const index = left.indexOf(value);
    if (index >= 0) left.splice(index, 1);
    return index < 0;
  });
};

/** What the report says of an object, as one text. */
function reported(report: ChangeReport, object: KubeObject): string {
  const found = report.objects.find(
    ({ kind, name, namespace }) =>
      kind === object.kind && name === object.metadata?.name && (namespace ?? "") === (object.metadata.namespace ?? ""),
  );
  return found
    ? found.changes.map(({ old, new: now, lines }) => [old, now, ...(lines ?? [])].join("\n")).join("\n")
    : "";
}

describe("for random changes of the configuration", () => {
  let comparison: Comparison;
  beforeAll(async () => {
    comparison = await Comparison.open({ ...OLD, ...GATEWAY });
  });
  afterAll(() => comparison.close());

  // Each evaluates the program and renders the charts, so they are few; `DIFF_SEED` tries others.
  const changes = fc.sample(anyChange, { numRuns: 5, seed: Number(process.env.DIFF_SEED ?? 42) });
  it.each(
    changes.map((change) => [JSON.stringify(Object.fromEntries(Object.entries(change).sort())), change] as const),
  )("every changed leaf is in the report and no secret in any format: %s", async (_name, change) => {
    const { report, sides } = await comparison.sidesWith({ config: { ...OLD, ...GATEWAY, ...change } });
    const olds = new Map(allObjects(sides.base).map((object) => [identityOf(object), object]));
    for (const object of allObjects(sides.head).filter(({ kind }) => kind !== "Secret")) {
      const old = olds.get(identityOf(object));
      const text = reported(report, object);
      const [before, after] = [scalars(old ?? {}), scalars(object)];
      // Stand-ins and checksums are shown by a word, and of a long text the lines that differ.
      const isShown = (value: string) => !/^\d{10}$|x[0-9a-f]{11}|^[0-9a-f]{63,64}$|\n/.test(value);
      for (const value of [...minus(after, before), ...minus(before, after)].filter(isShown)) {
        expect(text, `${identityOf(object)}: ${value}`).toContain(value);
      }
    }
    for (const format of FORMATS) {
      const shown = present(report, format, { maxSize: 60_000 });
      for (const secret of [...Object.values(OLD), ...Object.values(NEW)]) {
        for (const spelling of [secret, Buffer.from(secret).toString("base64"), encodeURIComponent(secret)]) {
          expect(shown.includes(spelling), `${format} shows ${spelling}`).toBe(false);
        }
      }
    }
  });
});
