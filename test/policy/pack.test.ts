import { expect, it, vi } from "vitest";
import "../../policy/index";
import { RULES } from "../../policy/rules";

const { policies } = vi.hoisted(() => ({ policies: [] as { name: string; enforcementLevel: string }[] }));
vi.mock("@pulumi/policy", async (original) => ({
  ...(await original<object>()),
  PolicyPack: class {
    constructor(_name: string, args: { policies: typeof policies }) {
      policies.push(...args.policies);
    }
  },
}));

it("the pack stops at every rule but those that only warn", () => {
  const levels = Object.fromEntries(policies.map(({ name, enforcementLevel }) => [name, enforcementLevel]));
  expect(Object.keys(levels)).toEqual(RULES.map(({ name }) => name));
  const warns = Object.keys(levels).filter((name) => levels[name] === "advisory");
  expect(warns).toEqual([
    "nats-tls",
    "root-read-only",
    "no-needless-token",
    "no-lasting-token",
    "releases-rendered",
    "charts-pinned",
  ]);
  expect(warns).toEqual(RULES.filter(({ advisory }) => advisory).map(({ name }) => name));
  // What sees encryption comes as a remediation, which counts as mandatory where it finds something.
  expect(levels["no-plaintext-credentials"]).toBe("remediate");
  expect(levels["control-plane-closed"]).toBe("mandatory");
});
