import js from "@eslint/js";
import tseslint from "typescript-eslint";
import layout from "./scripts/import-directions.mjs";

export default tseslint.config(
  { ignores: ["dist/", "node_modules/", ".embedded/", "test/embedded/plugin/recordings/"] },
  js.configs.recommended,
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ["eslint.config.mjs"] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
    },
  },
  // Which folder may import which; scripts/import-directions.mjs has the reasons.
  { files: ["**/*.ts"], plugins: { layout }, rules: { "layout/import-directions": "error" } },
  // At most sixty lines a function and three parameters, more by name.
  {
    files: ["**/*.ts", "**/*.mjs"],
    ignores: ["test/**"],
    rules: {
      "max-params": ["error", 3],
      "max-lines-per-function": ["error", { max: 60, skipComments: true, skipBlankLines: true }],
    },
  },
  // The client settles neither where the connection breaks meanwhile: contract/nats/ping.ts does.
  {
    files: ["**/*.ts"],
    ignores: ["test/**", "contract/nats/ping.ts"],
    rules: {
      "no-restricted-syntax": [
        "error",
        {
          selector:
            "CallExpression[callee.property.name=/^(flush|drain|rtt)$/]:matches([callee.object.name='connection'], [callee.object.property.name='connection'])",
          message: "ping() of contract/nats/ping.ts has a deadline and ends with the connection",
        },
      ],
    },
  },
  // What compiles the rest is not compiled, and has no types.
  { files: ["scripts/*.mjs"], ...tseslint.configs.disableTypeChecked },
  // Serialised providers and generated protocol modules are loaded with require on purpose.
  { rules: { "@typescript-eslint/no-require-imports": "off" } },
);
