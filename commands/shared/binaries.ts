/**
 * Programs that the commands run and do not bring along: on PATH, else among those that were built for tests and for the
 * embedded stack, which leaves them where this looks. Nothing is built or downloaded here.
 */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

/** Where to get each. */
const SOURCES = {
  docker: "https://docs.docker.com/get-started/get-docker/",
  git: "https://git-scm.com/downloads",
  helm: "https://helm.sh/docs/intro/install/",
  kind: "https://kind.sigs.k8s.io/docs/user/quick-start/#installation",
  nats: "https://github.com/nats-io/natscli#installation",
  kubectl: "https://kubernetes.io/docs/tasks/tools/",
  pulumi: "https://www.pulumi.com/docs/iac/download-install/",
} as const;

export type Binary = keyof typeof SOURCES;

/** Folder of what is kept between runs: `$NOETL_NATS_CACHE`, else `$XDG_CACHE_HOME/noetl-nats`, else `~/.cache/noetl-nats`. */
export function cacheDir(): string {
  const { env } = process;
  if (env.NOETL_NATS_CACHE) return env.NOETL_NATS_CACHE;
  return path.join(env.XDG_CACHE_HOME || path.join(os.homedir(), ".cache"), "noetl-nats");
}

/** Where programs stand that were built: one file or link each, by name. */
export const builtBinary = (name: Binary): string => path.join(cacheDir(), "bin", name);

export function onPath(name: Binary): string | undefined {
  return (process.env.PATH ?? "")
    .split(path.delimiter)
    .filter(Boolean)
    .map((folder) => path.join(folder, name))
    .find((file) => fs.existsSync(file));
}

/** Path of a program; undefined where there is none. */
export const findBinary = (name: Binary): string | undefined =>
  onPath(name) ?? [builtBinary(name)].find((file) => fs.existsSync(file));

/** One sentence for a program that is missing, with where to get it. */
export const missingBinary = (name: Binary): string => `${name} is not on PATH: install it (${SOURCES[name]})`;

/** Path of a program. @throws Error with one sentence that says where to get it. */
export function requireBinary(name: Binary): string {
  const found = findBinary(name);
  if (found === undefined) throw new Error(missingBinary(name));
  return found;
}
