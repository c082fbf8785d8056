/** Images and charts: whether it is clear what runs, and whether it is another major version. */
import { podSpec } from "../environment";
import type { KubeObject } from "../objects";
import { objectName, warning, type Finding, type RiskRule } from "./facts";

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

export const VERSION_RULES: readonly RiskRule[] = [
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
