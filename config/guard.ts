import type { GuardMode } from "../contract/guard/settings";
import type { Settings } from "./schema";

/** How the guard works; undefined where none is deployed: without NoETL there is nothing that it could make. */
export const guardMode = ({ contractGuard, deployNoetl }: Settings): GuardMode | undefined =>
  deployNoetl && contractGuard !== "off" ? (contractGuard as GuardMode) : undefined;

/** Settings that contradict each other. */
export const guardConflicts = (settings: Settings): string[] =>
  settings.monitoring !== "off" && guardMode(settings) === undefined
    ? [
        `monitoring: "${settings.monitoring}" needs the guard, whose metrics it is about; allowed: off, or contractGuard watch or heal ` +
          "with deployNoetl true; for example off",
      ]
    : [];
