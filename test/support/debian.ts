import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { cacheDir } from "../../commands/shared/binaries";

const STEP_TIMEOUT_MS = 120_000;

/** Runs a program in the folder that is unpacked into; its output. */
export type Run = (command: string, ...args: string[]) => string;

/** A program of a Debian package that is not installed. */
export interface DebianProgram {
  readonly program: string;
  readonly package: string;
  /** Begins the error's sentence: what needs the program. */
  readonly needs: string;
  /** Folders that are looked into beside PATH. */
  readonly folders?: readonly string[];
  /** Names of further packages; the package itself has been downloaded. */
  readonly further?: (run: Run, own: string) => readonly string[];
  /** What is large and not needed, below the folder. */
  readonly omit?: readonly string[];
}

/** Where a program is: installed, or in the folder of its unpacked package. */
export type Found = { readonly installed: string } | { readonly unpacked: string };

/**
 * A program from PATH, else from Debian's package, unpacked into a folder of its own: installed, it would start a service.
 *
 * @throws Error with one sentence where neither can be had.
 */
export function ensureDebianProgram(wanted: DebianProgram): Found {
  const folders = [...(process.env.PATH ?? "").split(path.delimiter).filter(Boolean), ...(wanted.folders ?? [])];
  const installed = folders.map((folder) => path.join(folder, wanted.program)).find((file) => fs.existsSync(file));
  if (installed) return { installed };
  const folder = path.join(cacheDir(), wanted.package);
  if (fs.existsSync(folder)) return { unpacked: folder };
  process.stderr.write(
    `No ${wanted.program} on PATH: downloading Debian's package ${wanted.package}, once, and unpacking it into ${folder} ...\n`,
  );
  const unfinished = `${folder}.${process.pid}.unpacking`;
  try {
    unpack(unfinished, wanted);
    if (!fs.existsSync(folder)) fs.renameSync(unfinished, folder);
  } catch (error) {
    const said = String((error as { stderr?: Buffer }).stderr ?? error).trim();
    throw new Error(`${wanted.needs}; it cannot be had:\n${said.split("\n").slice(-3).join("\n")}`, { cause: error });
  } finally {
    fs.rmSync(unfinished, { recursive: true, force: true });
  }
  return { unpacked: folder };
}

function unpack(folder: string, { package: name, further, omit = [] }: DebianProgram): void {
  fs.mkdirSync(folder, { recursive: true });
  const run: Run = (command, ...args) =>
    execFileSync(command, args, {
      cwd: folder,
      timeout: STEP_TIMEOUT_MS,
      stdio: ["ignore", "pipe", "pipe"],
    }).toString();
  if (process.getuid?.() === 0) run("apt-get", "update", "-qq");
  run("apt-get", "download", "-qq", name);
  const [own = ""] = fs.readdirSync(folder);
  const others = further?.(run, own) ?? [];
  if (others.length > 0) run("apt-get", "download", "-qq", ...others);
  for (const file of fs.readdirSync(folder).filter((each) => each.endsWith(".deb"))) {
    run("dpkg-deb", "--extract", file, ".");
    fs.rmSync(path.join(folder, file));
  }
  for (const file of omit) fs.rmSync(path.join(folder, file), { force: true });
}
