import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

/** True where processes that refuse to run as root need another user. */
export const isRoot = process.getuid?.() === 0;

/**
 * A folder of the cluster in `dir` that every user can reach and whose path is short: for the sockets of databases, and
 * where we are root, for everything that a process of another user needs.
 */
export const openFolder = (dir: string): string => path.join("/tmp", shortName(dir));

const shortName = (dir: string): string =>
  `noetl-nats-${crypto.createHash("sha256").update(path.resolve(dir)).digest("hex").slice(0, 12)}`;

/** Folder in memory for what Secrets hold, as the kubelet has one: nothing of a Secret is written to the disk. */
export const memoryFolder = (dir: string): string => path.join("/dev/shm", shortName(dir));

/** Writes a file of a Secret, for the owner alone. Readers never see a half-written one. */
export function writeSecretFile(file: string, text: string): void {
  fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  fs.writeFileSync(`${file}.new`, text, { mode: 0o600 });
  fs.renameSync(`${file}.new`, file);
}

/** Makes that folder, empty. @throws Error where somebody else has something of that name. */
export function makeOpenFolder(dir: string): void {
  const folder = openFolder(dir);
  const found = fs.lstatSync(folder, { throwIfNoEntry: false });
  if (found && found.uid !== process.getuid?.()) throw new Error(`${folder} belongs to another user: remove it`);
  fs.rmSync(folder, { recursive: true, force: true });
  fs.rmSync(memoryFolder(dir), { recursive: true, force: true });
  fs.mkdirSync(folder, { mode: 0o711 });
  // Whatever the mask of new files is.
  fs.chmodSync(openFolder(dir), 0o711);
}

/** Makes the folder of sockets that are the owner's alone, and gives it: a socket's path may have 107 signs. */
export function makeSocketFolder(dir: string): string {
  const folder = path.join(openFolder(dir), "own");
  fs.mkdirSync(folder, { mode: 0o700 });
  return folder;
}

/** Where the folders are that stand for volumes. */
export const volumesFolder = (dir: string): string => path.join(isRoot ? openFolder(dir) : dir, "volumes");

/** In-cluster addresses (`host:port`) and the local ports that they lead to, for the stand-ins. */
export const namesFile = (dir: string): string => path.join(dir, "names.json");

/** Folder with a `.curlrc` that leads in-cluster addresses to their local ports. */
export const curlHome = (dir: string): string => path.join(dir, "curl");

/** The log of containers behind which no process runs. */
export const emptyLog = (dir: string): string => path.join(dir, "logs", "empty.log");

/** Folder whose subfolders stand for the contents of images, named as {@link imageFolder} says. */
export const imageFolder = (dir: string, image: string): string =>
  path.join(dir, "images", image.replace(/[^A-Za-z0-9._-]/g, "_"));

/** The files and folders of the cluster in `dir`. */
export const clusterFiles = (dir: string) => ({
  processes: path.join(dir, "processes.json"),
  whereabouts: path.join(dir, "whereabouts.json"),
  noetl: path.join(dir, "noetl.json"),
  gateway: path.join(dir, "gateway"),
  children: path.join(dir, "children.json"),
  node: path.join(dir, "node.json"),
  kubeconfig: path.join(dir, "kubeconfig"),
  logs: path.join(dir, "logs"),
  certs: path.join(dir, "certs"),
  tokens: path.join(dir, "tokens.csv"),
  serviceAccountKey: path.join(dir, "service-account.key"),
  kwok: path.join(dir, "kwok.yaml"),
});

export type ClusterFiles = ReturnType<typeof clusterFiles>;
