import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { prune } from "../../scripts/prune";

it("removes what no source compiles to, whether the module is gone or has become a folder, and nothing else", () => {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-prune-"));
  onTestFinished(() => fs.rmSync(root, { recursive: true, force: true }));
  const write = (...names: string[]) => {
    for (const name of names) {
      fs.mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
      fs.writeFileSync(path.join(root, name), "");
    }
  };
  write("kept.ts", "split/index.ts");
  write("dist/kept.js", "dist/kept.d.ts", "dist/kept.js.map", "dist/.tsbuildinfo", "dist/split/index.js");
  write("dist/split.js", "dist/split.d.ts", "dist/split.js.map", "dist/gone/deep/module.js");
  prune(path.join(root, "dist"), root);
  expect((fs.readdirSync(path.join(root, "dist"), { recursive: true }) as string[]).sort()).toEqual(
    [".tsbuildinfo", "kept.d.ts", "kept.js", "kept.js.map", "split", "split/index.js"].sort(),
  );
});
