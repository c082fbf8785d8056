import { describe, expect, it } from "vitest";
import { allAtOnce } from "../../contract/at-once";
import { ConnectError } from "../../contract/errors";

const EARLY = new ConnectError("refused-request", "nats refused to create it: stream not found (10059)");

/** A promise, and what ends it. */
function pending() {
  let end: { resolve: (value: string) => void; reject: (error: Error) => void } | undefined;
  const promise = new Promise<string>((resolve, reject) => (end = { resolve, reject }));
  return { promise, resolve: (value: string) => end?.resolve(value), reject: (error: Error) => end?.reject(error) };
}

describe("what is created far away", () => {
  /** The answers to a stream's creation, and to two of its consumer's, the first of which comes after the second was asked for. */
  async function asked(answer: (first: ReturnType<typeof pending>) => void) {
    const requests: string[] = [];
    const first = pending();
    const ask = (name: string): Promise<string> => {
      requests.push(name);
      if (name === "stream") return Promise.resolve("made");
      if (requests.length === 2) return first.promise;
      answer(first);
      return Promise.resolve("made by the second");
    };
    const answers = await Promise.all(allAtOnce(["stream", "consumer"], ask, true).map((each) => each()));
    return { requests, answers };
  }
  const twice = ["stream", "consumer", "consumer"];

  it("is asked for once more before the refusal of one that came too early has come all the way", async () => {
    const early = await asked(({ reject }) => reject(EARLY));
    expect(early).toEqual({ requests: twice, answers: ["made", "made by the second"] });
  });

  it("is what the first answer says where it says something else", async () => {
    expect(await asked(({ resolve }) => resolve("made by the first"))).toEqual({
      requests: twice,
      answers: ["made", "made by the first"],
    });
    const refusal = new ConnectError("refused-request", "no room (10047)");
    await expect(asked(({ reject }) => reject(refusal))).rejects.toBe(refusal);
  });
});
