import type { GuardMode } from "../contract/guard/settings";
import type { Settings } from "./schema";

/** How the guard works; undefined where none is deployed: without NoETL there is nothing that it could make. */
export const guardMode = ({ contractGuard, deployNoetl }: Settings): GuardMode | undefined =>
  deployNoetl && contractGuard !== "off" ? (contractGuard as GuardMode) : undefined;
