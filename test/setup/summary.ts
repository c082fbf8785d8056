import * as fs from "node:fs";
import type { Reporter, TestModule } from "vitest/node";

/** A file in which the runs of one job add up what they counted: `.ci/run` has two. */
const SUM = process.env.TEST_SUMMARY;

/** Closes a run with the plain line "N passed, N failed". A file that fails to load counts as one failed test. */
export default class Summary implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    let passed = 0;
    let failed = unhandled.length;
    for (const module of modules) {
      if (module.errors().length > 0) failed++;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === "passed") passed++;
        // A skipped test has proven nothing, so it must not look like a success.
        else failed++;
      }
    }
    if (SUM !== undefined && SUM !== "") {
      const [before = 0, failedBefore = 0] = (fs.readFileSync(SUM, "utf8").match(/\d+/g) ?? []).map(Number);
      [passed, failed] = [passed + before, failed + failedBefore];
      fs.writeFileSync(SUM, `${passed} passed, ${failed} failed\n`);
    }
    // The default reporter writes its own summary in the same phase; the plain line comes after it.
    process.on("exit", () => process.stdout.write(`${passed} passed, ${failed} failed\n`));
  }
}
