/** Images and charts: whether it is clear what runs, and whether it is another major version. */
import { LOCATIONS } from "../../../contract/facts";
import { podSpec } from "../environment";
import type { KubeObject } from "../objects";
import { danger, kindOf, objectName, warning, type Finding, type ObjectDelta, type RiskRule } from "./facts";

function imagesOf(object: KubeObject | undefined): string[] {
  const spec = object && podSpec(object);
  return [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].flatMap((container) => {
    const { image } = container as { image?: unknown };
    return typeof image === "string" ? [image] : [];
  });
}

/** What is wrong with an image reference, from worst to best. */
function imageProblem(image: string): Pick<Finding, "level" | "text"> | undefined {
  if (image.includes("@sha256:")) return undefined;
  const tag = /:([^/:]+)$/.exec(image)?.[1];
  if (tag === undefined || tag === "latest") {
    return {
      level: "warning",
      text: `${tag === undefined ? "has no tag, which means latest" : "has the tag latest"}: what runs depends on when a node pulls it`,
    };
  }
  return { level: "notice", text: "is named by tag, not by digest: the tag can be moved to another image" };
}

/** Major version of a chart; for 0.x, where a minor step may break, `0.x`. */
function majorOf(version: string): string {
  const [major = "", minor = ""] = version.replace(/^v/, "").split(".");
  return major === "0" ? `0.${minor}` : major;
}

/** Image of a StatefulSet's container before and after. */
function imageChange(delta: ObjectDelta, service: string): { old: string; now: string } | undefined {
  if (kindOf(delta) !== "StatefulSet" || (delta.new ?? delta.old)?.metadata?.name !== service) return undefined;
  const image = (object: KubeObject | undefined): unknown =>
    podSpec(object ?? ({} as KubeObject))?.containers?.find(({ name }) => name === service)?.image;
  const [old, now] = [image(delta.old), image(delta.new)];
  return typeof old === "string" && typeof now === "string" && old !== now ? { old, now } : undefined;
}

/** Numbers of the version in an image's tag; undefined where the tag begins with none. */
function versionOf(image: string): readonly number[] | undefined {
  const tag = /:v?(\d+(?:\.\d+)*)[^/]*$/.exec(image.replace(/@.*$/, ""))?.[1];
  return tag?.split(".").map(Number);
}

/** Below zero where `a` is the older one; what one of them does not say counts as equal. */
function compareVersions(a: readonly number[], b: readonly number[]): number {
  for (let index = 0; index < Math.min(a.length, b.length); index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

export const VERSION_RULES: readonly RiskRule[] = [
  {
    id: "postgres-major-version",
    warns: "another major version of Postgres on a volume that exists",
    find: ({ objects }) =>
      objects.flatMap((delta) => {
        const image = imageChange(delta, LOCATIONS.postgres.service);
        const [before, after] = image ? [versionOf(image.old)?.[0], versionOf(image.now)?.[0]] : [];
        if (before === undefined || after === undefined || before === after) return [];
        return [
          danger(
            objectName(delta),
            `goes from Postgres ${before} to ${after}, which does not start on the volume of ${before}: the update waits for it in vain, and NoETL ` +
              `has no database meanwhile. Dump first (pg_dumpall), deploy ${after} on a new volume, and load the dump there.`,
          ),
        ];
      }),
  },
  {
    id: "nats-downgrade",
    warns: "an older version of NATS on a store that exists",
    find: ({ objects }) =>
      objects.flatMap((delta) => {
        const image = imageChange(delta, LOCATIONS.nats.service);
        const [before, after] = image ? [versionOf(image.old), versionOf(image.now)] : [];
        if (!before || !after || compareVersions(after, before) >= 0) return [];
        return [
          danger(
            objectName(delta),
            `goes back from NATS ${before.join(".")} to ${after.join(".")}: what the newer one wrote to its store, the older one may not be able to ` +
              "read or may drop. Back up first (nats account backup), and restore into an empty store where streams are missing.",
          ),
        ];
      }),
  },
  {
    id: "image",
    warns: "a new image with the tag latest, without a tag, or without a digest",
    find: ({ objects }) => {
      const users = new Map<string, string[]>();
      for (const delta of objects) {
        const before = new Set(imagesOf(delta.old));
        for (const image of new Set(imagesOf(delta.new))) {
          if (!before.has(image)) users.set(image, [...(users.get(image) ?? []), objectName(delta)]);
        }
      }
      return [...users].flatMap(([image, names]) => {
        const problem = imageProblem(image);
        return problem
          ? [{ level: problem.level, subject: `image ${image}`, text: `${problem.text} (${names.join(", ")}).` }]
          : [];
      });
    },
  },
  {
    id: "chart-major-version",
    warns: "another major version of a chart",
    find: ({ releases }) =>
      releases.flatMap(({ name, oldVersion, newVersion }) =>
        oldVersion && newVersion && majorOf(oldVersion) !== majorOf(newVersion)
          ? [
              warning(
                `release ${name}`,
                `its chart goes from ${oldVersion} to ${newVersion}, another major version: read its upgrade notes.`,
              ),
            ]
          : [],
      ),
  },
];
