import * as path from "node:path";
import { ensureDebianProgram } from "./debian";

/** promtool from PATH, else that of Debian's package prometheus.  @throws Error with one sentence where neither can be had. */
export function ensurePromtool(): string {
  const found = ensureDebianProgram({
    program: "promtool",
    package: "prometheus",
    needs: "The test of the alerts needs promtool on PATH (Debian: package prometheus)",
    omit: ["usr/bin/prometheus"],
  });
  return "installed" in found ? found.installed : path.join(found.unpacked, "usr", "bin", "promtool");
}
