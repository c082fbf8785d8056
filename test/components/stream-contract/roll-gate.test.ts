/** What a preview and an update of NATS' release ask, by what the release is and is to be. */
import * as pulumi from "@pulumi/pulumi";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { natsValues } from "../../../components/nats-jetstream/values";
import { rollGate } from "../../../components/stream-contract/hooks";
import type { Resize } from "../../../contract/resize";
import type { RollProblem } from "../../../contract/roll";
import { rejection } from "../../support/nats";

/** What was asked of NATS and by which arguments, and its answer; the compiled module asks it. */
const nats = { asked: [] as Resize[], by: [] as unknown[], answer: undefined as RollProblem | undefined };
vi.mock("../../../components/stream-contract/resource", () => ({
  provider: () => ({
    beforeRoll: (args: object | undefined, resize: Resize) => {
      nats.by.push(args);
      nats.asked.push(resize);
      return Promise.resolve(nats.answer);
    },
  }),
}));
const warn = vi.spyOn(pulumi.log, "warn").mockResolvedValue();

/** A release whose servers have the certificate of a Secret, or none. */
const release = (secret?: string, replicas = 3) => ({
  chart: "nats",
  values: natsValues({
    ...{ usersSecret: "nats-users", routeSecret: "nats-routes", replicas },
    ...{ fileStoreSize: "1Gi", memoryStoreSize: "64Mi", memoryLimit: "1Gi" },
    ...(secret === undefined ? {} : { tls: { certificate: secret, authority: "nats-ca" } }),
  }),
});
/** A name that is not known yet, as the engine hands it to hooks. */
const UNKNOWN = pulumi.unknown as unknown as string;
/** The contract of a stack whose certificate is made by the same update. */
const CONTRACT = {
  connection: { namespace: "nats", tls: { ca: pulumi.output(new Promise<string>(() => undefined)) } },
};

const update = async (oldInputs: object, newInputs: object, refuses = true): Promise<void> => {
  const gate = rollGate(() => CONTRACT, refuses);
  await gate({ urn: "urn", oldInputs, newInputs } as unknown as pulumi.ResourceHookArgs);
};

beforeEach(() => {
  Object.assign(nats, { asked: [], by: [], answer: undefined });
  warn.mockClear();
});

describe.each([
  ["a preview", true],
  ["an update", false],
])("%s", (_what, isPreview) => {
  beforeEach(() =>
    pulumi.runtime.setMocks(
      { newResource: ({ name, inputs }) => ({ id: name, state: inputs as object }), call: () => ({}) },
      "project",
      "stack",
      isPreview,
    ),
  );

  it.each([
    ["come to TLS", release(), release("nats-tls")],
    ["come to TLS, by a Secret that is made by the update", release(), release(UNKNOWN)],
    ["leave it", release("nats-tls"), release()],
    ["come to the certificate of another Secret", release("nats-tls"), release("mine")],
  ])("asks what a cluster loses whose servers %s, and is refused where it does", async (_how, before, after) => {
    await update(before, after);
    expect(nats.asked).toEqual([{ before: 3, after: 3, parts: true }]);
    expect(nats.by).toEqual([{ connection: { namespace: "nats" } }]);
    nats.answer = { why: "NOETL_COMMANDS is lost.", kind: "drops" };
    expect((await rejection(update(before, after))).message).toBe(
      "NATS was left as it is. NOETL_COMMANDS is lost. Of commands, run it again when the workers have taken what waits. To keep their stream " +
        "on disk from now on: `pulumi config set natsStreamStorage file`, and `npm run doctor -- --stack stack --repair`, which takes along " +
        "what it holds (docs/tls.md). To lose what is in memory: `pulumi config set natsGuardRolls false` does it all the same.",
    );
    await update(before, after, false);
    expect(warn.mock.calls.map(([text]) => text)).toEqual([
      "NOETL_COMMANDS is lost. It is done all the same: natsGuardRolls is false.",
    ]);
  });

  it.each([
    ["more servers", release("nats-tls"), release("nats-tls", 5)],
    ["a Secret whose name is not known yet", release("nats-tls"), release(UNKNOWN)],
  ])("takes %s for a roll like any other", async (_what, before, after) => {
    await update(before, after);
    expect(nats.asked.filter(({ parts }) => parts)).toEqual([]);
  });

  it("says what helps where NATS could not be asked; a preview goes on, for the update asks again", async () => {
    nats.answer = { why: "NATS could not be asked.", kind: "unasked" };
    const outcome = update(release(), release("nats-tls"));
    if (isPreview) {
      await outcome;
      expect(warn).toHaveBeenCalledWith(
        "NATS could not be asked. The update will ask again, and refuse.",
        expect.anything(),
      );
    } else {
      expect((await rejection(outcome)).message).toBe(
        "NATS was left as it is. NATS could not be asked. Run the update again when NATS answers. Where the update is what brings it back, " +
          "`pulumi config set natsGuardRolls false` does it all the same, and loses what is in memory.",
      );
    }
  });

  it("stops at a copy that is not in step only where the update is made", async () => {
    nats.answer = { why: "Not in step.", kind: "out of step" };
    const outcome = update(release(), release("nats-tls"));
    if (isPreview) {
      await outcome;
      expect(warn).not.toHaveBeenCalled();
    } else {
      expect((await rejection(outcome)).message).toBe(
        "NATS was left as it is. Not in step. Run the update again when all are in step (`nats stream report`). Where the update is what brings " +
          "them back, `pulumi config set natsGuardRolls false` does it all the same.",
      );
    }
  });

  it("asks nothing of the kind of a lone server", async () => {
    await update(release(undefined, 1), release("nats-tls", 1));
    expect(nats.asked.filter(({ parts }) => parts)).toEqual([]);
  });
});
