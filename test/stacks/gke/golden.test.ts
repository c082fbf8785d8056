import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { CONFIGURATIONS } from "../../support/gke/configurations";
import { type Declared, run } from "../../support/gke/mocks";

const SIGNATURE = "4dabf18193072939515e22adb298388d";

/** A value with secrets hidden. */
function masked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(masked);
  if (value === null || typeof value !== "object") return value;
  if (SIGNATURE in value) return "[secret]";
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, masked(inner)]));
}

type Values = Record<string, unknown>;
const at = (value: unknown, ...keys: string[]): unknown =>
  keys.reduce<unknown>((inner, key) => (inner as Values | undefined)?.[key], value);

/** Of a Helm release what depends on the platform: sizes, places, exposure. The rest is the business of other tests. */
function ofRelease(inputs: Values): Values {
  // A secret somewhere in the values wraps them as a whole.
  const values = SIGNATURE in (inputs.values as Values) ? (inputs.values as { value: unknown }).value : inputs.values;
  const pick: readonly (readonly string[])[] = [
    ["config", "cluster"],
    ["config", "jetstream"],
    ["container", "merge", "resources"],
    ["reloader", "merge", "resources"],
    ["natsBox", "container", "merge", "resources"],
    ["server"],
    ["worker"],
    ["replicas"],
    ["resources"],
    ["service"],
    ["ingress"],
    ["topologySpreadConstraints"],
    ["env", "corsAllowedOrigins"],
    ["env", "publicUrl"],
    ["config", "server", "POSTGRES_HOST"],
    ["config", "server", "NOETL_POSTGRES_POOL_MAX_SIZE"],
    ["config", "worker", "NOETL_POSTGRES_POOL_MAX_SIZE"],
  ];
  const picked = pick.flatMap((keys) => {
    const value = at(values, ...keys);
    return value === undefined ? [] : [[keys.join("."), masked(value)] as const];
  });
  return {
    name: inputs.name,
    namespace: inputs.namespace,
    timeout: inputs.timeout,
    values: Object.fromEntries(picked),
  };
}

function ofObject(inputs: Values): Values {
  const { metadata, spec } = inputs as { metadata?: Values; spec?: Values };
  return {
    ...(metadata?.name ? { name: metadata.name } : {}),
    ...(metadata?.namespace ? { namespace: metadata.namespace } : {}),
    ...(metadata?.annotations ? { annotations: metadata.annotations } : {}),
    // The objects that are made for GKE alone are shown whole.
    ...(/^(BackendConfig|FrontendConfig)$/.test(String(inputs.kind)) || metadata?.name === "pgbouncer"
      ? { spec: masked(spec) }
      : {}),
    ...(at(inputs, "data", "pgbouncer.ini") ? { data: inputs.data } : {}),
    ...(spec?.volumeClaimTemplates ? { volumeClaimTemplates: spec.volumeClaimTemplates } : {}),
    ...(spec?.volumeClaimTemplates || spec?.backoffLimit !== undefined
      ? { resources: at(spec, "template", "spec", "containers", "0", "resources") }
      : {}),
  };
}

/** A stack's resources as the files hold them, by name. */
function text(declared: readonly Declared[]): string {
  return [...declared]
    .sort((a, b) => (a.name === b.name ? (a.type < b.type ? -1 : 1) : a.name < b.name ? -1 : 1))
    .map(({ type, name, inputs }) => {
      const shown = type.startsWith("kubernetes:helm.sh")
        ? ofRelease(inputs)
        : type.startsWith("kubernetes:")
          ? ofObject(inputs)
          : /^(gcp|pulumi:providers)/.test(type)
            ? (masked(inputs) as Values)
            : {};
      const title = `${name} (${type})`;
      if (Object.keys(shown).length === 0) return `${title}:\n`;
      return stringify({ [title]: shown }, { sortMapEntries: true, lineWidth: 0, aliasDuplicateObjects: false });
    })
    .join("");
}

describe("the resources of whole stacks are the reviewed ones (UPDATE_GOLDEN=1 rewrites test/stacks/gke/golden)", () => {
  it.each(CONFIGURATIONS)("$name", async ({ name, raw, facts }) => {
    const { declared, problems } = await run(raw, facts);
    expect(problems, "inputs that the official schemas do not allow").toEqual([]);
    const file = path.join(__dirname, "golden", `${name}.yaml`);
    const found = text(declared);
    expect(found).not.toContain("canary");
    if (process.env.UPDATE_GOLDEN === "1") fs.writeFileSync(file, found);
    expect(found).toBe(fs.readFileSync(file, "utf8"));
  });

  it("has no golden file without its configuration", () => {
    expect(fs.readdirSync(path.join(__dirname, "golden")).sort()).toEqual(
      CONFIGURATIONS.map(({ name }) => `${name}.yaml`).sort(),
    );
  });
});
