import { expect, it } from "vitest";
import { GAP_SECONDS, gapWithLeader, goesOn, type Event } from "../../bench/goes-on/availability";
import { WORKER_TUNING } from "../../contract/facts";

it("three servers go on at 500 commands a second while they are rolled, and while the stream's leader is killed", async () => {
  const events: Event[] = ["rolling restart", "kill -9 of the stream's leader"];
  for (const [event, outcome] of await goesOn("memory", events)) {
    expect(outcome.acknowledged, event).toBeGreaterThan(500);
    expect(outcome.lost, event).toBe(0);
    expect(outcome.deliveries, event).toBeLessThanOrEqual(WORKER_TUNING.maxDeliver);
    expect(gapWithLeader(outcome), event).toBeLessThanOrEqual(GAP_SECONDS);
  }
}, 120_000);
