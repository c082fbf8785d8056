import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Files that take long, within their kind. They start first, so that no worker is left alone with one at the end. */
const LONG = [
  "commands/doctor/live/remedies",
  "e2e/changes",
  "e2e/rotation",
  "e2e/embedded",
  "commands/doctor/live/doctor",
  "commands/doctor/repair/interleavings",
  "contract/guard/trouble",
  "stacks/gke/engine",
  "embedded/plugin/engine",
  "e2e/kind",
  "commands/diff/golden",
  "commands/doctor/repair/repair",
  "commands/doctor/repair/repair-cases",
  "components/stream-contract/engine",
  "embedded/cluster/lifecycle",
  "commands/doctor/repair/repair-outage",
  "contract/probe",
  "commands/doctor/repair/repair-clients",
  "components/nats-jetstream/tls-cluster",
  "commands/kind/kind",
  "contract/place",
  "embedded/noetl/worker",
  "contract/nats/connect",
  "contract/noetl-client",
  "contract/replicas",
  "e2e/library",
  "embedded/plugin/replay",
  "commands/diff/command",
  "embedded/toolchain/downloads",
  "commands/doctor/diagnosis",
  "components/components",
  "components/gcp/components",
  "contract/declared/problems",
  "stacks/ensure",
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

/** A few of the interleavings with `contract`, a thousand with `long`. */
const INTERLEAVINGS = "test/commands/doctor/repair/interleavings.test.ts";

/** Tests by what they need beyond Node; a test that stands in no list needs nothing and is one of `unit`. */
const NEEDS = {
  programs: [
    // In the place of a module it has another one, which the tests of `unit`, that share theirs, would get, too.
    "test/commands/doctor/answers.test.ts",
    "test/commands/shared/run.test.ts",
    "test/components/refused.test.ts",
    "test/components/stream-contract/roll-gate.test.ts",
    "test/contract/nats/as-offered.test.ts",
    "test/policy/archives.test.ts",
    "test/docs/programs.test.ts",
    "test/contract/guard/alerts.test.ts",
    "test/commands/kind/**/*.test.ts",
    "test/commands/shared/arguments.test.ts",
    "test/embedded/toolchain/{downloads,toolchain}.test.ts",
    "test/embedded/{engine-command,interrupted,turn,up}.test.ts",
    "test/program.test.ts",
    "test/scripts/build.test.ts",
    "test/scripts/ci-run.test.ts",
    "test/scripts/images.test.ts",
    "test/scripts/import-directions.test.ts",
    "test/scripts/package.test.ts",
    "test/scripts/sbom.test.ts",
  ],
  components: [
    "test/components/{components,javascript,namespaces,outputs}.test.ts",
    "test/components/gcp/components.test.ts",
    "test/components/nats-jetstream/{availability,renewal,users}.test.ts",
    "test/embedded/stack.test.ts",
    "test/stacks/{ensure,tls}.test.ts",
  ],
  secrets: ["test/commands/{doctor,shared}/canaries.test.ts", "test/contract/mask.test.ts"],
  gke: [
    "test/components/gcp/pgbouncer.test.ts",
    "test/config/gke/**/*.test.ts",
    "test/docs/gke.test.ts",
    "test/policy/stacks.test.ts",
    "test/stacks/gke/**/*.test.ts",
  ],
  workflows: ["test/workflows/**/*.test.ts"],
  contract: [
    "test/bench/**/*.test.ts",
    "test/commands/doctor/repair/**/*.test.ts",
    "test/commands/doctor/store.test.ts",
    "test/commands/nats/**/*.test.ts",
    "test/components/nats-jetstream/{rotation,routes,store-owner,tls,tls-cluster}.test.ts",
    "test/components/stream-contract/{engine,hooks,provider}.test.ts",
    "test/contract/check.test.ts",
    "test/contract/ensure.test.ts",
    "test/contract/faults.test.ts",
    "test/contract/gateway.test.ts",
    "test/contract/guard/guard.test.ts",
    "test/contract/guard/trouble.test.ts",
    "test/contract/lines.test.ts",
    "test/contract/{leaf-node,other-account}.test.ts",
    "test/contract/fixes.test.ts",
    "test/contract/noetl-client.test.ts",
    "test/contract/one-to-three.test.ts",
    "test/contract/place.test.ts",
    "test/contract/preflight.test.ts",
    "test/contract/probe.test.ts",
    "test/contract/replicas.test.ts",
    "test/contract/rules.test.ts",
    "test/contract/subjects.test.ts",
    "test/contract/tiers.test.ts",
    "test/contract/declared/declared.test.ts",
    "test/contract/declared/fields.test.ts",
    "test/contract/kubernetes/**/*.test.ts",
    "test/contract/nats/connect.test.ts",
    "test/contract/nats/login.test.ts",
    "test/contract/nats/ping.test.ts",
    "test/contract/nats/roles.test.ts",
    "test/docs/connecting.test.ts",
    "test/docs/declared.test.ts",
    "test/docs/tls.test.ts",
  ],
  cluster: [
    "test/charts/**/*.test.ts",
    "test/contract/nats/port-forward.test.ts",
    "test/embedded/cluster/**/*.test.ts",
    "test/embedded/home.test.ts",
    "test/embedded/inline.test.ts",
    "test/embedded/noetl/worker.test.ts",
    "test/embedded/plugin/**/*.test.ts",
    "test/embedded/toolchain/without-clouds.test.ts",
    "test/policy/engine.test.ts",
  ],
  doctor: ["test/commands/doctor/live/doctor.test.ts"],
  e2e: ["test/e2e/**/*.test.ts"],
  diff: ["test/commands/diff/**/*.test.ts"],
  long: ["test/commands/doctor/live/remedies.test.ts", "test/e2e/{changes,rotation}.test.ts"],
};

// One project per kind of test, so that each can be run on its own: `npx vitest run --project unit`.
export default defineConfig({
  test: {
    // A limit ends a test that hangs; a busy machine takes some times as long as usual, and no test fails for that.
    // Four files at a time for two cores: much of a test is waiting. Every file has servers, ports and folders of its own.
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
    reporters: ["default", "./test/setup/summary.ts"],
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: Object.values(NEEDS).flat(),
          // Loading the SDKs costs more than most tests: each worker does it once for all of its files.
          isolate: false,
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
      {
        // They start programs and servers of their own (git, npm, compilers, hosts of downloads), and no tool that is built.
        test: {
          name: "programs",
          include: NEEDS.programs,
          testTimeout: 120_000,
          hookTimeout: 60_000,
        },
      },
      {
        // Pulumi's runtime, whole programs in it, with mocks in the place of the engine.
        test: {
          name: "components",
          include: NEEDS.components,
          isolate: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        // Nothing but processor time: texts of mebibytes, and random ones by the hundred.
        test: {
          name: "secrets",
          include: NEEDS.secrets,
          isolate: false,
          testTimeout: 120_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: "gke",
          include: NEEDS.gke,
          isolate: false,
          testTimeout: 240_000,
          hookTimeout: 240_000,
          globalSetup: ["test/setup/tools.ts"],
        },
      },
      {
        test: {
          name: "workflows",
          include: NEEDS.workflows,
          testTimeout: 60_000,
          hookTimeout: 300_000,
        },
      },
      {
        test: {
          name: "contract",
          include: NEEDS.contract,
          isolate: false,
          testTimeout: 120_000,
          hookTimeout: 180_000,
          globalSetup: ["test/setup/tools.ts", "test/setup/gateway.ts"],
        },
      },
      {
        test: {
          name: "cluster",
          include: NEEDS.cluster,
          isolate: false,
          testTimeout: 300_000,
          hookTimeout: 300_000,
          globalSetup: ["test/setup/tools.ts", "test/setup/gateway.ts"],
        },
      },
      {
        test: {
          name: "doctor",
          include: NEEDS.doctor,
          testTimeout: 180_000,
          hookTimeout: 240_000,
          globalSetup: ["test/setup/tools.ts"],
        },
      },
      {
        test: {
          name: "e2e",
          include: NEEDS.e2e,
          exclude: NEEDS.long,
          testTimeout: 600_000,
          hookTimeout: 600_000,
          globalSetup: ["test/setup/tools.ts"],
        },
      },
      {
        test: {
          name: "diff",
          include: NEEDS.diff,
          testTimeout: 180_000,
          hookTimeout: 300_000,
          globalSetup: ["test/setup/diff.ts"],
        },
      },
      {
        // What goes through everything rather than a choice of it: `npm run test:long`. After the others, where all are run.
        test: {
          name: "long",
          include: [...NEEDS.long, INTERLEAVINGS],
          sequence: { groupOrder: 1 },
          env: { REPAIR_RUNS: process.env.REPAIR_RUNS ?? "1000" },
          testTimeout: 600_000,
          hookTimeout: 600_000,
          globalSetup: ["test/setup/tools.ts"],
        },
      },
    ],
  },
});
