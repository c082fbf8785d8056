import { ESLint } from "eslint";
import tseslint from "typescript-eslint";
import { describe, expect, it } from "vitest";
import { projectRoot } from "../../contract/project";

/** The project's own configuration; without types, which the rule does not need and which take long to load. */
const eslint = new ESLint({
  cwd: projectRoot(),
  overrideConfig: [
    { ...tseslint.configs.disableTypeChecked, files: ["**/*.ts"] },
    { files: ["**/*.ts"], languageOptions: { parserOptions: { projectService: false, project: false } } },
  ],
});

/** What the rule says of a file with this line in it. */
async function said(filePath: string, line: string): Promise<string[]> {
  const [result] = await eslint.lintText(`${line}\n`, { filePath: `${projectRoot()}/${filePath}` });
  const found = result?.messages ?? [];
  expect(found.filter(({ fatal }) => fatal)).toEqual([]);
  return found.filter(({ ruleId }) => ruleId === "layout/import-directions").map(({ message }) => message);
}

describe("an import that goes the wrong way is refused by lint, with the reason", () => {
  const wrong: [file: string, line: string, reason: RegExp][] = [
    [
      "contract/check.ts",
      'import * as pulumi from "@pulumi/pulumi";',
      /contract does not import @pulumi\/pulumi: .*without Pulumi/,
    ],
    [
      "contract/rules/stream.ts",
      'import { SETTINGS } from "../../config/schema";',
      /contract does not import config: .*settings/,
    ],
    [
      "config/schema.ts",
      'export * from "../components";',
      /config does not import components: settings are read before/,
    ],
    [
      "config/gke/pods.ts",
      'import type { Resources } from "../../components/shared";',
      /config does not import components/,
    ],
    [
      "components/noetl/index.ts",
      'import { SETTINGS } from "../../config/schema";',
      /components does not import config: .*contract\/defaults/,
    ],
    [
      "components/noetl/index.ts",
      'import { stacks } from "../../stacks/platform";',
      /components does not import stacks/,
    ],
    [
      "stacks/platform.ts",
      'import { main } from "../program";',
      /stacks does not import program\.ts: .*program above it/,
    ],
    [
      "stacks/gke/index.ts",
      'import { verify } from "../../commands/doctor/verify";',
      /stacks does not import commands/,
    ],
    ["program.ts", 'import { rules } from "./policy";', /program\.ts does not import policy/],
    ["index.ts", 'import { x } from "./config/parse";', /index\.ts does not import config/],
    [
      "commands/doctor/doctor.ts",
      'import { EMBEDDED_DIR } from "../../embedded/home";',
      /commands does not import embedded: .*test bed|stands in for what this machine lacks/,
    ],
    ["commands/diff/live.ts", 'const { main } = require("../../program");', /commands does not import program\.ts/],
    ["commands/diff/live.ts", 'let main: typeof import("../../program");', /commands does not import program\.ts/],
    ["commands/diff/live.ts", 'void import("../../components/index.js");', /commands does not import components/],
    ["commands/diff/live.ts", 'void import("../../program.js");', /commands does not import program\.ts/],
    [
      "contract/check.ts",
      'import { all } from "../utilities/all";',
      /contract does not import utilities: utilities has no floor/,
    ],
    [
      "utilities/all.ts",
      'import { Noetl } from "../components";',
      /utilities does not import components: utilities has no floor/,
    ],
    ["policy/rules.ts", 'import { Noetl } from "../components";', /policy does not import components: .*any program/],
    [
      "scripts/generate.ts",
      'import { TOOLS } from "../embedded/toolchain";',
      /scripts does not import embedded: .*stands in/,
    ],
    [
      "embedded/up.ts",
      'import { x } from "../test/support/mocks";',
      /embedded does not import test: .*for tests alone/,
    ],
    ["embedded/up.ts", 'import { x } from "../bench/table";', /embedded does not import bench/],
    [
      "examples/library/index.ts",
      'import { Noetl } from "../../components";',
      /examples does not import components: .*by its name/,
    ],
  ];
  it.each(wrong)("%s: %s", async (file, line, reason) => {
    expect(await said(file, line)).toEqual([expect.stringMatching(reason)]);
  });

  it.each([
    [
      "contract/check.ts",
      'import { connect } from "nats"; export * from "./rules/stream"; import "../contract/inputs";',
    ],
    ["config/schema.ts", 'import { STREAM } from "../contract/facts";'],
    [
      "components/noetl/index.ts",
      'import { DEFAULTS } from "../../contract/defaults"; import "@pulumi/kubernetes"; import "../shared";',
    ],
    ["stacks/gke/index.ts", 'import "../../components/gcp"; import "../../config/gke"; import "./preflight";'],
    ["program.ts", 'import "./stacks/gke"; import "./components"; import "./config/parse";'],
    ["index.ts", 'import "./program";'],
    [
      "commands/doctor/target.ts",
      'import "../../config/parse"; import "../../contract/facts"; import "../shared/exit"; import "./contract";',
    ],
    ["embedded/up.ts", 'import "../commands/doctor/verify"; import "./toolchain";'],
    ["bench/embedded.ts", 'import "../embedded/stack";'],
    [
      "test/e2e/embedded.test.ts",
      'import "../../embedded/stack"; import "../../bench/table"; import "../../contract/facts";',
    ],
  ])("%s may: %s", async (file, line) => {
    expect(await said(file, line)).toEqual([]);
  });
});
