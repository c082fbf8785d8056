import { describe } from "vitest";
import { onOneDeployment } from "./setup";

// One deployment for all parts, which break it and fix it: one file, so that they do so one after the other. What takes longer,
// remedies and updates, has a deployment of its own (remedies.test.ts).
// A part alone: npx vitest run --project doctor -t repair

onOneDeployment();

describe.each([
  // First, while the stack is as it was deployed.
  ["live", () => import("./live.js")],
  ["diagnosis", () => import("./diagnosis.js")],
  ["refusals", () => import("./refusals.js")],
  ["symptoms", () => import("./symptoms.js")],
  ["servers", () => import("./servers.js")],
  ["repair", () => import("./repair.js")],
  // Long enough for a machine that others load: what a test waits for has deadlines of its own.
])("%s", { timeout: 600_000 }, async (_part, load) => {
  await load();
});
