import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { startApiServer } from "../../../embedded/cluster/control-plane";
import { clusterFiles, makeOpenFolder, openFolder } from "../../../embedded/cluster/places";

it("an etcd that takes a question and does not answer is given up", async () => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-etcd-"));
  fs.mkdirSync(path.dirname(clusterFiles(dir).tokens), { recursive: true });
  makeOpenFolder(dir);
  const silent = net.createServer();
  onTestFinished(() => {
    silent.close();
    for (const each of [dir, openFolder(dir)]) fs.rmSync(each, { recursive: true });
  });
  const launcher = {
    launch: (_name: string, _command: readonly string[], { cwd = "" }: { cwd?: string } = {}) => {
      silent.listen(path.join(cwd, "client"));
    },
    ready: (_name: string, _label: string, isReady: () => Promise<boolean>) => isReady(),
  } as never;
  await expect(startApiServer({ dir, tools: {} as never, launcher })).rejects.toThrow("etcd does not answer");
}, 20_000);
