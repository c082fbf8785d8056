import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { builtinModules } from "node:module";
import * as path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { projectRoot } from "../../contract/project";

const at = (file: string) => path.join(projectRoot(), file);
const manifest = JSON.parse(fs.readFileSync(at("package.json"), "utf8")) as {
  dependencies: Record<string, string>;
  exports: Record<string, string | Record<string, string>>;
  typesVersions: { "*": Record<string, string[]> };
};

describe("what `npm pack` publishes", () => {
  let files: string[];
  beforeAll(() => {
    // The build has written dist/; nothing is packed that is not there.
    const said = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
      cwd: projectRoot(),
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    const [packed] = JSON.parse(said.slice(said.indexOf("["))) as { files: { path: string }[] }[];
    files = packed?.files.map((file) => file.path) ?? [];
  }, 60_000);

  it("is components and contract, compiled, with the charts and the script that they carry", () => {
    const places = new Set(files.map((file) => /^(dist\/[^/]+|[^/]+)/.exec(file)?.[0]));
    expect([...places].sort()).toEqual(
      ["LICENSE", "README.md", "charts", "components", "dist/components", "dist/contract", "package.json"].sort(),
    );
    expect(files.filter((file) => file.startsWith("components/")).sort()).toEqual([
      "components/postgres/load_schema.py",
      "components/postgres/retire_logins.py",
    ]);
  });

  it("holds what the package exports", () => {
    const targets = Object.values(manifest.exports).flatMap((each) =>
      typeof each === "string" ? [each] : Object.values(each),
    );
    expect(Object.keys(manifest.exports)).toEqual([
      ".",
      "./gcp",
      "./stream-contract/provider",
      "./nats-users/provider",
      "./nats-certificate/provider",
      "./database-login/provider",
      "./package.json",
    ]);
    expect(targets.map((target) => target.replace("./", "")).filter((target) => !files.includes(target))).toEqual([]);
  });

  it("has types that a program compiles without those of a client library, whose own packages do not carry theirs", () => {
    const seen = new Set(["dist/components/index.d.ts", "dist/components/gcp/index.d.ts"]);
    const packages = new Set<string>();
    for (const file of seen)
      for (const [, name = ""] of fs.readFileSync(at(file), "utf8").matchAll(/(?:\bfrom |\bimport\()"([^"]+)"/g)) {
        const target = path.join(path.dirname(file), name);
        const found = [`${target}.d.ts`, `${target}/index.d.ts`].find((each) => fs.existsSync(at(each)));
        if (!name.startsWith("."))
          packages.add(
            name
              .split("/")
              .slice(0, name.startsWith("@") ? 2 : 1)
              .join("/"),
          );
        else if (found === undefined) throw new Error(`${file} needs ${name}, which is not there`);
        else seen.add(found);
      }
    expect(seen.size).toBeGreaterThan(40);
    expect([...packages].filter((name) => !/^(@pulumi\/|node:|nats$)/.test(name))).toEqual([]);
  });

  it("has types at every entry for programs whose compiler does not read `exports`, as that of Pulumi's own templates", () => {
    const typed = Object.entries(manifest.exports).flatMap(([entry, target]) =>
      typeof target !== "string" && entry !== "." ? [[entry.replace("./", ""), [target.types]]] : [],
    );
    expect(manifest.typesVersions["*"]).toEqual(Object.fromEntries(typed));
  });

  it("loads nothing that is not in it or not among its dependencies", () => {
    const scripts = files.filter((file) => file.endsWith(".js"));
    expect(scripts.length).toBeGreaterThan(40);
    const lost = scripts.flatMap((file) =>
      [...fs.readFileSync(at(file), "utf8").matchAll(/\b(?:require(?:\.resolve)?|import)\("([^"]+)"\)/g)]
        .map(([, name = ""]) => name)
        .filter((name) => !isThere(file, name))
        .map((name) => `${file}: ${name}`),
    );
    expect(lost).toEqual([]);
  });

  /** Whether the package, its dependencies or Node have a module. */
  function isThere(file: string, name: string): boolean {
    if (name.startsWith(".")) {
      const target = path.posix.join(path.posix.dirname(file), name);
      return [target, `${target}.js`, `${target}/index.js`].some((each) => files.includes(each));
    }
    const dependency = name
      .split("/")
      .slice(0, name.startsWith("@") ? 2 : 1)
      .join("/");
    // The SDK's own, taken from where the SDK stands.
    if (dependency === "@grpc/grpc-js") return true;
    return dependency in manifest.dependencies || builtinModules.includes(name.replace(/^node:/, ""));
  }
});
