/**
 * Which folder may import which, as a rule of ESLint: `npm run lint` names the reason where an import goes the wrong way.
 *
 * One staircase down: index.ts, program.ts -> stacks -> components -> config -> contract; the commands stand beside it on one
 * floor. What an import means is looked up from the file that has it, however it is written.
 */
import path from "node:path";

const BED = "stands in for what this machine lacks and is known to its own commands and to tests alone";
const LIBRARY = "the package for other programs holds components/ and contract/ alone";

/** Floors of the house: what each may import besides packages and itself, and why no more. */
export const FLOORS = {
  "index.ts": { may: ["program.ts"], because: "it is the entry of `pulumi up` and nothing else" },
  "program.ts": {
    may: ["stacks", "components", "config", "contract"],
    because: "the program is what a stack deploys; commands, policy and test bed look at it from outside",
  },
  stacks: {
    may: ["components", "config", "contract"],
    because:
      "a stack is put together from components and settings, and knows neither the program above it nor the commands",
  },
  components: {
    may: ["contract"],
    because: `a component is used without this project's stacks (defaults that both take stand in contract/defaults.ts), and ${LIBRARY}`,
  },
  config: {
    may: ["contract"],
    because:
      "settings are read before anything is declared, by commands too: what a component needs as well stands in contract/",
  },
  contract: {
    may: [],
    packages: /^@pulumi\//,
    because:
      "the contract is what NoETL and NATS have agreed on, whoever asks: it runs in a provider's process and in the doctor, " +
      "without Pulumi and without a stack's settings",
  },
  commands: {
    may: ["config", "contract"],
    because:
      "a command looks at a stack that is deployed or may be: it needs its settings and the contract, and loading the program, " +
      "its components or the test bed would tie it to one of them",
  },
  policy: {
    may: ["config", "contract"],
    because:
      "the policy checks resources of any program by what the engine shows of them, not by the code that declares them",
  },
  scripts: {
    may: ["policy", "commands", "stacks", "components", "config", "contract"],
    because: "scripts build and document what is deployed",
  },
  kind: { may: [], because: "it holds no code" },
  charts: { may: [], because: "they hold no code of the program" },
  examples: { may: [], because: "an example imports the package by its name, as its reader will" },
  embedded: {
    may: ["index.ts", "program.ts", "stacks", "components", "config", "contract", "commands", "policy", "scripts"],
    because: "the test bed runs everything else, and nothing of it is a test",
  },
  bench: {
    may: [
      "index.ts",
      "program.ts",
      "stacks",
      "components",
      "config",
      "contract",
      "commands",
      "policy",
      "scripts",
      "embedded",
    ],
    because: "a benchmark measures everything else, and nothing of it is a test",
  },
};

/** Folders that have a reason of their own for whoever imports them. */
const CLOSED = {
  embedded: `embedded/ ${BED}`,
  bench: "bench/ measures, and nothing needs it",
  test: "test/ is for tests alone",
};

/** Where a path of the project stands: its first folder, or the program's own file, however an import writes it. */
const floorOf = (name) => name.split("/")[0].replace(/^(index|program)(\.js)?$/, "$1.ts");

/** Why a file may not import a module; undefined where it may. Both are relative to the project, the module with its folder. */
export function refusal(file, target) {
  const [from, to] = [floorOf(file), floorOf(target)];
  if (from === "test" || from === to) return undefined;
  const unknown = [from, to].find((name) => !(name in FLOORS || name in CLOSED));
  if (unknown !== undefined)
    return `${from} does not import ${to}: ${unknown} has no floor in scripts/import-directions.mjs, which says what it may import and why no more.`;
  const floor = FLOORS[from];
  if (floor.may.includes(to)) return undefined;
  const closed = CLOSED[to] ? `${CLOSED[to]}; ` : "";
  return `${from} does not import ${to}: ${closed}${floor.because}.`;
}

/** Module specifiers in all their forms: import, export, import type, import(), require, require.resolve, vi.mock. */
const rule = {
  meta: { type: "problem", schema: [], docs: { description: "imports go down the staircase" } },
  create(context) {
    const root = context.cwd;
    const file = path.relative(root, context.filename).split(path.sep).join("/");
    const check = (node) => {
      if (node?.type !== "Literal" || typeof node.value !== "string") return;
      const specifier = node.value;
      const floor = FLOORS[floorOf(file)];
      if (floor?.packages?.test(specifier)) {
        context.report({ node, message: `${floorOf(file)} does not import ${specifier}: ${floor.because}.` });
        return;
      }
      if (!specifier.startsWith(".")) return;
      const target = path.posix.join(path.posix.dirname(file), specifier).replace(/^dist\//, "");
      const message = refusal(file, target);
      if (message !== undefined) context.report({ node, message });
    };
    return {
      ImportDeclaration: ({ source }) => check(source),
      ExportNamedDeclaration: ({ source }) => check(source),
      ExportAllDeclaration: ({ source }) => check(source),
      ImportExpression: ({ source }) => check(source),
      TSImportType: ({ source }) => check(source),
      TSExternalModuleReference: ({ expression }) => check(expression),
      CallExpression({ callee, arguments: [first] }) {
        const name = callee.type === "MemberExpression" ? `${callee.object.name}.${callee.property.name}` : callee.name;
        if (/^(require|require\.resolve|vi\.mock|vi\.doMock)$/.test(name ?? "")) check(first);
      },
    };
  },
};

export default { rules: { "import-directions": rule } };
