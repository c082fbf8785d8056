import { expect, it } from "vitest";
import { parseSettings } from "../../../config/parse";
import { ENVIRONMENT } from "../../../contract/env";
import { FRESH } from "../../support/gke/configurations";
import { run } from "../../support/gke/mocks";
import { unwrap } from "../../support/mocks";

/** NATS_URL of the server as the program hands it to the chart. */
async function urlWith(more: Readonly<Record<string, string>>): Promise<unknown> {
  const { declared } = await run({ ...FRESH, ...more });
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

const GENERATED = {};
const AS_IT_IS = { natsPassword: "Correct-Horse-Battery-9" };
const ELSEWHERE = {
  ...AS_IT_IS,
  deployNats: "false",
  natsHost: "nats.acme.dev",
  acceptedRisks: "plain-http,plain-nats",
};

const rowsSay = (key: string): void => {
  for (const { name, settings } of ENVIRONMENT) if (name === "NATS_URL") expect(settings).toContain(key);
};

it.each([
  ["natsUser", { ...AS_IT_IS, natsUser: "ada" }, AS_IT_IS],
  ["natsPassword", { natsPassword: "Another-Horse-Battery-9" }, AS_IT_IS],
  ["natsPasswordRevision", { natsPasswordRevision: "2" }, GENERATED],
  ["natsUsers", { ...AS_IT_IS, natsUsers: "each" }, AS_IT_IS],
  ["natsTls", { ...AS_IT_IS, natsTls: "generated" }, AS_IT_IS],
  ["natsHost", { ...ELSEWHERE, natsHost: "nats.acme.org" }, ELSEWHERE],
  ["natsPort", { ...ELSEWHERE, natsPort: "4333" }, ELSEWHERE],
])("NATS_URL follows from %s, and its row says so", async (key, after, from) => {
  const [one, other] = [await before(from), await before(after)];
  expect([typeof one, typeof other]).toEqual(["string", "string"]);
  expect(other).not.toEqual(one);
  rowsSay(key);
});

it("deployNats decides whose host NATS_URL has, so that neither it nor natsHost is set alone", async () => {
  expect(await before(AS_IT_IS)).toMatch(/@nats\.nats\.svc\.cluster\.local:4222/);
  expect(await before(ELSEWHERE)).toMatch(/@nats\.acme\.dev:4222/);
  const { natsHost, ...without } = ELSEWHERE;
  expect(() => parseSettings({ ...FRESH, ...without })).toThrow(/natsHost/);
  expect(() => parseSettings({ ...FRESH, ...AS_IT_IS, natsHost })).toThrow(/of no use while deployNats is true/);
  rowsSay("deployNats");
});
