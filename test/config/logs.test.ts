import { describe, expect, it } from "vitest";
import { gatewayLogWarnings } from "../../config/logs";
import { parseSettings } from "../../config/parse";

describe("what a preview says of the gateway's log", () => {
  it.each<[string, Record<string, string>, RegExp[]]>([
    ["nothing where the chart masks it", {}, []],
    [
      "that another chart may",
      { gatewayChart: "./upstream/gateway" },
      [/^gatewayChart: .*may start the gateway as it is/],
    ],
    ["that a level has no effect", { gatewayEnv: '{"RUST_LOG":"warn"}' }, [/^gatewayEnv: RUST_LOG has no effect/]],
  ])("%s", (_, raw, expected) => {
    const said = gatewayLogWarnings(parseSettings({ deployGateway: "true", ...raw }));
    expect(said).toEqual(expected.map((each) => expect.stringMatching(each) as string));
    expect(gatewayLogWarnings(parseSettings(raw))).toEqual([]);
  });
});
