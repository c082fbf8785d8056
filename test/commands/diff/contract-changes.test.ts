import { describe, expect, it } from "vitest";
import { ensurePlan } from "../../../contract/ensure";
import { withDefaults, type ContractArguments, type ContractInputs } from "../../../contract/inputs";
import { contractReport, leftBehind } from "../../../commands/diff/contract-changes";

const contract = (more: ContractArguments = {}): ContractInputs => withDefaults({ mode: "ensure", ...more });
const OLD = contract();

/** What the report says of a change, and what mode `ensure` plans for a server that the old contract left so. */
function outcome(more: ContractArguments, old = OLD) {
  const now = contract(more);
  const left = leftBehind(old);
  const observed =
    old.stream === now.stream
      ? { stream: left.stream, consumer: old.consumer === now.consumer ? left.consumer : undefined }
      : { stream: undefined, consumer: undefined, overlapping: old.subject === now.subject ? [old.stream] : [] };
  const plan = ensurePlan(now, observed);
  const { changes, broken, refused, fix } = contractReport(old, now);
  return {
    says: changes.map(({ term, consequence }) => `${term}: ${consequence}`),
    broken: broken.map(({ rule }) => rule),
    refused,
    fix,
    does: plan.changes.map(({ does }) => does.replace(/: .*/, "")),
    cannot: plan.refused.map(({ id }) => id),
  };
}

describe("a change of a contract that is ensured", () => {
  it.each<[string, ContractArguments, string, RegExp]>([
    [
      "a subject that the stream lacks",
      { subject: "other.commands" },
      "update stream NOETL_COMMANDS",
      /^subject: The update adds other\.commands to stream NOETL_COMMANDS in place, before NoETL starts\.$/,
    ],
    [
      "a longer age",
      { expect: { maxAgeSeconds: 7200 } },
      "update stream NOETL_COMMANDS",
      /^max age: The update changes the existing stream NOETL_COMMANDS in place, before NoETL starts\. It matters because shorter,/,
    ],
    [
      "more replicas",
      { expect: { replicas: 3 } },
      "update stream NOETL_COMMANDS",
      /^replicas: The update changes the existing stream NOETL_COMMANDS in place/,
    ],
    [
      "another limit in flight",
      { worker: { maxAckPending: 128 } },
      "update consumer noetl_worker_pool",
      /^max ack pending: The update changes the existing consumer noetl_worker_pool in place/,
    ],
    [
      "another consumer",
      { consumer: "night_shift" },
      "create consumer night_shift",
      /^consumer: The update creates night_shift before NoETL starts, which delivers new commands only/,
    ],
  ])("updates in place what NATS lets one update: %s", (_what, more, does, says) => {
    const found = outcome(more);
    expect(found.says).toEqual([expect.stringMatching(says)]);
    expect(found).toMatchObject({ does: [does], cannot: [], broken: [], refused: false, fix: [] });
  });

  it("is refused where a violation would need something recreated", () => {
    const found = outcome({ expect: { retention: "workqueue", deliverPolicy: "all" } });
    expect(found).toMatchObject({ refused: true, broken: found.cannot });
    expect(found.cannot).toContain("stream-retention");
    expect(found.says[0]).toMatch(
      /^retention: The update fails before it changes anything: the stream NOETL_COMMANDS would have to be recreated, which mode ensure never does\. It matters because /,
    );
    expect(found.fix.join("\n")).toContain("nats stream rm NOETL_COMMANDS");
  });

  it("only warns where drift would, unless the contract is strict", () => {
    const lenient = outcome({ expect: { storage: "file" } });
    expect(lenient).toMatchObject({ refused: false, broken: ["stream-storage"], cannot: ["stream-storage"] });
    expect(lenient.says[0]).toMatch(
      /^storage: The existing stream NOETL_COMMANDS keeps the old value, and the update warns: /,
    );
    const strict = outcome({ expect: { storage: "file" }, strict: true }, contract({ strict: true }));
    expect(strict).toMatchObject({ refused: true });
    expect(strict.says[0]).toMatch(/^storage: The update fails before it changes anything: /);
  });

  it("creates another stream, or is refused where the old one holds the subject", () => {
    const free = outcome({ stream: "OTHER", subject: "other.commands" });
    expect(free.says).toEqual([
      "stream: The update creates OTHER before NoETL starts; NOETL_COMMANDS stays on the server with what is in it, and " +
        "no worker takes commands from it any more.",
      "subject: The new stream OTHER is created with other.commands.",
    ]);
    expect(free.does).toEqual(["create stream OTHER", "create consumer noetl_worker_pool"]);
    const taken = outcome({ stream: "OTHER" });
    expect(taken.says[0]).toMatch(
      /error 10065\): the update fails before it changes anything, until NOETL_COMMANDS is removed/,
    );
    expect(taken.cannot).toEqual(["stream-overlap"]);
  });

  it("needs nothing where what is there is better than what is asked for", () => {
    const found = outcome({ expect: { replicas: 1 } }, contract({ expect: { replicas: 3 } }));
    expect(found.says).toEqual(["replicas: The existing stream NOETL_COMMANDS is as it has to be."]);
  });
});

describe("a contract that is asserted", () => {
  const asserted = (more: ContractArguments = {}) => contractReport(withDefaults({}), withDefaults(more));

  it("of a line with more consumers takes none of them for the one that is there", () => {
    const { broken, fix } = asserted({ noetlLine: "4.7" });
    expect(broken.map(({ rule }) => rule)).toEqual(["consumer-ack-wait"]);
    expect(fix.join("\n")).not.toMatch(/_shared|_python/);
  });

  it("says what is left to others", () => {
    expect(asserted({ expect: { maxAgeSeconds: 600 } })).toMatchObject({
      changes: [
        { consequence: expect.stringMatching(/keeps the old value until it is edited or recreated/) as string },
      ],
      broken: [{ rule: "stream-max-age" }],
      refused: false,
    });
  });

  it("says what begins and ends with mode ensure", () => {
    const consequence = (old: "assert" | "ensure", now: "assert" | "ensure") =>
      contractReport(withDefaults({ mode: old }), withDefaults({ mode: now })).changes.map(
        (change) => change.consequence,
      );
    expect(consequence("assert", "ensure")).toEqual([expect.stringMatching(/^The update itself creates/)]);
    expect(consequence("ensure", "assert")).toEqual([expect.stringMatching(/^The update only checks/)]);
  });
});

describe("a subject that changes together with a restart of the one NATS server", () => {
  const now = (mode: "assert" | "ensure") => withDefaults({ mode, subject: "other.commands" });
  it.each(["assert", "ensure"] as const)(
    "breaks nothing in mode %s: the stream in memory is created by the new terms",
    (mode) => {
      const { broken, changes, refused } = contractReport(withDefaults({ mode }), now(mode), { losesMemory: true });
      expect([broken, refused]).toEqual([[], false]);
      expect(changes.find(({ term }) => term === "subject")?.consequence).toMatch(
        /^NATS restarts in the same update, .*other.commands\.$/,
      );
    },
  );
  it("still breaks where the stream is kept in a file, or NATS goes on", () => {
    const file = { expect: { storage: "file" } } as const;
    for (const [old, next, losesMemory] of [
      [
        withDefaults({ mode: "assert", ...file }),
        withDefaults({ mode: "assert", subject: "other.commands", ...file }),
        true,
      ],
      [withDefaults({ mode: "assert" }), now("assert"), false],
    ] as const)
      expect(contractReport(old, next, { losesMemory }).broken.map(({ rule }) => rule)).toContain("stream-subjects");
  });
});
