import * as pulumi from "@pulumi/pulumi";

/** A resource as a program declared it. */
export interface Declared {
  type: string;
  name: string;
  inputs: Record<string, unknown>;
}

const SECRET = "4dabf18193072939515e22adb298388d";

/** Takes the engine's wrapping of secrets off, at any depth. */
export function unwrap(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unwrap);
  if (value === null || typeof value !== "object") return value;
  if (SECRET in value) return unwrap((value as { value?: unknown }).value);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, unwrap(inner)]));
}

/** Replaces the engine for one test file; returns what the programs of the file declare. */
export async function recordResources(): Promise<Declared[]> {
  const declared: Declared[] = [];
  await pulumi.runtime.setMocks(
    {
      newResource: (args) => {
        const inputs = args.inputs as Record<string, unknown>;
        declared.push({ type: args.type, name: args.name, inputs });
        return { id: `${args.name}-id`, state: { ...inputs, ...outputsOf(args.type, args.name, inputs) } };
      },
      call: (args) => args.inputs as Record<string, unknown>,
    },
    "noetl-nats",
    "test",
  );
  return declared;
}

/** What the plugins would add to a resource's inputs, as far as the program reads it. */
function outputsOf(type: string, name: string, inputs: Record<string, unknown>): Record<string, unknown> {
  const metadata = { name, ...(unwrap(inputs.metadata) as object | undefined), uid: `${name}-uid` };
  if (type === "random:index/randomPassword:RandomPassword") return { result: `generated-${name}` };
  if (type === "random:index/randomId:RandomId") return { hex: `revision-of-${name}` };
  if (type === "kubernetes:helm.sh/v3:Release") return { status: { revision: 3, status: "deployed" } };
  // A Service that the program reads rather than declares: as upstream's gateway chart makes it.
  if (type === "kubernetes:core/v1:Service" && !inputs.spec) return { metadata, spec: { ports: [{ port: 80 }] } };
  return type.startsWith("kubernetes:") ? { metadata, status: {} } : {};
}

/** The value of an output, awaited. */
export function valueOf<T>(output: pulumi.Output<T>): Promise<T> {
  return new Promise((resolve) => output.apply((value) => (resolve(value), undefined)));
}

/** Resources register asynchronously: waits until none has been added for a few turns of the event loop. */
export async function settled(declared: readonly Declared[]): Promise<void> {
  for (let count = -1, quiet = 0; quiet < 5; quiet = declared.length === count ? quiet + 1 : 0) {
    count = declared.length;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
