/** What a preview says has no effect has none: the program declares the same with and without it. */
import * as gcp from "@pulumi/gcp";
import * as pulumi from "@pulumi/pulumi";
import { beforeAll, describe, expect, it } from "vitest";
import { idleWarnings } from "../../../config/idle";
import { isChanged, parseSettings, SETTING_KEYS, shownDefault } from "../../../config/parse";
import { type Setting, type SettingKey, SETTINGS } from "../../../config/schema";
import { deploy } from "../../../program";
import { declare } from "../../../stacks/gke/declare";
import type { GkeSettings } from "../../../stacks/gke/preflight";
import { FACTS, FRESH } from "../../support/gke/configurations";
import { type Declared, recordResources, settled, unwrap, valueOf } from "../../support/mocks";
import { problemsOf } from "../../support/settings";

type Raw = Readonly<Record<string, string>>;

/** The keys that a configuration's warnings name. */
const named = (raw: Raw): string[] =>
  idleWarnings(parseSettings(raw), (key) => isChanged(key, raw)).flatMap(
    (each) => each.split(":")[0]?.split(", ") ?? [],
  );

const PASSWORD = "k3Wq-9zLr_82Xv";

/** Values that a setting takes beside its default. */
function others(key: SettingKey): string[] {
  const { kind, example } = SETTINGS[key] as unknown as Setting<unknown>;
  const usual = shownDefault(key);
  const next = String(Number(usual || example) + 1);
  const texts = [
    "other_name",
    "other.",
    "2Gi",
    "DEBUG",
    "own",
    "watch",
    "restricted",
    "2.8",
    "file",
    "7",
    "./charts/other",
  ];
  const all =
    kind === "boolean"
      ? ["true", "false"]
      : kind === "integer" || kind === "number"
        ? [next, "7"]
        : [example, ...texts];
  return all.filter((each) => each !== usual && each !== "");
}

/** A configuration with everything changed that may be, but for what makes it what it is. */
function crowded(base: Raw): Raw {
  let raw = base;
  for (const key of SETTING_KEYS.filter((each) => !(each in base)))
    for (const value of others(key)) {
      const next = { ...raw, [key]: value };
      if (problemsOf(next).length > 0) continue;
      // A part that is switched on or off would make another stack of it.
      if (SETTINGS[key].group !== "Parts" && key !== "useCloudSql") raw = next;
      break;
    }
  return raw;
}

describe("what is said to have no effect", () => {
  let declared: Declared[];
  beforeAll(async () => {
    declared = await recordResources();
  });

  /** A contract of declared objects alone has NoETL's terms among its inputs, and nobody reads them. */
  const withoutTerms = ({ inputs, ...rest }: Declared) =>
    inputs.declaredOnly === true
      ? { ...rest, inputs: { ...inputs, worker: undefined, expect: undefined } }
      : { ...rest, inputs };

  /** Everything that a stack declares, and its outputs. */
  async function stack(raw: Raw): Promise<unknown> {
    declared.length = 0;
    const settings = parseSettings(raw);
    const platform =
      settings.platform === "gke"
        ? declare(settings as GkeSettings, {
            facts: FACTS,
            cloud: new gcp.Provider("google", { project: "acme-noetl" }),
            services: undefined,
          })
        : undefined;
    const outputs = await valueOf(pulumi.output(deploy(settings, platform) as Record<string, unknown>));
    await settled(declared);
    return unwrap([declared.map(withoutTerms).sort((a, b) => (a.type + a.name < b.type + b.name ? -1 : 1)), outputs]);
  }

  it.each<[string, Raw, number]>([
    ["no gateway", {}, 14],
    [
      "NATS and Postgres elsewhere",
      {
        deployNats: "false",
        natsHost: "nats.example.org",
        natsPassword: PASSWORD,
        deployPostgres: "false",
        postgresHost: "10.1.2.3",
        postgresPassword: PASSWORD,
      },
      18,
    ],
    ["no NoETL, with a gateway", { deployNoetl: "false", deployGateway: "true" }, 45],
    ["no NoETL, with Cloud SQL", { ...FRESH, deployNoetl: "false" }, 45],
  ])(
    "changes nothing of what is declared: %s",
    async (_, base, least) => {
      const raw = crowded(base);
      const idle = named(raw);
      expect(idle.length).toBeGreaterThanOrEqual(least);
      const read = Object.fromEntries(Object.entries(raw).filter(([key]) => !idle.includes(key)));
      expect(await stack(raw)).toEqual(await stack(read));
    },
    30_000,
  );
});
