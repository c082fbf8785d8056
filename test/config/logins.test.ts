import { describe, expect, it } from "vitest";
import { hasOperator, natsCommandOf, rolesOf } from "../../config/logins";
import { ConfigError, parseSettings } from "../../config/parse";

const problemsOf = (raw: Record<string, string>): readonly string[] => {
  try {
    parseSettings({ natsUsers: "each", ...raw });
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
};

describe("natsUsers", () => {
  it("is one login for all where it is unset, and else one for each part that the stack deploys", () => {
    expect(rolesOf(parseSettings({}))).toEqual([]);
    expect(rolesOf(parseSettings({ natsUsers: "each" }))).toEqual(["server", "worker"]);
    expect(rolesOf(parseSettings({ natsUsers: "each", deployGateway: "true" }))).toEqual([
      "server",
      "worker",
      "gateway",
    ]);
  });

  it("gives nats-box a user of its own where there is one, and remedies a command that is there", () => {
    const of = (raw: Record<string, string>) => {
      const settings = parseSettings(raw);
      return [hasOperator(settings), natsCommandOf(settings, "acme/prod")];
    };
    const command = "npm run nats -- --stack acme/prod";
    expect(of({})).toEqual([false, command]);
    expect(of({ natsUsers: "each" })).toEqual([false, command]);
    expect(of({ natsBox: "true" })).toEqual([false, undefined]);
    expect(of({ natsBox: "true", natsUsers: "each" })).toEqual([true, undefined]);
    const elsewhere = { deployNats: "false", natsHost: "nats.acme.dev", natsPassword: "x" };
    expect(of(elsewhere)).toEqual([false, command]);
    // Stack files for one's own machine ask for it, whichever NATS is used.
    expect(of({ ...elsewhere, natsBox: "true" })).toEqual([false, command]);
    expect(problemsOf({ ...elsewhere, natsUsers: "one", natsBox: "true" })).toEqual([]);
  });

  it("has new passwords by natsPasswordRevision, whoever sets the one of natsUser", () => {
    const revised = { natsPassword: "a-long.random_Word-42", natsPasswordRevision: "2" };
    expect(problemsOf(revised)).toEqual([]);
    expect(problemsOf({ ...revised, natsUsers: "one" })).toEqual([
      expect.stringMatching(/^natsPasswordRevision: "2" has no effect while natsPassword is set/),
    ]);
  });

  it.each([
    [{ deployNats: "false", natsHost: "nats.acme.dev", natsPassword: "x" }, /^natsUsers: .*deployNats is false/],
    [{ noetlChart: "./upstream/noetl" }, /^natsUsers: .*this project's chart/],
    [{ noetlLine: "rust" }, /^natsUsers: .*not known for the Rust NoETL/],
    [{ natsUser: "noetl-worker" }, /^natsUser: "noetl-worker" is the user of a part/],
    [{ natsUser: "operator" }, /^natsUser: "operator" is the user of a part/],
    [{ natsUsers: "two" }, /^natsUsers: "two" is .*allowed: one or each; for example each/],
    [{ workerEnv: '{"NATS_INBOX_PREFIX":"x"}' }, /^workerEnv: NATS_INBOX_PREFIX has a place of its own/],
  ])("refuses what it cannot do, with what to set: %j", (raw, words) => {
    expect(problemsOf(raw)).toEqual([expect.stringMatching(words)]);
  });
});
