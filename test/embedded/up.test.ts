import { execFileSync } from "node:child_process";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { projectRoot } from "../../contract/project";

/** Has a process of its own load a compiled file, and gives the packages that it asks for on the way. */
function packagesOf(file: string): string[] {
  const script = `
    const Module = require("node:module");
    const load = Module._load;
    const asked = new Set();
    Module._load = function (request, ...more) {
      asked.add(request);
      return load.call(this, request, ...more);
    };
    require(${JSON.stringify(path.join(projectRoot(), "dist", file))});
    process.stdout.write([...asked].join("\\n"));`;
  const asked = execFileSync(process.execPath, ["-e", script], { encoding: "utf8", timeout: 60_000 }).split("\n");
  const names = asked.flatMap((request) => /^(?:@[a-z-]+\/)?[a-z-]+/.exec(request)?.[0] ?? []);
  return [...new Set(names)];
}

describe("npm run up:embedded, before it has asked the first question", () => {
  it("has loaded nothing of Pulumi, and not the client of Kubernetes", () => {
    const packages = packagesOf("embedded/up.js");
    expect(packages).not.toEqual([]);
    expect(packages.filter((name) => /^@(pulumi|kubernetes|grpc)\/|^typescript$/.test(name))).toEqual([]);
  });

  it("loads the engine's interface and the stand-ins without the program and without that client", () => {
    const packages = packagesOf("embedded/stack.js");
    expect(packages).toContain("@pulumi/pulumi");
    expect(packages).not.toContain("@pulumi/kubernetes");
    expect(packages).not.toContain("pacote");
    expect(packages).not.toContain("@kubernetes/client-node");
  });
});

it("libraries that the SDK loads at its start are loaded when they are used, and work then", () => {
  const script = `
    const used = (name) => Object.keys(require.cache).some((file) => file.includes("/node_modules/" + name + "/"));
    require(${JSON.stringify(path.join(projectRoot(), "dist", "commands", "shared", "late-libraries.js"))});
    const { runtime } = require("@pulumi/pulumi");
    const before = ["pacote", "typescript", "normalize-package-data"].map(used);
    const library = require("@npmcli/arborist");
    const answer = 42;
    runtime.serializeFunction(() => answer).then(({ text }) => {
      const after = [new library.Arborist({ path: "/tmp" }).path, used("pacote"), used("typescript")];
      process.stdout.write(JSON.stringify({ before, after, text: text.includes("42") }));
    });`;
  const said = execFileSync(process.execPath, ["-e", script], {
    encoding: "utf8",
    cwd: projectRoot(),
    timeout: 60_000,
  });
  expect(JSON.parse(said)).toEqual({ before: [false, false, false], after: ["/tmp", true, true], text: true });
});

it("a dynamic provider has the stacks of its errors as Node writes them: nothing looks them up in maps of sources", () => {
  const files = [
    "@pulumi/pulumi/cmd/dynamic-provider",
    path.join(projectRoot(), "dist", "commands", "shared", "late-libraries.js"),
  ];
  const mapped = (before: string[]): string =>
    execFileSync(
      process.execPath,
      [
        ...before.flatMap((file) => ["--require", file]),
        "-e",
        // It begins to serve once it is loaded, and is ended here before.
        `require(${JSON.stringify(files[0])}); process.stdout.write(String(/source.?map/i.test(Error.prepareStackTrace)), () => process.exit());`,
        "as-a-program",
        "127.0.0.1:1",
      ],
      { encoding: "utf8", cwd: projectRoot(), timeout: 60_000, stdio: ["ignore", "pipe", "ignore"] },
    );
  expect(mapped([])).toBe("true");
  expect(mapped(files.slice(1))).toBe("false");
});
