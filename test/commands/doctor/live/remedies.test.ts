import { describe } from "vitest";
import { onOneDeployment } from "./setup";

// What findings tell to do, carried out on one deployment, part after part, as in doctor.test.ts.
// A part alone: npx vitest run --project long -t updates

onOneDeployment();

describe.each([
  ["remedies", () => import("./remedies.js")],
  ["interrupted", () => import("./interrupted.js")],
  ["watch", () => import("./watch.js")],
  // Last: its updates change the stack.
  ["updates", () => import("./updates.js")],
])("%s", { timeout: 600_000 }, async (_part, load) => {
  await load();
});
