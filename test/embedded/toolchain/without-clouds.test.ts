import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { stateEnvironment } from "../../../embedded/home";
import { ensureTools } from "../../../embedded/toolchain";

// The engine itself as it is built here: a pulumi on PATH, or a downloaded one, has its clouds.

let dir: string;
beforeEach(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "without-clouds-"));
  const withoutPulumi = (process.env.PATH ?? "").split(":").filter((bin) => !fs.existsSync(path.join(bin, "pulumi")));
  vi.stubEnv("PATH", withoutPulumi.join(":"));
  vi.stubEnv("NOETL_NATS_DOWNLOADS", "off");
});
afterEach(() => {
  vi.unstubAllEnvs();
  fs.rmSync(dir, { recursive: true, force: true });
});

async function pulumi(args: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const { pulumi } = await ensureTools(["pulumi"]);
  const all = { ...process.env, ...stateEnvironment(dir), PULUMI_HOME: path.join(dir, "home"), ...env };
  try {
    return execFileSync(pulumi, [...args, "--non-interactive"], {
      cwd: dir,
      env: all,
      encoding: "utf8",
      stdio: "pipe",
    });
  } catch (error) {
    return (error as { stderr: string }).stderr;
  }
}

it.each([
  ["s3://states", "AWS"],
  ["gs://states", "Google Cloud"],
  ["azblob://states", "Azure"],
])("states in %s: the engine says what it lacks, and what to do", async (url, cloud) => {
  expect(await pulumi(["login", url])).toContain(
    `this pulumi was built for the embedded stack, without ${cloud}: install Pulumi to keep states in ${url.split("//")[0]}//`,
  );
});

it.each([
  "awskms://alias/key?region=eu-west-1",
  "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k",
  "azurekeyvault://vault.example/keys/key",
  "hashivault://key",
])("secrets protected by %s: the same", async (provider) => {
  fs.mkdirSync(path.join(dir, "state"));
  fs.writeFileSync(path.join(dir, "Pulumi.yaml"), "name: project\nruntime: nodejs\n");
  expect(await pulumi(["stack", "init", "cloud", "--secrets-provider", provider])).toContain(
    "this pulumi was built for the embedded stack, without keys of clouds: install Pulumi to use them",
  );
});
