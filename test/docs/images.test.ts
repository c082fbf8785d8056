import { describe, expect, it } from "vitest";
import { DEFAULTS } from "../../contract/defaults";
import { isGatewayWithoutNats, isOlder, lineOfImage, type Version } from "../../contract/lines";
import { projectFiles, readProject } from "../support/markdown";

/** What a user copies or runs as it stands. */
const SHIPPED = projectFiles().filter((file) =>
  /^(Pulumi\..*\.yaml|(examples|docs|kind|bench)\/.*|charts\/.*values\.yaml|README\.md|contract\/defaults\.ts)$/.test(
    file,
  ),
);

/** Images of NoETL or its gateway with the release in their tag. */
const imagesIn = (text: string): string[] =>
  [...text.matchAll(/(?:[\w.-]+\/)+(?:noetl-)?(?:noetl|gateway):v?\d+(?:\.\d+)*[\w.-]*/g)].map(([image]) => image);

const releaseOf = (image: string): Version => {
  const [major = 0, minor = 0, patch = 0] = (image.split(":").at(-1)?.match(/\d+/g) ?? []).map(Number);
  return [major, minor, patch];
};

/** Why an image is not one to be named; undefined where it works, updates of executions included. */
function problemOf(image: string): string | undefined {
  const isGateway = /gateway:/.test(image);
  if (isGateway && isOlder(releaseOf(image), [2, 11, 1])) return "forwards no updates of executions";
  if (isGateway) return isGatewayWithoutNats(image) ? "does not use NATS" : undefined;
  const line = lineOfImage(image);
  if (line === undefined || line.isNearest) return "is a release that is not known";
  return line.withoutNats ? "does not use NATS" : undefined;
}

describe("images that stack files, examples and pages name", () => {
  const named = SHIPPED.flatMap((file) => imagesIn(readProject(file)).map((image) => [file, image] as const));

  it.each(named)("%s: %s works", (_, image) => expect(problemOf(image)).toBeUndefined());

  it("are found", () => {
    expect(named).toContainEqual(["contract/defaults.ts", DEFAULTS.gatewayImage]);
    expect(named).toContainEqual(["contract/defaults.ts", DEFAULTS.noetlImage]);
    expect(named.map(([file]) => file)).toContain("docs/gke.md");
    expect(SHIPPED).toEqual(
      expect.arrayContaining(["Pulumi.gke.yaml", "Pulumi.kind.yaml", "examples/library/index.ts"]),
    );
  });

  it.each([
    ["us-central1-docker.pkg.dev/acme/noetl/gateway:v2.10.0", "forwards no updates of executions"],
    ["ghcr.io/noetl/gateway:v3.7.1", "does not use NATS"],
    ["ghcr.io/noetl/noetl:v5.1.0", "is a release that is not known"],
    ["ghcr.io/noetl/noetl:v4.30.0", "is a release that is not known"],
  ])("%s would be refused", (image, why) => {
    expect(imagesIn(`image: ${image}\n`)).toEqual([image]);
    expect(problemOf(image)).toBe(why);
  });
});
