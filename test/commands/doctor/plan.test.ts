import type { ConsumerInfo, StreamInfo } from "nats";
import { describe, expect, it } from "vitest";
import { withDefaults, type ContractArguments } from "../../../contract/inputs";
import type { Observed } from "../../../contract/rules";
import { streamToMake } from "../../../commands/doctor/repair/consumers";
import { intentOf, planRepair, type Inventory } from "../../../commands/doctor/repair/plan";
import { CONSUMER_CONFIG, IDLE, STREAM_CONFIG } from "./configs";

const INVENTORY: Inventory = { subjects: {}, consumers: [], listens: true };

const stream = (config: object = {}): StreamInfo =>
  ({
    config: { ...STREAM_CONFIG, ...config },
    created: "2026-03-02T10:00:00Z",
    state: { messages: 3, bytes: 300, consumer_count: 1 },
  }) as unknown as StreamInfo;

const consumer = (name: string, config: object = {}): ConsumerInfo =>
  ({
    name,
    stream_name: "NOETL_COMMANDS",
    config: { ...CONSUMER_CONFIG, durable_name: name, ...config },
    ...IDLE,
  }) as unknown as ConsumerInfo;

function intent(args: ContractArguments, observed: Observed, inventory = INVENTORY) {
  const inputs = withDefaults(args);
  const plan = planRepair(inputs, observed, inventory);
  const target = streamToMake(inputs, observed.stream?.config ?? {});
  return { plan, ...intentOf(plan, inputs, { folder: "/backup", target, inventory }) };
}

describe("what a repair says that it is going to do", () => {
  it("names both handovers of the subjects, each with what it leaves open", () => {
    const { steps } = intent({}, { stream: stream({ retention: "workqueue" }), consumer: undefined });
    expect(steps.map((step) => /^(first|second) handover|^[a-z]+ [a-z0-9]+/.exec(step)?.[0])).toEqual([
      "first handover",
      "back up",
      "remove stream",
      "write 3",
      "second handover",
      "remove stream",
      "restart noetl",
    ]);
    const handovers = steps.filter((step) => step.includes("handover"));
    expect(handovers[0]).toContain("stream NOETL_COMMANDS-repair takes what is published");
    expect(handovers[1]).toContain("the new stream NOETL_COMMANDS takes what is published");
    for (const step of handovers) {
      expect(step).toContain("so that no publish is refused; only killed in that instant, about a millisecond");
    }
  });

  it("promises nothing of a handover to a login that may not listen on the subject", () => {
    const found: Observed = { stream: stream({ retention: "workqueue" }), consumer: undefined };
    const { steps, losses } = intent({}, found, { ...INVENTORY, listens: false });
    expect(steps.join("\n")).not.toContain("no publish is refused");
    expect(losses.join("\n")).toContain("may not listen on the subject");
  });

  it("says what NATS refuses where a server of a cluster ends meanwhile, and nothing of it for a lone server", () => {
    const of = (replicas: number) =>
      intent(
        {},
        { stream: stream({ retention: "workqueue", num_replicas: replicas }), consumer: undefined },
      ).losses.filter((loss) => loss.includes("another leader"));
    expect(of(3)).toEqual([expect.stringContaining("4 to 9 seconds, as it does without a repair")]);
    expect(of(1)).toEqual([]);
  });

  it("names the consumer that a rule is about where there are several", () => {
    const names = ["pool_a", "pool_b"];
    const args = { consumers: names.map((name) => ({ name })) };
    const consumers = { pool_a: consumer("pool_a"), pool_b: consumer("pool_b", { ack_policy: "none" }) };
    const found = { stream: stream(), consumer: consumers.pool_a, consumers };
    const { plan, broken, steps } = intent(args, found);
    expect(plan.renews).toEqual(["pool_b"]);
    expect(broken).toEqual(["consumer-ack-policy of pool_b: found none, expected explicit"]);
    expect(steps[0]).toBe("remove consumer pool_b and create it as NoETL's worker does");
  });

  it("makes the first of several consumers new by its own name, and the only one whatever the contract calls it", () => {
    const bad = { ack_policy: "none" };
    const several = { pool_a: consumer("pool_a", bad), pool_b: consumer("pool_b") };
    expect(
      intent(
        { consumers: [{ name: "pool_a" }, { name: "pool_b" }] },
        { stream: stream(), consumer: several.pool_a, consumers: several },
      ).plan.renews,
    ).toEqual(["pool_a"]);
    const only = { stream: stream(), consumer: consumer("pool_a", bad) };
    expect(intent({ consumers: [{ name: "pool_a" }] }, only).plan.renews).toEqual(["pool_a"]);
  });

  it("names the worker's consumer, or the subject, that something was tried with", () => {
    const probe = {
      login: "user noetl",
      publishes: ["noetl.commands", "noetl.commands.shared.x"].map((subject) => ({
        subject,
        login: "user noetl",
        routes: [{ end: "refused" as const, words: "Permissions Violation" }],
      })),
      workers: [
        { consumer: "pool_a", login: "user noetl" },
        { consumer: "pool_b", login: "user noetl", fetch: "Permissions Violation" },
      ],
      maxPayload: 1_048_576,
    };
    const consumers = { pool_a: consumer("pool_a"), pool_b: consumer("pool_b") };
    const { leaves, plan } = intent(
      { consumers: [{ name: "pool_a" }, { name: "pool_b" }] },
      { stream: stream(), consumer: consumers.pool_a, consumers, probe },
    );
    expect(leaves.map((each) => each.replace(/: found.*/, ""))).toEqual([
      "publish-permission of noetl.commands by user noetl",
      "publish-permission of noetl.commands.shared.x by user noetl",
      "worker-fetch of pool_b",
    ]);
    expect(plan).toMatchObject({ fixes: [], changes: [], restarts: false });
  });
});
