import { describe, expect, it } from "vitest";
import { withLive } from "../../../commands/diff/merge-live";
import { Masker } from "../../../contract/mask";
import type { LiveReport, LiveStep, ResourceChange } from "../../../commands/diff/report";
import { report } from "./reports";

const SET = "kubernetes:apps/v1:StatefulSet";
const urnOf = (type: string, name: string): string => `urn:pulumi:kind::noetl-nats::${type}::${name}`;

const step = (op: string, more: Partial<LiveStep> = {}, type = SET, name = "postgres-server"): LiveStep => ({
  urn: urnOf(type, name),
  type,
  name,
  op,
  differences: [],
  replaceReasons: [],
  ...more,
});
const live = (more: Partial<LiveReport>): LiveReport => ({ steps: [], counts: {}, diagnostics: [], ...more });
const planned = (op: ResourceChange["op"]): ResourceChange => ({
  op,
  urn: urnOf(SET, "postgres-server"),
  type: SET,
  name: "postgres-server",
  part: "database",
  because: [],
  changes: [],
});

describe("the engine's word, merged into the comparison", () => {
  it("warns of a replacement that the revisions do not explain, and says what it takes along", () => {
    const merged = withLive(
      report([], { resources: [planned("update")] }),
      live({ steps: [step("replace", { replaceReasons: ["spec.serviceName"] })], counts: { replace: 1, same: 20 } }),
    );
    expect(merged.risks).toEqual([
      {
        rule: "engine-only",
        level: "danger",
        subject: "StatefulSet postgres-server",
        text:
          "is replaced by the engine because of spec.serviceName, which the two revisions do not explain: the deployed " +
          "stack is not what the base revision says. This removes the StatefulSet; its pods stop, its volume claims stay.",
      },
    ]);
    expect(merged.counts.risks).toEqual({ danger: 1, warning: 0, notice: 0 });
    expect(merged.summary).toBe("Something changes. On the deployed stack: 1 replaced.");
  });

  it("says nothing twice", () => {
    const steps = [step("replace"), step("update", {}, "kubernetes:core/v1:Service", "postgres-service")];
    expect(withLive(report([], { resources: [planned("replace")] }), live({ steps })).risks).toEqual([]);
    const drift = [step("update", { differences: [{ path: "spec.replicas", kind: "update" }] })];
    expect(
      withLive(report([]), live({ steps, drift })).risks.map(({ rule, level, text }) => [rule, level, text]),
    ).toEqual([["drift", "danger", "is not what the stack's state says (spec.replicas); the update replaces it."]]);
  });

  it("tells what is gone, what the update does about it, and that nothing has drifted", () => {
    const gone = [step("delete", {}, "kubernetes:core/v1:Service", "postgres-service")];
    const steps = [step("create", {}, "kubernetes:core/v1:Service", "postgres-service")];
    expect(withLive(report([]), live({ steps, drift: gone, counts: { create: 1 } }))).toMatchObject({
      summary: "Something changes. On the deployed stack: 1 created; drifted from its state: 1.",
      risks: [{ level: "warning", text: "is gone, although the stack's state has it; the update recreates it." }],
    });
    const still = withLive(report([]), live({ drift: [], counts: { same: 3 } }));
    expect(still.summary).toBe(
      "Something changes. On the deployed stack: nothing to do; drifted from its state: nothing.",
    );
    // Which is not all that there is.
    expect(still.notes).toEqual([expect.stringMatching(/objects that its chart made does not show as drift/)]);
    expect(withLive(report([]), live({})).notes).toEqual([]);
  });
});

it("a URN is not a credential, whatever its types are called; a secret in a name is", () => {
  const masker = new Masker([], ["Canary-Name.4711"]);
  const secret = urnOf("noetl-nats:index:Postgres$kubernetes:core/v1:Secret", "postgres-auth");
  expect(masker.urn(secret)).toBe(secret);
  expect(masker.urn(urnOf("random:index/randomPassword:RandomPassword", "x"))).toContain(":RandomPassword::x");
  expect(masker.urn(urnOf("kubernetes:core/v1:Secret", "Canary-Name.4711"))).toMatch(/::\(secret\)$/);
});
