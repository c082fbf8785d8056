import { afterAll, beforeAll, describe } from "vitest";
import { deploy } from "./setup";
import { Deployment } from "./support";

// What findings tell to do, carried out on one deployment, part after part, as in doctor.test.ts.
// A part alone: npx vitest run --project long -t updates

let tearDown: (() => Promise<void>) | undefined;
beforeAll(async () => {
  const deployed = await deploy();
  Deployment.dir = deployed.dir;
  tearDown = deployed.tearDown;
}, 480_000);
afterAll(() => tearDown?.(), 240_000);

describe.each([
  ["remedies", () => import("./remedies.js")],
  ["interrupted", () => import("./interrupted.js")],
  ["watch", () => import("./watch.js")],
  // Last: its updates change the stack.
  ["updates", () => import("./updates.js")],
])("%s", { timeout: 600_000 }, async (_part, load) => {
  await load();
});
