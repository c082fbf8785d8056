import { describe, expect, it } from "vitest";
import { check, diff, loginName, type LoginInputs, REMEMBERED } from "../../../components/postgres/login/provider";
import { sqlRole } from "../../../contract/validate";

/** What the state holds after one update after the other, each with a password. */
const after = (...passwords: string[]): LoginInputs =>
  passwords.reduce<Partial<LoginInputs>>(
    // As a program gives it: what the provider fills in is empty.
    (before, password) => check(before, { user: "noetl", password, logins: [] }).inputs ?? {},
    {},
  ) as LoginInputs;

describe("the logins of a role", () => {
  it("are the role itself, then another one for each other password", () => {
    expect(after("a")).toEqual({
      base: "noetl",
      user: "noetl",
      password: "a",
      numbers: { noetl: 1 },
      logins: [{ user: "noetl", password: "a" }],
    });
    expect(after("a", "b")).toMatchObject({ user: "noetl_2", password: "b", numbers: { noetl: 2 } });
    expect(after("a", "b", "a").user).toBe("noetl_3");
  });

  it("stay as they are where nothing changes", () => {
    expect(after("a", "b", "b", "b")).toEqual(after("a", "b"));
    expect(diff(after("a", "b"), after("a", "b", "b"))).toEqual({ changes: false });
    expect(diff(after("a"), after("a", "b"))).toEqual({ changes: true });
    expect(diff({ ...after("a"), __provider: "1" }, { ...after("a"), __provider: "2" })).toEqual({ changes: true });
  });

  it("are remembered, the newest first, as far as changes in a row are interrupted", () => {
    const users = (...passwords: string[]) => after(...passwords).logins.map(({ user, password }) => [user, password]);
    expect(users("a", "b", "c")).toEqual([
      ["noetl_3", "c"],
      ["noetl_2", "b"],
      ["noetl", "a"],
    ]);
    const many = users(..."abcdefgh");
    expect(many).toHaveLength(REMEMBERED + 1);
    expect(many.at(-1)).toEqual(["noetl_4", "d"]);
  });

  it("of a role with another name begin with that, and those of before are remembered", () => {
    const { inputs } = check(after("a"), { user: "flows", password: "a", logins: [] });
    expect(inputs).toMatchObject({ user: "flows", logins: [{ user: "flows" }, { user: "noetl" }] });
  });

  it("have names that need no quotes and that Postgres does not cut off", () => {
    expect(loginName("noetl", 12)).toBe("noetl_12");
    const long = loginName("n".repeat(63), 12);
    expect(long).toBe(`${"n".repeat(60)}_12`);
    expect(sqlRole(long)).toBeUndefined();
  });
});
