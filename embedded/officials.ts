/** What of the official is to be had on this machine, asked before anything large is loaded. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { SETTINGS } from "../config/schema";
import type { ToolPaths } from "./toolchain";

const run = promisify(execFile);

export interface Officials {
  /** Pulumi's own plugins `kubernetes` and `random` are installed, or insisted on by `NOETL_NATS_PLUGINS=official`. */
  readonly plugins: Promise<boolean>;
  /** The chart nats/nats can be had from its repository. */
  readonly chart: Promise<boolean>;
}

/** Asks for both at once; neither answer fails. */
export const lookForOfficials = ({ pulumi, helm }: ToolPaths<"pulumi" | "helm">): Officials => ({
  plugins: process.env.NOETL_NATS_PLUGINS === "official" ? Promise.resolve(true) : officialPlugins(pulumi),
  chart: officialNatsChart(helm),
});

async function officialPlugins(pulumi: string): Promise<boolean> {
  try {
    const { stdout } = await run(pulumi, ["plugin", "ls", "--json"], { timeout: 20_000 });
    const installed = JSON.parse(stdout) as { name: string; kind: string }[];
    return ["kubernetes", "random"].every((name) =>
      installed.some((plugin) => plugin.kind === "resource" && plugin.name === name),
    );
  } catch {
    return false;
  }
}

/** True where the official chart can be had from its repository within ten seconds. */
async function officialNatsChart(helm: string): Promise<boolean> {
  const { natsChart, natsChartRepository, natsChartVersion } = SETTINGS;
  try {
    await run(
      helm,
      [
        "show",
        "chart",
        natsChart.default,
        "--repo",
        natsChartRepository.default,
        "--version",
        natsChartVersion.default,
      ],
      { timeout: 10_000 },
    );
    return true;
  } catch {
    return false;
  }
}
