import type { NatsConnection } from "nats";
import { describe, expect, it } from "vitest";
import { withDefaults } from "../../../contract";
import { Deadline } from "../../../contract/deadline";
import type { Relay } from "../../../contract/nats/relay";
import { NatsSession } from "../../../contract/nats/session";

/** A session with a server that gives these answers, one after the other; how often it was asked. */
function session(...answers: object[]) {
  let asked = 0;
  const connection = {
    closed: () => new Promise(() => undefined),
    status: () => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => undefined) }) }),
    request: () => {
      const answer = answers[Math.min(asked++, answers.length - 1)];
      return Promise.resolve({ json: () => answer });
    },
  } as unknown as NatsConnection;
  const relay = { failure: () => undefined } as unknown as Relay;
  const inputs = withDefaults({});
  return { asked: () => asked, session: new NatsSession(connection, relay, { server: "nats", inputs }) };
}

const refusal = (description: string) => ({ error: { code: 500, err_code: 10049, description } });
const CREATE = { subject: "STREAM.CREATE.S", body: {}, what: "to create stream S" };

describe("a stream that is created", () => {
  it("is asked for again while the server removes the files of the former one", async () => {
    const { session: open, asked } = session(refusal("error creating store for stream"), {});
    await open.change(CREATE, new Deadline(60_000));
    expect(asked()).toBe(2);
  });

  it("is not waited for longer than that takes", async () => {
    const { session: open } = session(refusal("error creating store for stream"));
    await expect(open.change(CREATE, new Deadline(300))).rejects.toMatchObject({ problem: "refused-request" });
  });

  it("is asked for once where anything else is refused", async () => {
    const { session: open, asked } = session(refusal("subjects overlap"), {});
    await expect(open.change(CREATE, new Deadline(60_000))).rejects.toThrow("subjects overlap");
    expect(asked()).toBe(1);
  });
});
