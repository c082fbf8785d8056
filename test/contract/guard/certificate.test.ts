import { describe, expect, it } from "vitest";
import { CertificateWatch } from "../../../contract/guard/certificate";
import { endOfCertificate } from "../../../contract/nats/certificate";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

describe("the guard's look at a certificate", () => {
  const ending = (at: number) => ({ names: [], issuer: "authority", from: new Date(0), to: new Date(at) });

  it("counts down between two looks, and finds a renewed one at the next", async () => {
    let now = 1000 * DAY;
    let served: number | undefined = now + DAY;
    let looks = 0;
    const watch = new CertificateWatch(
      () => {
        looks++;
        return Promise.resolve(served === undefined ? undefined : ending(served));
      },
      () => now,
    );
    expect(watch.secondsLeft()).toBeUndefined();
    await watch.look();
    expect(watch.secondsLeft()).toBe(86_400);
    served = now + 365 * DAY;
    now += 9 * MINUTE;
    await watch.look();
    expect([looks, watch.secondsLeft()]).toEqual([1, 86_400 - 540]);
    now += MINUTE;
    await watch.look();
    expect([looks, watch.secondsLeft()]).toEqual([2, 365 * 86_400 - 600]);
    // Of a server that is away nothing is known, and it is asked about again.
    watch.forget();
    expect(watch.secondsLeft()).toBeUndefined();
    served = undefined;
    await watch.look();
    await watch.look();
    expect([looks, watch.secondsLeft()]).toEqual([4, undefined]);
  });

  it("is one at a time, and does not fail", async () => {
    let fail: (error: Error) => void = () => undefined;
    let looks = 0;
    const watch = new CertificateWatch(() => {
      looks++;
      return new Promise((_, reject) => (fail = reject));
    });
    const both = [watch.look(), watch.look()];
    fail(new Error("no way"));
    await Promise.all(both);
    expect([looks, watch.secondsLeft()]).toEqual([1, undefined]);
  });
});

describe("the end of a certificate", () => {
  const now = Date.parse("2026-03-02T12:00:00Z");
  it.each([
    [31, "fine", "ends on 2026-04-02, in 31 days"],
    [1.5, "soon", "ends on 2026-03-04, in 1 day"],
    [0, "ended", "has ended on 2026-03-02"],
    [-2, "ended", "has ended on 2026-02-28"],
  ])("in %s days is %s", (days, state, says) => {
    expect(endOfCertificate(now + days * DAY, now)).toEqual({ state, says });
  });
});
