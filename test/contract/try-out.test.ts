import { describe, expect, it } from "vitest";
import { withDefaults } from "../../contract";
import { Deadline } from "../../contract/deadline";
import type { Inquiry } from "../../contract/nats/session";
import type { Known } from "../../contract/probe";
import { whatItSees } from "../../contract/try-out";

/** A login that sees the stream as created then, one look after the other; the last for ever. Empty: there is none. */
function login(...looks: string[]): Inquiry {
  const session = {
    streamInfo: () => {
      const created = looks.length > 1 ? looks.shift() : looks[0];
      return Promise.resolve(created === "" ? undefined : { created });
    },
    consumerInfo: () => Promise.resolve(undefined),
  };
  return { session, inputs: withDefaults({}), deadline: new Deadline(60_000) } as unknown as Inquiry;
}

/** What NoETL's login sees beside the check's, whose first look came with the other questions. */
const seen = (worker: string[], [first = "", ...checker]: string[]) =>
  whatItSees(
    { asWorker: login(...worker), asChecker: login(...(checker.length > 0 ? checker : [first])) },
    Promise.resolve({ stream: first === "" ? undefined : { created: first }, consumers: {} } as unknown as Known),
  );

describe("the stream that NoETL's login sees", () => {
  it("is the check's", async () => {
    expect(await seen(["1"], ["1"])).toEqual({});
    expect(await seen([""], [""])).toEqual({});
  });

  it("is another account's where it stays another, or none", async () => {
    expect(await seen(["2"], ["1"])).toEqual({ elsewhere: "2" });
    expect(await seen([""], ["1"])).toEqual({ elsewhere: "" });
  });

  it("is no other one where it is made, or made again, while both are asked", async () => {
    expect(await seen(["", "1"], ["1"])).toEqual({});
    expect(await seen(["1", "2"], ["1", "2"])).toEqual({});
    expect(await seen(["2"], ["1", "2"])).toEqual({});
    expect(await seen(["", "2"], ["1", "2"])).toEqual({});
  });

  it("is not known where it is made again all the time", async () => {
    expect(await seen(["a", "b", "c", "d", "e"], ["1", "2", "3", "4", "5"])).toEqual({});
  });
});
