/**
 * Builds a checkout, loads the image into the cluster, names it in the stack, updates, and looks at what runs then. Every step
 * can be done again: a failure leaves nothing that the next run does not bring to its end.
 */
import { PROJECT } from "../../contract/project";
import { masker } from "../../contract/mask";
import { CommandError, type ExitName } from "../shared/exit";
import { exitOf, type Checklist } from "../doctor/checklist";
import { checklistText, screenOf } from "../doctor/present";
import { readTarget, targetOf } from "../doctor/target";
import { unlessInterrupted } from "../shared/run";
import type { StackContent } from "../shared/engine";
import { verify } from "../doctor/verify";
import { lookAt } from "./checkout";
import { CLUSTER, CONTEXT, STACK, type Part } from "./parts";
import { preflight, preflightOfNew, settingsOf, type Ground } from "./preflight";
import { MINUTE, stepper, type Stepper } from "./steps";

/** Seconds that each step may take: a build may compile Rust, which takes long on a slow machine. */
export const DEADLINES = {
  stack: MINUTE,
  build: 60 * MINUTE,
  load: 10 * MINUTE,
  set: MINUTE,
  up: 30 * MINUTE,
  rollout: 10 * MINUTE,
  pods: 30,
} as const;

export interface RedeployContext {
  /** Takes each line for the user. */
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
  /** Reads the deployed stack and goes through its checklist. */
  readonly look?: () => Promise<Checklist>;
}

const lookAtDeployed = async (): Promise<Checklist> => verify(await readTarget(STACK));

/**
 * @param folder Absolute path of the checkout; `shown` is how the user named it.
 * @throws CommandError `usage` with everything that is missing, `unknown` where a step fails.
 */
export async function redeploy(
  part: Part,
  { folder, shown }: { folder: string; shown: string },
  { say, signal, look = lookAtDeployed }: RedeployContext,
): Promise<ExitName> {
  say("Preflight: the checkout, docker, kind, kubectl, the cluster and the stack.");
  const ground = await unlessInterrupted(signal, preflight(part, { folder, shown }, signal));
  if (ground === undefined) return "interrupted";
  const { checkout } = ground;
  say(`${shown} is ${checkout.description}; the image is ${checkout.image}.`);
  const stepsWith = (stack?: StackContent): Stepper =>
    stepper({ say, signal, mask: masker(stack === undefined ? [] : targetOf(STACK, stack).secrets) });

  if (ground.stack === undefined) await makeStack(ground, stepsWith());
  const stack = ground.stack ?? (await unlessInterrupted(signal, preflightOfNew(part, ground)));
  if (stack === undefined) return "interrupted";
  const step = stepsWith(stack);
  await build(part, { shown, ground }, step);
  await step({
    does: `kind copies the image to the nodes of cluster ${CLUSTER}`,
    call: { command: "kind", args: ["load", "docker-image", checkout.image, "--name", CLUSTER] },
    deadlineSeconds: DEADLINES.load,
    failed: "The stack's settings are as they were.",
  });
  await update(part, ground, step);
  const strays = await podsOfAnotherImage(part, checkout.image, step);
  say(strays.length > 0 ? strays.join("\n") : `The pods of ${part.deployments.join(" and ")} run ${checkout.image}.`);
  say(`The checklist: npm run verify -- --stack ${STACK}\n`);
  const found = await unlessInterrupted(signal, look());
  if (found === undefined) return "interrupted";
  say(checklistText(found, screenOf(process.stdout)));
  return strays.length > 0 ? "wrong" : exitOf(found);
}

/** Makes the stack where there is none; before the build, because a missing passphrase shows here. */
async function makeStack({ engine }: Ground, step: Stepper): Promise<void> {
  await step({
    does: `Pulumi makes the stack ${STACK}`,
    call: { ...engine, args: ["stack", "select", "--create", STACK, "--non-interactive"] },
    deadlineSeconds: DEADLINES.stack,
    failed: "Nothing was built or changed.",
  });
}

