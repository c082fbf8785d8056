import { expect, it } from "vitest";
import { ENVIRONMENT } from "../../../contract/env";
import { FRESH } from "../../support/gke/configurations";
import { run } from "../../support/gke/mocks";
import { unwrap } from "../../support/mocks";

/** NATS_URL of the server as the program hands it to the chart. */
async function urlWith(more: Readonly<Record<string, string>>): Promise<unknown> {
  const { declared } = await run({ ...FRESH, natsPassword: "Correct-Horse-Battery-9", ...more });
  const releases = declared
    .filter(({ type }) => type === "kubernetes:helm.sh/v3:Release")
    .map(
      ({ inputs }) => unwrap(inputs) as { chart?: string; values?: { config?: { server?: Record<string, unknown> } } },
    );
  const values = releases.find(({ chart }) => chart?.endsWith("/noetl"))?.values;
  return values?.config?.server?.NATS_URL;
}

/** The same without what differs, asked for once. */
const known = new Map<object, Promise<unknown>>();
const before = (more: Readonly<Record<string, string>>): Promise<unknown> => {
  const found = known.get(more) ?? urlWith(more);
  known.set(more, found);
  return found;
};

const AS_IT_IS = {};
const ELSEWHERE = { deployNats: "false", natsHost: "nats.acme.dev" };

it.each([
  ["natsUser", { natsUser: "ada" }, AS_IT_IS],
  ["natsPassword", { natsPassword: "Another-Horse-Battery-9" }, AS_IT_IS],
  ["natsUsers", { natsUsers: "each" }, AS_IT_IS],
  ["natsTls", { natsTls: "generated" }, AS_IT_IS],
  ["deployNats", ELSEWHERE, AS_IT_IS],
  ["natsHost", { ...ELSEWHERE, natsHost: "nats.acme.org" }, ELSEWHERE],
  ["natsPort", { ...ELSEWHERE, natsPort: "4333" }, ELSEWHERE],
])("NATS_URL follows from %s, and its row says so", async (key, after, from) => {
  const [one, other] = [await before(from), await before(after)];
  expect([typeof one, typeof other]).toEqual(["string", "string"]);
  expect(other).not.toEqual(one);
  for (const { name, settings } of ENVIRONMENT) if (name === "NATS_URL") expect(settings).toContain(key);
});
