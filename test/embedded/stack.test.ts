import type { ConfigMap, Stack } from "@pulumi/pulumi/automation";
import { expect, it } from "vitest";
import { natsCommandOf } from "../../config/logins";
import { parseSettings } from "../../config/parse";
import { PROJECT } from "../../contract/project";
import { configure, embeddedConfig } from "../../embedded/stack";

it("the embedded stack's remedies run nothing in a pod, which its simulated nodes cannot", () => {
  const settings = parseSettings({ ...embeddedConfig("kubeconfig") });
  expect(natsCommandOf(settings, "embedded")).toEqual({ natsCommand: "npm run nats -- --stack embedded" });
});

it.each([
  ["loses the nats-box that it was made with", {}, "false"],
  ["has one where it is asked for", { natsBox: "true" }, "true"],
])("an embedded stack of before %s", async (_, asked, expected) => {
  const key = `${PROJECT}:natsBox`;
  const present: ConfigMap = { [key]: { value: "true", secret: false } };
  const set: ConfigMap = {};
  const stack = {
    setAllConfig: (config: ConfigMap) => Promise.resolve(Object.assign(set, config)),
  } as unknown as Stack;
  const config = await configure(
    stack,
    { ...embeddedConfig("kubeconfig"), ...asked },
    { pulumi: "none", envVars: {}, present },
  );
  expect({ ...present, ...set }[key]?.value).toBe(expected);
  expect(config[key]?.value).toBe(expected);
});
