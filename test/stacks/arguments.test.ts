import { describe, expect, it } from "vitest";
import { natsVolume, releaseTimeout } from "../../config/derive";
import { parseSettings } from "../../config/parse";
import { gatewayArgs, natsArgs, noetlArgs, postgresArgs } from "../../stacks/arguments";
import { guardArgs } from "../../stacks/guard";
import { policiesOf } from "../../stacks/network";

const settingsOf = (given: Record<string, string> = {}) => parseSettings(given);

describe("how long an update waits for the pods of each part", () => {
  it.each([
    ["as long as it is asked to", { releaseTimeoutSeconds: "60" }, 60],
    ["300 s where nothing is said", {}, 300],
  ])("%s", (_, given, seconds) => {
    const settings = settingsOf(given);
    const parts = [natsArgs, postgresArgs, noetlArgs, gatewayArgs, guardArgs];
    expect(parts.map((part) => part(settings, policiesOf(settings))?.timeoutSeconds)).toEqual(parts.map(() => seconds));
  });

  it("900 s on GKE, where a pod may first wait for a node", () => {
    expect(releaseTimeout({ ...settingsOf(), platform: "gke" })).toBe(900);
  });
});

describe("the StorageClass of a part's volumes", () => {
  it.each<[string, Record<string, string>, "kubernetes" | "gke", (string | undefined)[]]>([
    ["is the cluster's default", {}, "kubernetes", [undefined, undefined]],
    ["is that of balanced disks on GKE", {}, "gke", ["standard-rwo", "standard-rwo"]],
    ["is the one that is set", { natsStorageClass: "a", postgresStorageClass: "b" }, "gke", ["a", "b"]],
  ])("%s", (_, given, platform, expected) => {
    const settings = { ...settingsOf(given), platform };
    expect([natsArgs(settings).storageClass, postgresArgs(settings).storageClass]).toEqual(expected);
    expect(natsVolume(settings).storageClass).toBe(expected[0]);
  });
});

it.each<[Record<string, string>, boolean | undefined]>([
  [{}, undefined],
  [{ readOnlyRootFilesystem: "false" }, false],
])(
  "images that may be written to, by the settings %j: server, workers, gateway and the database's Jobs have it alike",
  (given, expected) => {
    const settings = settingsOf(given);
    for (const args of [noetlArgs(settings, policiesOf(settings)), gatewayArgs(settings), postgresArgs(settings)])
      expect(args.readOnlyRootFilesystem).toBe(expected);
  },
);

it.each<[Record<string, string>, string | undefined]>([
  [{}, undefined],
  [{ noetlTmpSize: "2Gi" }, undefined],
  [{ noetlTmpSize: "20Gi" }, "20Gi"],
])("/tmp of server and workers, by the settings %j: what the chart has by itself is not named", (given, expected) => {
  const settings = settingsOf(given);
  expect(noetlArgs(settings, policiesOf(settings)).tmpSize).toBe(expected);
});
