/** Rules between the settings of a stack on Google Kubernetes Engine: what cannot work, and what may not. */
import { type Changed, type Group, SETTINGS, type SettingKey, type Settings } from "../schema";
import { clusterProblems, podProblems } from "./new-cluster";
import { databaseProblems } from "./database";
import { chartDoubts, exposureProblems } from "./exposure";
import { imageDoubts } from "./images";

const GKE_GROUPS: readonly Group[] = ["GKE", "Cloud SQL", "Exposure on GKE"];
/** The same, among the settings of a part that stands everywhere. */
const GKE_KEYS: readonly SettingKey[] = ["corsIncludePublicHosts", "corsIncludeLocalhost", "corsIncludeHttp"];

/**
 * Everything about a stack's GKE settings that cannot work. `settings` have been through `derived`, which fills in what
 * follows from others.
 */
export function gkeConflicts(settings: Settings, changed: Changed): string[] {
  if (settings.platform !== "gke") return strayKeys(changed);
  return [
    ...clusterProblems(settings, changed),
    ...databaseProblems(settings, changed),
    ...exposureProblems(settings, changed),
    ...podProblems(settings, changed),
  ];
}

/** What may work and is not known to, or works and may not be meant. */
export const gkeWarnings = (settings: Settings): string[] => [...chartDoubts(settings), ...imageDoubts(settings)];

/** Keys of GKE on another platform: the stack would go to whatever cluster the kubeconfig names. */
function strayKeys(changed: Changed): string[] {
  const stray = (Object.keys(SETTINGS) as SettingKey[]).filter(
    (key) => (GKE_GROUPS.includes(SETTINGS[key].group) || GKE_KEYS.includes(key)) && changed(key),
  );
  return stray.length === 0
    ? []
    : [`platform: "kubernetes" has no use for ${stray.join(", ")}; allowed: unset them, or platform gke`];
}
