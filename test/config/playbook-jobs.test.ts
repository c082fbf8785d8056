import { describe, expect, it } from "vitest";
import { layoutOf } from "../../config/network";
import { parseSettings } from "../../config/parse";
import { jobsWarnings } from "../../config/playbook-jobs";
import { closedNamespaces, connectionsOf } from "../../contract/network";
import { noetlArgs } from "../../stacks/arguments";
import { policiesOf } from "../../stacks/network";
import { problemsOf } from "../support/settings";

describe("playbookJobs", () => {
  const POLICIES = { networkPolicies: "true" };
  const jobsOf = (config: Record<string, string>) => {
    const settings = parseSettings(config);
    return noetlArgs(settings, policiesOf(settings)).jobs;
  };

  it.each<[string, object | false | undefined]>([
    ["", undefined],
    ["noetl", undefined],
    ["own", { networkPolicies: expect.any(Array) as unknown }],
    ["off", false],
  ])('"%s" is the argument %j of Noetl', (playbookJobs, expected) => {
    expect(jobsOf({ ...POLICIES, playbookJobs })).toEqual(expected);
  });

  it("closes a namespace of its own where there is one, and reaches the API server where there are jobs", () => {
    const layout = (playbookJobs: string) => layoutOf(parseSettings({ ...POLICIES, playbookJobs }));
    const reaches = (playbookJobs: string) => connectionsOf(layout(playbookJobs)).some(({ to }) => to === "apiServer");
    expect(closedNamespaces(layout("own"))).toContain("noetl-jobs");
    expect(closedNamespaces(layout("noetl"))).not.toContain("noetl-jobs");
    expect(closedNamespaces(layout("off"))).not.toContain("noetl-jobs");
    expect(["noetl", "own", "off"].map(reaches)).toEqual([true, true, false]);
  });

  it("has no namespace without policies to close", () => {
    expect(jobsOf({ playbookJobs: "own" })).toEqual({});
  });

  it("takes these three and no other", () => {
    expect(problemsOf({ playbookJobs: "default" })).toEqual([
      expect.stringMatching(/^playbookJobs: "default" is .*allowed: noetl, own or off; for example own$/),
    ]);
  });

  it("says that another chart has to heed it, where it asks for anything", () => {
    const said = (raw: Record<string, string>) => jobsWarnings(parseSettings(raw));
    const chart = { noetlChart: "./upstream/noetl" };
    expect(said({ ...chart, playbookJobs: "own" })).toEqual([
      expect.stringMatching(
        /^playbookJobs: own is up to \.\/upstream\/noetl, .*read every Secret of namespace noetl\.$/,
      ),
    ]);
    expect(said(chart)).toEqual([]);
    expect(said({ playbookJobs: "own" })).toEqual([]);
    expect(said({ ...chart, playbookJobs: "own", deployNoetl: "false" })).toEqual([]);
  });
});