/** Builds the image for the machine's own architecture, and sees that it holds what its tag says. */
async function build(part: Part, { shown, ground }: { shown: string; ground: Ground }, step: Stepper): Promise<void> {
  const { folder, image } = ground.checkout;
  await step({
    does: `Docker builds ${image} of ${shown} by ${part.dockerfile}`,
    call: {
      command: "docker",
      args: ["build", "--tag", image, "--file", `${folder}/${part.dockerfile}`, folder],
      // With the attestations that Docker adds otherwise, kind cannot load an image of its containerd store
      // (kubernetes-sigs/kind#3795).
      env: { ...process.env, BUILDX_NO_DEFAULT_ATTESTATIONS: "1" },
    },
    deadlineSeconds: DEADLINES.build,
    failed: "The stack's settings are as they were.",
  });
  const { checkout } = await lookAt(part, folder, shown);
  if (checkout?.image === image) return;
  throw new CommandError(
    `${shown} was changed while it was built: the image may hold a part of the change. The stack's settings are as they were. ` +
      "Run the command again.",
  );
}

/** Names the image in the stack and updates it. */
async function update(part: Part, { engine, stack, checkout }: Ground, step: Stepper): Promise<void> {
  const settings = Object.entries(settingsOf(part, checkout));
  await step({
    does: `Pulumi sets ${settings.map(([key, value]) => `${key} ${value}`).join(" and ")} in stack ${STACK}`,
    call: {
      ...engine,
      // All or none. Plain text on purpose: a hash looks like a password to the engine.
      args: [
        ...["config", "set-all", "--stack", STACK, "--non-interactive"],
        ...settings.flatMap(([key, value]) => ["--plaintext", `${PROJECT}:${key}=${value}`]),
      ],
    },
    deadlineSeconds: DEADLINES.set,
    failed: "The stack's settings are as they were.",
  });
  const before = stack?.config[part.setting];
  const back =
    before === undefined || before === checkout.image
      ? ""
      : ` Back to the image before: pulumi config set ${part.setting} ${before} --stack ${STACK} && npm run kind:up`;
  await step({
    does: "Pulumi updates the stack",
    call: { ...engine, args: ["up", "--yes", "--skip-preview", "--stack", STACK, "--non-interactive"] },
    deadlineSeconds: DEADLINES.up,
    failed: `The image is in the cluster and ${part.setting} names it; why it fails: npm run doctor -- --stack ${STACK}.${back}`,
  });
}

interface Pod {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly spec: { readonly containers: readonly { readonly image: string }[] };
}

/** Waits until the Deployments have replaced their pods; a sentence for each that does not run the image then. */
async function podsOfAnotherImage({ deployments, namespace }: Part, image: string, step: Stepper): Promise<string[]> {
  const at = ["--context", CONTEXT, "--namespace", namespace];
  const failed = "The stack is updated; what keeps the pods: npm run doctor -- --stack kind.";
  const strays: string[] = [];
  for (const name of deployments) {
    await step({
      does: `Kubernetes replaces the pods of ${name}`,
      call: { command: "kubectl", args: ["rollout", "status", `deployment/${name}`, ...at] },
      deadlineSeconds: DEADLINES.rollout,
      failed,
    });
    const answer = await step({
      does: `The images of ${name}'s pods`,
      call: { command: "kubectl", args: ["get", "pods", "--selector", `app=${name}`, "--output", "json", ...at] },
      deadlineSeconds: DEADLINES.pods,
      failed,
      isQuiet: true,
    });
    const pods = (JSON.parse(answer) as { items: Pod[] }).items.filter(({ metadata }) => !metadata.deletionTimestamp);
    if (pods.length === 0) strays.push(`${name} has no pods.`);
    for (const { metadata, spec } of pods) {
      const images = spec.containers.map((container) => container.image);
      if (!images.includes(image)) strays.push(`Pod ${metadata.name} runs ${images.join(", ")}, not ${image}.`);
    }
  }
  return strays;
}
