import * as fs from "node:fs";
import * as path from "node:path";
import { projectRoot } from "../../contract/project";

/** A machine that projects publish programs for, in Go's words. */
export interface Platform {
  readonly os: "linux" | "darwin";
  readonly arch: "amd64" | "arm64";
}

/** What a project publishes of one release for one platform. */
export interface Release {
  /** The file to download. */
  readonly url: string;
  /** The project's own checksums: lines as sha256sum writes them, or the sum alone. */
  readonly checksums: string;
  /** Path of the program in the archive; absent where the file is the program. */
  readonly member?: string;
}

/** Where a release is published; undefined where there is none for the platform. */
export type Published = (version: string, at: Platform) => Release | undefined;

/** This machine; undefined where nothing that is used here is published for it. */
export function thisPlatform(): Platform | undefined {
  const os = ({ linux: "linux", darwin: "darwin" } as const)[process.platform as string];
  const arch = ({ x64: "amd64", arm64: "arm64" } as const)[process.arch as string];
  return os && arch && { os, arch };
}

const github = (repository: string, version: string): string =>
  `https://github.com/${repository}/releases/download/${version}`;

/** A server program of Kubernetes, which is published for Linux alone. */
export const kubernetesRelease =
  (name: string): Published =>
  (version, { os, arch }) => {
    const url = `https://dl.k8s.io/release/${version}/bin/${os}/${arch}/${name}`;
    return os === "linux" ? { url, checksums: `${url}.sha256` } : undefined;
  };

export const etcdRelease: Published = (version, { os, arch }) => {
  const [base, stem] = [github("etcd-io/etcd", version), `etcd-${version}-${os}-${arch}`];
  const url = `${base}/${stem}.${os === "linux" ? "tar.gz" : "zip"}`;
  return { url, checksums: `${base}/SHA256SUMS`, member: `${stem}/etcd` };
};

export const helmRelease: Published = (version, { os, arch }) => {
  const url = `https://get.helm.sh/helm-${version}-${os}-${arch}.tar.gz`;
  return { url, checksums: `${url}.sha256sum`, member: `${os}-${arch}/helm` };
};

export const natsServerRelease: Published = (version, { os, arch }) => {
  const [base, stem] = [github("nats-io/nats-server", version), `nats-server-${version}-${os}-${arch}`];
  return { url: `${base}/${stem}.tar.gz`, checksums: `${base}/SHA256SUMS`, member: `${stem}/nats-server` };
};

export const pulumiRelease: Published = (version, { os, arch }) => {
  const base = "https://get.pulumi.com/releases/sdk";
  return {
    url: `${base}/pulumi-${version}-${os}-${arch === "amd64" ? "x64" : arch}.tar.gz`,
    checksums: `${base}/pulumi-${version.replace(/^v/, "")}-checksums.txt`,
    member: "pulumi/pulumi",
  };
};

/** The SHA-256 of a file in a list of checksums: the line that names it, or the only sum that there is. */
export function checksumIn(list: string, file: string): string | undefined {
  const lines = list.split("\n").flatMap((line) => {
    const match = /^([0-9a-f]{64})(?:\s+\*?(\S+))?\s*$/i.exec(line);
    return match ? [{ sum: match[1]?.toLowerCase(), name: match[2] && path.posix.basename(match[2]) }] : [];
  });
  const only = lines.length === 1 && lines[0]?.name === undefined ? lines[0] : undefined;
  return (lines.find(({ name }) => name === file) ?? only)?.sum;
}

/** The SHA-256 that this repository pins for a file; undefined where it pins none. */
export function pinnedChecksum(file: string): string | undefined {
  const list = fs.readFileSync(path.join(projectRoot(), "embedded", "toolchain", "checksums.txt"), "utf8");
  return checksumIn(list, file);
}
