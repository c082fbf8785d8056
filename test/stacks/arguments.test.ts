import { describe, expect, it } from "vitest";
import { releaseTimeout } from "../../config/derive";
import { parseSettings } from "../../config/parse";
import { gatewayArgs, natsArgs, noetlArgs, postgresArgs } from "../../stacks/arguments";
import { guardArgs } from "../../stacks/guard";

const settingsOf = (given: Record<string, string> = {}) => parseSettings(given);

describe("how long an update waits for the pods of each part", () => {
  it.each([
    ["as long as it is asked to", { releaseTimeoutSeconds: "60" }, 60],
    ["300 s where nothing is said", {}, 300],
  ])("%s", (_, given, seconds) => {
    const settings = settingsOf(given);
    const parts = [natsArgs, postgresArgs, noetlArgs, gatewayArgs, guardArgs];
    expect(parts.map((part) => part(settings)?.timeoutSeconds)).toEqual(parts.map(() => seconds));
  });

  it("900 s on GKE, where a pod may first wait for a node", () => {
    expect(releaseTimeout({ ...settingsOf(), platform: "gke" })).toBe(900);
  });
});
