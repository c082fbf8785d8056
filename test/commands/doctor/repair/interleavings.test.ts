import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startNatsServer, type NatsServer } from "../../../support/nats";
import { Play, scenario, type Scenario, type RuleResult } from "./repair-model";

/** `REPAIR_SEED` plays other interleavings, `REPAIR_RUNS` more or fewer of them: `npm run test:long` a thousand. */
const SEED = Number(process.env.REPAIR_SEED ?? 20260302);
const RUNS = Number(process.env.REPAIR_RUNS ?? 50);
/** Scenarios that are played at once on one server, each with streams of its own. */
const TOGETHER = 12;

const wrong = ({ lost, doubled, unfinished }: RuleResult): boolean =>
  lost.length > 0 || doubled.length > 0 || unfinished !== "";

describe("whatever happens around a repair", () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNatsServer();
  });
  afterAll(() => server.stop());

  it(`${RUNS} random interleavings (seed ${SEED}): nothing is lost, and nothing comes twice unless it is said`, async () => {
    const scenarios = fc.sample(scenario, { numRuns: RUNS, seed: SEED });
    const failures: { scenario: Scenario; result: RuleResult }[] = [];
    let next = 0;
    // NATS' client makes an error for each request, whose stack nobody reads.
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    const player = async (): Promise<void> => {
      for (let index = next++; index < scenarios.length && failures.length < 5; index = next++) {
        const each = scenarios[index] as Scenario;
        const result = await Play.run(server, each, String(index));
        if (wrong(result)) failures.push({ scenario: each, result });
      }
    };
    await Promise.all(Array.from({ length: TOGETHER }, player)).finally(
      () => (Error.stackTraceLimit = stackTraceLimit),
    );
    expect(failures).toEqual([]);
  }, 1_800_000);
});
