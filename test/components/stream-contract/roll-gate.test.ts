/** What a preview and an update of NATS' release ask, by what the release is and is to be. */
import * as pulumi from "@pulumi/pulumi";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { natsValues } from "../../../components/nats-jetstream/values";
import { rollGate } from "../../../components/stream-contract/hooks";
import type { Resize } from "../../../contract/resize";
import { rejection } from "../../support/nats";

/** What was asked of NATS, and its answer; the compiled module asks it. */
const nats = { asked: [] as Resize[], answer: undefined as { why: string; isKnown: boolean } | undefined };
vi.mock("../../../components/stream-contract/resource", () => ({
  provider: () => ({
    beforeRoll: (_: object, resize: Resize) => {
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
const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

const update = async (oldInputs: object, newInputs: object, refuses = true): Promise<void> => {
  const gate = rollGate(() => ({}), refuses);
  await gate({ urn: "urn", oldInputs, newInputs } as unknown as pulumi.ResourceHookArgs);
};

beforeEach(() => {
  Object.assign(nats, { asked: [], answer: undefined });
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
    nats.answer = { why: "NOETL_COMMANDS is lost.", isKnown: true };
    expect((await rejection(update(before, after))).message).toBe(
      "NATS was left as it is. NOETL_COMMANDS is lost. Run it again when the workers have taken what waits there. To keep the stream of the " +
        "commands on disk from now on: `pulumi config set natsStreamStorage file`, and `npm run doctor -- --repair`, which takes along what it " +
        "holds (docs/tls.md). To lose them: `pulumi config set natsGuardRolls false` does it all the same.",
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

  it("asks nothing of the kind of a lone server", async () => {
    await update(release(undefined, 1), release("nats-tls", 1));
    expect(nats.asked.filter(({ parts }) => parts)).toEqual([]);
  });
});
