/** Where playbooks may start Kubernetes jobs. */
import { LOCATIONS } from "../contract/facts";
import { SETTINGS, type Settings } from "./schema";

/** What a preview says where a chart of somebody else's decides about the workers' rights. */
export const jobsWarnings = (settings: Settings): string[] =>
  !settings.deployNoetl ||
  settings.playbookJobs === SETTINGS.playbookJobs.default ||
  settings.noetlChart === SETTINGS.noetlChart.default
    ? []
    : [
        `playbookJobs: ${settings.playbookJobs} is up to ${settings.noetlChart}, which has to heed the value worker.jobs. Upstream's chart ` +
          `does not: its workers read every Secret of namespace ${LOCATIONS.noetl.namespace}.`,
      ];
