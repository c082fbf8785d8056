import type { ConfigMap, Stack } from "@pulumi/pulumi/automation";
import * as pulumi from "@pulumi/pulumi";
import { expect, it, vi } from "vitest";
import { natsCommandOf } from "../../config/logins";
import { parseSettings } from "../../config/parse";
import { PROJECT } from "../../contract/project";
import { embeddedConfig, STAND_IN_CHART, unsetWithout } from "../../embedded/settings";
import { configure, program } from "../../embedded/stack";
import { recordResources, settled } from "../support/mocks";

it("the embedded stack's remedies run nothing in a pod, which its simulated nodes cannot", () => {
  const settings = parseSettings({ ...embeddedConfig("kubeconfig") });
  expect(natsCommandOf(settings, "embedded")).toBe("npm run nats -- --stack embedded");
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

it("the embedded stack says what `pulumi up` says: what has no effect, and what is wrong with its settings without a stack trace", async () => {
  const declared = await recordResources();
  const set = (config: Readonly<Record<string, string>>) => {
    const own = { ...embeddedConfig("kubeconfig"), natsChart: STAND_IN_CHART, ...unsetWithout(config), ...config };
    pulumi.runtime.setAllConfig(
      Object.fromEntries(Object.entries(own).map(([key, value]) => [`${PROJECT}:${key}`, value])),
    );
  };
  const warn = vi.spyOn(pulumi.log, "warn").mockResolvedValue();
  const warnings = async (config: Readonly<Record<string, string>>) => {
    warn.mockClear();
    set(config);
    await program();
    await settled(declared);
    return warn.mock.calls.map(([said]) => said);
  };
  expect(await warnings({})).toEqual([]);
  expect(await warnings({ deployGateway: "false" })).toEqual([]);
  expect(await warnings({ deployGateway: "false", gatewayReplicas: "2" })).toEqual([
    "gatewayReplicas: no effect while deployGateway is false; for example pulumi config rm gatewayReplicas",
  ]);
  set({ natsJetstreamFileSize: "10GB" });
  const refused = await program().catch((error: unknown) => error);
  expect(pulumi.RunError.isInstance(refused)).toBe(true);
  expect((refused as Error).message).toContain("natsJetstreamFileSize");
});
