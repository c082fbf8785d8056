import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Files that take half a minute or more. They start first, so that no worker is left alone with one at the end. */
const LONG = [
  "contract/repair-model",
  "e2e/embedded",
  "doctor/doctor",
  "gke/engine",
  "plugin/engine",
  "e2e/kind",
  "diff/golden",
  "contract/repair",
  "contract/repair-cases",
  "contract/engine",
  "contract/replicas",
  "e2e/library",
  "plugin/replay",
  "diff/command",
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const index = LONG.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
      return index < 0 ? LONG.length : index;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

// One project per kind of test, so that each can be run on its own: `npx vitest run --project unit`.
export default defineConfig({
  test: {
    // Three files at a time for two cores: much of a test is waiting. Every file has servers, ports and folders of its own.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    reporters: ["default", "./test/setup/summary.ts"],
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/unit/**/*.test.ts", "test/policy/rules.test.ts"],
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: "gke",
          include: ["test/gke/**/*.test.ts", "test/policy/stacks.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 180_000,
          globalSetup: ["test/setup/tools.ts"],
        },
      },
      {
        test: {
          name: "workflows",
          include: ["test/workflows/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 300_000,
        },
      },
      {
        test: {
          name: "contract",
          include: ["test/contract/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          globalSetup: ["test/setup/tools.ts"],
        },
      },
      {
        test: {
          name: "cluster",
          include: [
            "test/charts/**/*.test.ts",
            "test/plugin/**/*.test.ts",
            "test/cluster/**/*.test.ts",
            "test/policy/engine.test.ts",
          ],
          testTimeout: 180_000,
          hookTimeout: 300_000,
          globalSetup: ["test/setup/tools.ts"],
        },
      },
      {
        test: {
          name: "doctor",
          include: ["test/doctor/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          globalSetup: ["test/setup/tools.ts"],
        },
      },
      {
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          testTimeout: 300_000,
          hookTimeout: 300_000,
          globalSetup: ["test/setup/tools.ts"],
        },
      },
      {
        test: {
          name: "diff",
          include: ["test/diff/**/*.test.ts"],
          testTimeout: 180_000,
          hookTimeout: 300_000,
          globalSetup: ["test/setup/diff.ts"],
        },
      },
    ],
  },
});
