/** Planted secrets of a stack, in all that the programs of `npm run kind:noetl` write. */
import * as path from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { PARTS } from "../../../commands/kind/parts";
import { redeploy } from "../../../commands/kind/redeploy";
import { foundIn, plantedSecrets } from "../../support/canaries";
import { Machine, NOETL_FILES } from "./machine";

const { secrets: SECRETS, text: TEXT } = plantedSecrets(7);
const [first = "", ...others] = SECRETS;

let machine: Machine;
beforeEach(() => {
  machine = new Machine();
  vi.stubEnv("PATH", machine.bin);
  vi.stubEnv("NOETL_NATS_CACHE", path.join(machine.home, "cache"));
  // Who logs in has a password of any alphabet: what a stack has put out is what was deployed, whatever settings allow today.
  const natsLogins = Object.fromEntries(
    others.map((password, index) => [`part${index}`, { user: `user${index}`, password }] as const),
  );
  machine.write("outputs", { natsPassword: first, natsLogins });
});
afterEach(() => {
  vi.unstubAllEnvs();
  machine.dispose();
});

/** All that the command writes, its failure included. */
async function written(): Promise<{ text: string; failed: boolean }> {
  const { folder } = machine.checkout("noetl", NOETL_FILES());
  const said: string[] = [];
  const look = () => Promise.resolve({ stack: "kind", cluster: "", lines: [], slow: [], holds: true });
  const signal = new AbortController().signal;
  const failure = await redeploy(
    PARTS.noetl,
    { folder, shown: "noetl" },
    { say: (line) => said.push(line), signal, look },
  ).then(
    () => undefined,
    (error: Error) => error.message,
  );
  return { text: [...said, failure ?? ""].join("\n"), failed: failure !== undefined };
}

const shows = (text: string): string[] => foundIn(text, SECRETS);

it("stay where they are while every step succeeds and talks", async () => {
  const talks = { prints: TEXT, says: TEXT };
  machine.faults({
    "docker build": talks,
    "kind load": talks,
    "pulumi config set-all": talks,
    "pulumi up": talks,
    "kubectl rollout": talks,
    "kubectl get pods": { says: TEXT },
  });
  const { text, failed } = await written();
  expect(failed).toBe(false);
  // They were there, in each of the four steps before the pods and in both of the pods'.
  expect(text.split("***").length).toBeGreaterThan(TEXT.split("\n").length);
  expect(shows(text)).toEqual([]);
});

it.each(["docker build", "kind load", "pulumi config set-all", "pulumi up", "kubectl rollout", "kubectl get pods"])(
  "stay where they are where %s fails and says them",
  async (step) => {
    machine.faults({ [step]: { code: 1, says: TEXT } });
    const { text, failed } = await written();
    expect(failed).toBe(true);
    expect(text).toContain("***");
    expect(shows(text)).toEqual([]);
  },
);
