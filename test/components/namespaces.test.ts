/** Two components of one program that make the same namespace, which only an update of a cluster would show. */
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import * as state from "@pulumi/pulumi/runtime/state";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { NatsJetStream, Postgres } from "../../components";
import { recordResources, valueOf } from "../support/mocks";

/** The SDK's own: it is what makes a run of components a program. */
const { setStackResource } = state as unknown as { setStackResource: (stack: pulumi.Resource | undefined) => void };

let programs = 0;
/** Declares what one program does. */
function program<T>(work: () => T): T {
  setStackResource(new pulumi.ComponentResource("test:index:Program", `program-${programs++}`));
  return work();
}

describe("a namespace that two components make", () => {
  beforeAll(recordResources);
  afterAll(() => setStackResource(undefined));

  it("is refused, with what makes it, what is allowed and an example", () => {
    const twice = () => program(() => [new NatsJetStream("one"), new NatsJetStream("two")]);
    expect(twice).toThrow(
      'the namespace "nats" is one that one-namespace makes, too; allowed: a namespace of its own for each component of a cluster; for example nats-2',
    );
  });

  it("is refused where components of two kinds make it", () => {
    const kinds = () =>
      program(() => [new NatsJetStream("one", { namespace: "a" }), new Postgres("two", { namespace: "a" })]);
    expect(kinds).toThrow(/^the namespace "a" is one that one-namespace makes, too/);
  });

  it("is not where each has its own, or each is in a cluster of its own, and the next program begins anew", async () => {
    const apart = () =>
      program(() => {
        const provider = (name: string) => new k8s.Provider(name, { kubeconfig: name });
        const one = new NatsJetStream("one");
        new NatsJetStream("two", { namespace: "nats-2" });
        new NatsJetStream("three", {}, { providers: [provider("east")] });
        new NatsJetStream("four", {}, { providers: { kubernetes: provider("west") } });
        new Postgres("five", {}, { provider: provider("north") });
        new Postgres("six", {}, { provider: provider("south") });
        return valueOf(one.namespace);
      });
    expect([await apart(), await apart()]).toEqual(["nats", "nats"]);
  });
});
