import type { Reporter, TestModule } from "vitest/node";

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
    // The default reporter writes its own summary in the same phase; the plain line comes after it.
    process.on("exit", () => process.stdout.write(`${passed} passed, ${failed} failed\n`));
  }
}
