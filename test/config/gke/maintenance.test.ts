import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  exclusionOf,
  maintenanceExclusions,
  maintenanceWindow,
  recurringWindow,
} from "../../../config/gke/maintenance";

describe("a maintenance window", () => {
  it.each([
    [
      "sat,sun 02:00-08:00",
      { startTime: "2025-01-11T02:00:00Z", endTime: "2025-01-11T08:00:00Z", recurrence: "FREQ=WEEKLY;BYDAY=SA,SU" },
    ],
    [
      "daily 22:30-02:30",
      { startTime: "2025-01-06T22:30:00Z", endTime: "2025-01-07T02:30:00Z", recurrence: "FREQ=DAILY" },
    ],
    [
      "daily 00:00-00:00",
      { startTime: "2025-01-06T00:00:00Z", endTime: "2025-01-07T00:00:00Z", recurrence: "FREQ=DAILY" },
    ],
    [
      "fri,mon 18:00-00:00",
      { startTime: "2025-01-06T18:00:00Z", endTime: "2025-01-07T00:00:00Z", recurrence: "FREQ=WEEKLY;BYDAY=MO,FR" },
    ],
  ])("%s is taken, and is what GKE has", (text, expected) => {
    expect(maintenanceWindow(text)).toBeUndefined();
    expect(recurringWindow(text)).toEqual(expected);
  });

  it.each([
    ["sat", "not a window"],
    ["sat 02:00", "not a window"],
    ["Sat 02:00-08:00", "not a window"],
    ["sat,sat 00:00-00:00", "not a window"],
    ["weekend 02:00-08:00", "not a window"],
    ["sat 24:00-08:00", "not a window"],
    ["daily 02:00-05:59", "shorter than 4 hours"],
    ["sat,sun 02:00-07:59", /^47\.9 hours in 32 days, and GKE wants 48$/],
    ["sat 00:00-11:00", "44 hours in 32 days, and GKE wants 48"],
  ])("%s is refused: %s", (text, problem) => {
    expect(maintenanceWindow(text)).toEqual(typeof problem === "string" ? problem : expect.stringMatching(problem));
  });

  it("begins on a day that it recurs on, and lasts as long as it says", () => {
    const days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    const clock = fc.integer({ min: 0, max: 1439 });
    fc.assert(
      fc.property(fc.subarray(days, { minLength: 1, maxLength: 6 }), clock, clock, (chosen, from, to) => {
        const text = (minutes: number) =>
          `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
        const { startTime, endTime, recurrence } = recurringWindow(`${chosen.join(",")} ${text(from)}-${text(to)}`);
        const [start, end] = [new Date(startTime), new Date(endTime)];
        const day = days[(start.getUTCDay() + 6) % 7] ?? "";
        expect(recurrence).toContain(day.slice(0, 2).toUpperCase());
        expect(end.getTime() - start.getTime()).toBe(((to - from + 1440) % 1440 || 1440) * 60_000);
      }),
    );
  });
});

describe("an exclusion", () => {
  it.each([
    ["2026-12-20/2027-01-05", "NO_UPGRADES", "2027-01-06T00:00:00Z"],
    ["2026-12-20/2026-12-20:all", "NO_UPGRADES", "2026-12-21T00:00:00Z"],
    ["2026-12-20/2026-12-31:minor", "NO_MINOR_UPGRADES", "2027-01-01T00:00:00Z"],
    ["2026-12-20/2028-02-28:minor-and-nodes", "NO_MINOR_OR_NODE_UPGRADES", "2028-02-29T00:00:00Z"],
  ])("%s keeps %s away until %s", (text, scope, endTime) => {
    expect(maintenanceExclusions([text])).toBeUndefined();
    expect(exclusionOf(text)).toMatchObject({
      startTime: "2026-12-20T00:00:00Z",
      endTime,
      exclusionOptions: { scope },
    });
  });

  it.each([
    [["2026-12-20"], /"2026-12-20" is not one$/],
    [["2027-01-05/2026-12-20"], /is not one$/],
    [["2026-02-30/2026-03-05"], /is not one$/],
    [["2026-12-20/2027-01-05:patches"], /is not one$/],
    [["2026-12-20/2027-01-05", "2026-12-20/2026-12-24"], /two exclusions begin on 2026-12-20$/],
    [Array.from({ length: 21 }, (_, day) => `2026-12-${10 + day}/2026-12-31`), /^more than 20 exclusions$/],
  ])("%j is refused", (values, problem) => expect(maintenanceExclusions(values)).toMatch(problem));
});
