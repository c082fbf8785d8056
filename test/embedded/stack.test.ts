import { expect, it } from "vitest";
import { natsCommandOf } from "../../config/logins";
import { parseSettings } from "../../config/parse";
import { embeddedConfig } from "../../embedded/stack";

it("the embedded stack's remedies run nothing in a pod, which its simulated nodes cannot", () => {
  const settings = parseSettings({ ...embeddedConfig("kubeconfig") });
  expect(natsCommandOf(settings, "embedded")).toEqual({ natsCommand: "npm run nats -- --stack embedded" });
});
