import { Provider as GoogleProvider } from "@pulumi/gcp/provider";
import * as pulumi from "@pulumi/pulumi";
import type { Facts } from "../../../stacks/gke/preflight";
import { parseSettings } from "../../../config/parse";
import { deploy } from "../../../program";
import { declare } from "../../../stacks/gke/declare";
import { enabledServices } from "../../../stacks/gke/services";
import { unwrap } from "../mocks";
import { called, created } from "../../../embedded/gcp/outputs";
import { FACTS } from "./configurations";
import { inputProblems } from "../../../embedded/gcp/schema";

/** A resource as a program declared it, and when: steps of a counter at its begin and its end. */
export interface Declared {
  readonly type: string;
  readonly name: string;
  /** As they were sent, secrets wrapped. */
  readonly inputs: Record<string, unknown>;
  readonly begin: number;
  end: number;
}

export interface Run {
  readonly declared: readonly Declared[];
  readonly outputs: Record<string, unknown>;
  /** Inputs that the official schemas do not allow. */
  readonly problems: readonly string[];
}

/** Settles once nothing is on its way to the engine. The SDK leaves it out of its published types. */
const { waitForRPCs } = pulumi.runtime as unknown as { waitForRPCs(this: void): Promise<void> };

/**
 * Runs the whole program for raw settings against mocks that answer like the plugins, hold every input of Google Cloud's
 * resources against the official schemas, and take `delay(n)` milliseconds for the n-th resource.
 */
export async function run(
  raw: Readonly<Record<string, string>>,
  facts: Facts = FACTS,
  delay: (index: number) => number = () => 0,
): Promise<Run> {
  const declared: Declared[] = [];
  const problems: string[] = [];
  let clock = 0;
  await pulumi.runtime.setMocks(
    {
      newResource: async (args) => {
        const inputs = args.inputs as Record<string, unknown>;
        const record: Declared = { type: args.type, name: args.name, inputs, begin: clock++, end: Infinity };
        declared.push(record);
        const wait = delay(record.begin);
        if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
        const plain = unwrap(inputs) as Record<string, unknown>;
        if (args.type.startsWith("gcp:")) problems.push(...inputProblems(args.type, plain));
        const { id, outputs } = answer(args.type, args.name, plain);
        record.end = clock++;
        return { id, state: { ...inputs, ...outputs } };
      },
      call: ({ token, inputs }) => {
        problems.push(...inputProblems(token, inputs as Record<string, unknown>));
        return called(token, inputs as Record<string, unknown>);
      },
    },
    "noetl-nats",
    "test",
  );
  const settings = parseSettings(raw);
  const cloud = new GoogleProvider("gcp", { project: settings.projectId, region: settings.region });
  const gke = { ...settings, projectId: settings.projectId ?? "" };
  const outputs = deploy(settings, declare(gke, { cloud, facts, services: enabledServices(gke, cloud) }));
  const resolved = await new Promise<Record<string, unknown>>((resolve, reject) => {
    const failed = (error: unknown) => reject(error instanceof Error ? error : new Error(String(error)));
    process.once("unhandledRejection", failed);
    pulumi.output(outputs).apply((value) => {
      process.off("unhandledRejection", failed);
      resolve(value);
      return value;
    });
  });
  await waitForRPCs();
  return { declared, outputs: resolved, problems };
}

/** What the plugins answer, as far as the program reads it. */
function answer(
  type: string,
  name: string,
  inputs: Record<string, unknown>,
): { id: string; outputs: Record<string, unknown> } {
  if (type.startsWith("gcp:")) {
    const { id, outputs } = created(type, inputs);
    return { id, outputs: outputs };
  }
  const metadata = { name, ...(inputs.metadata as object | undefined), uid: `${name}-uid` };
  const outputs: Record<string, unknown> = type.startsWith("kubernetes:helm.sh")
    ? { status: { revision: 3, status: "deployed" } }
    : type.startsWith("kubernetes:")
      ? { metadata, status: {} }
      : type === "random:index/randomPassword:RandomPassword"
        ? {
            result: [
              `canary-generated-${name}`,
              ...Object.values((inputs.keepers ?? {}) as Record<string, string>),
            ].join("-"),
          }
        : type === "random:index/randomId:RandomId"
          ? { hex: `revision-of-${name}` }
          : {};
  return { id: `${name}-id`, outputs };
}
