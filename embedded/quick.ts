import * as path from "node:path";
import { projectRoot } from "../contract/project";

/** Compiled, also where this module is loaded from its source. */
const LATE_LIBRARIES = path.join(projectRoot(), "dist", "commands", "shared", "late-libraries.js");

/**
 * Processes of Node that the engine starts load less. The engine's own runs are short, and each reads the schema of all that it
 * knows: collecting garbage four times as seldom saves a quarter of their processor time and costs some 10 MB. Who sets GOGC decides.
 */
export const QUICK = {
  NODE_OPTIONS: [process.env.NODE_OPTIONS ?? "", `--require=${JSON.stringify(LATE_LIBRARIES)}`].join(" ").trim(),
  GOGC: process.env.GOGC ?? "400",
};
