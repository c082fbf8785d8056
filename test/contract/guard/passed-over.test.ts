import { expect, it } from "vitest";
import { passedOver, placesOf } from "../../../contract/guard/passed-over";
import type { Seen } from "../../../contract/guard/decide";
import { REPAIR_MARK } from "../../../contract/rules/rule";

interface Look {
  readonly stream?: string;
  readonly repaired?: boolean;
  readonly first?: number;
  readonly last: number;
  readonly consumer?: string;
  readonly policy?: string;
  /** After which message the consumer began, up to which all is acknowledged, and what waits for it. */
  readonly begins?: number;
  readonly floor?: number;
  readonly waiting?: number;
}

const seen = (given: Look): Seen => {
  const { stream = "s1", repaired, first = 1, last, consumer = "c1", policy = "new", begins = 0 } = given;
  const { floor = 0, waiting = 0 } = given;
  const info = {
    name: "workers",
    created: consumer,
    config: { deliver_policy: policy },
    // As nats-server counts: both stand still until the first delivery.
    delivered: { stream_seq: begins, consumer_seq: 0 },
    ack_floor: { stream_seq: floor, consumer_seq: 0 },
    num_pending: waiting,
    num_ack_pending: 0,
  };
  return {
    observed: {
      stream: {
        created: stream,
        config: { metadata: repaired ? { [REPAIR_MARK]: "id whole" } : {} },
        state: { first_seq: first, last_seq: last },
      },
      consumer: info,
    },
  } as unknown as Seen;
};

/** What is said at the last of several looks. */
function said(looks: readonly Look[], made: readonly string[] = []): string[] {
  const last = looks.at(-1);
  if (!last) return [];
  const places = looks.slice(0, -1).reduce((before, each) => placesOf(seen(each), before), {});
  return passedOver(seen(last), places, made).map((words) => words.replace(/ before it may reach no worker;.*$/, ""));
}

it.each<[string, Look[], string[]]>([
  [
    "made again by a worker while three commands wait",
    [
      { last: 4, floor: 1, waiting: 3 },
      { last: 4, consumer: "c2", begins: 4 },
    ],
    ["consumer workers begins after message 4: up to 3 commands"],
  ],
  [
    "made again after two more were published",
    [
      { last: 4, floor: 1, waiting: 3 },
      { last: 6, consumer: "c2", begins: 6 },
    ],
    ["consumer workers begins after message 6: up to 5 commands"],
  ],
  [
    "made again while nothing waits",
    [
      { last: 9, floor: 9 },
      { last: 9, consumer: "c2", begins: 9 },
    ],
    [],
  ],
  [
    "of one pool made again, where all that waits is another pool's",
    [
      { last: 50, floor: 3 },
      { last: 50, consumer: "c2", begins: 50 },
    ],
    [],
  ],
  [
    "made again twice, with nothing acknowledged in between, as nats-server before 2.15 counts",
    [
      { last: 4, floor: 1, waiting: 3 },
      { last: 4, consumer: "c2", begins: 4 },
      { last: 6, consumer: "c2", begins: 4, waiting: 2 },
      { last: 6, consumer: "c3", begins: 6 },
    ],
    ["consumer workers begins after message 6: up to 2 commands"],
  ],
  ["that was there at the guard's first look", [{ last: 9, begins: 9 }], []],
  [
    "that is the same",
    [
      { last: 4, floor: 1, waiting: 3 },
      { last: 9, floor: 1, waiting: 8 },
    ],
    [],
  ],
  [
    "made again from the first message on",
    [
      { last: 4, floor: 1, waiting: 3 },
      { last: 4, consumer: "c2", policy: "all", waiting: 4 },
    ],
    [],
  ],
  [
    "of a stream that was made again, in which a command came first",
    [
      { last: 40, floor: 40 },
      { stream: "s2", last: 1, consumer: "c2", begins: 1 },
    ],
    ["consumer workers begins after message 1: up to 1 command"],
  ],
  [
    "of a stream that a repair has made",
    [
      { last: 40, floor: 38, waiting: 2 },
      { stream: "s2", repaired: true, last: 2, consumer: "c2", begins: 2 },
    ],
    [],
  ],
  [
    "made again on a stream that a repair made long ago",
    [
      { stream: "s2", repaired: true, last: 2, floor: 0, waiting: 2 },
      { stream: "s2", repaired: true, last: 2, consumer: "c2", begins: 2 },
    ],
    ["consumer workers begins after message 2: up to 2 commands"],
  ],
  [
    "made again after old commands were removed by their age",
    [
      { last: 40, floor: 10, waiting: 30 },
      { first: 36, last: 40, consumer: "c2", begins: 40 },
    ],
    ["consumer workers begins after message 40: up to 5 commands"],
  ],
])("a consumer %s", (_, looks, words) => {
  expect(said(looks)).toEqual(words);
});

it("a consumer that a guard makes which has not seen it before counts all that is stored", () => {
  expect(said([{ first: 3, last: 9, begins: 9 }], ["workers"])).toEqual([
    "consumer workers begins after message 9: up to 7 commands",
  ]);
});
