import { expect, it } from "vitest";
import { GAP_SECONDS, gapWithLeader, goesOn, type Event } from "../../bench/goes-on/availability";
import { WORKER_TUNING } from "../../contract/facts";

const MOST_RUNS = 3;

it("three servers go on at 500 commands a second while they are rolled, and while the stream's leader is killed", async () => {
  const events: Event[] = ["rolling restart", "kill -9 of the stream's leader"];
  // How long the gap is, a machine decides that is busy with other tests as well: the shortest of some counts, and the rest each time.
  const gaps = new Map<Event, number>(events.map((event) => [event, Infinity]));
  const tooLong = () => events.filter((event) => (gaps.get(event) ?? Infinity) > GAP_SECONDS);
  for (let run = 1; run <= MOST_RUNS && tooLong().length > 0; run++) {
    for (const [event, outcome] of await goesOn("memory", tooLong())) {
      expect(outcome.acknowledged, event).toBeGreaterThan(500);
      expect(outcome.lost, event).toBe(0);
      expect(outcome.deliveries, event).toBeLessThanOrEqual(WORKER_TUNING.maxDeliver);
      gaps.set(event, gapWithLeader(outcome));
    }
  }
  expect(tooLong().map((event) => `${event}: ${gaps.get(event)} s`)).toEqual([]);
}, 600_000);
