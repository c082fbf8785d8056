import { gunzipSync } from "node:zlib";
import type * as k8s from "@kubernetes/client-node" with { "resolution-mode": "import" };
import type { ReleaseFacts } from "./evidence";
import type { Written } from "../../contract/kubernetes/objects";

/**
 * Picks the Secrets in which Helm 3 keeps the revisions of `releases` (storage driver `secret`, its default). Revisions that
 * a later one has taken the place of stay out: they are many, and large.
 */
export const releaseSelector = (releases: readonly string[]): string =>
  `owner=helm,status!=superseded,name in (${releases.join(",")})`;

/** The last revision of each release, by Helm's own labels; of a failed one its description too, masked. */
export function releasesOf(
  secrets: readonly Written<k8s.V1Secret>[],
  now: number,
  mask: (text: string) => string,
): ReleaseFacts[] {
  const last = new Map<string, Written<k8s.V1Secret>>();
  for (const secret of secrets) {
    const { name } = labelsOf(secret);
    const before = last.get(name);
    if (!before || labelsOf(before).revision < labelsOf(secret).revision) last.set(name, secret);
  }
  return [...last.values()].map((secret) => {
    const { name, status, revision } = labelsOf(secret);
    const created = secret.metadata?.creationTimestamp;
    return {
      namespace: secret.metadata?.namespace ?? "",
      name,
      revision,
      status,
      ageSeconds: created === undefined ? 0 : Math.max(0, (now - new Date(created).getTime()) / 1000),
      description: status === "failed" ? mask(descriptionOf(secret.data?.release)) : "",
    };
  });
}

function labelsOf({ metadata }: Written<k8s.V1Secret>): { name: string; status: string; revision: number } {
  const { name = "", status = "", version = "0" } = metadata?.labels ?? {};
  return { name, status, revision: Number(version) };
}

/** `info.description` of a release: JSON, compressed, in base64, which the API wraps in base64 once more. */
function descriptionOf(release: string | undefined): string {
  try {
    const packed = Buffer.from(Buffer.from(release ?? "", "base64").toString("latin1"), "base64");
    const { info } = JSON.parse(gunzipSync(packed).toString("utf8")) as { info?: { description?: string } };
    return (info?.description ?? "").trim();
  } catch {
    // A later Helm may write it differently; the label has the status.
    return "";
  }
}
