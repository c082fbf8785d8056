/** The guard of a stack: who it logs in as, and what it is given. */
import { generatedPassword } from "../components/shared";
import { type ContractGuardArgs, type NatsUser } from "../components";
import { contractTerms } from "../config/contract";
import { releaseTimeout } from "../config/derive";
import { guardMode } from "../config/guard";
import type { Settings } from "../config/schema";
import { GUARD_USER, guardPermissions } from "../contract/guard/permissions";
import { withDefaults } from "../contract/inputs";
import { fileStoreLimit } from "../contract/nats/file-store";
import { quantityBytes } from "../contract/validate";

/** The guard's own user, where the stack installs NATS and has a guard; its password is generated. */
export function guardUser(settings: Settings): NatsUser | undefined {
  const mode = guardMode(settings);
  if (mode === undefined || !settings.deployNats) return undefined;
  const { publish, subscribe } = guardPermissions(withDefaults(contractTerms(settings)), mode);
  return {
    name: GUARD_USER,
    password: generatedPassword("contract-guard-password", {}),
    permissions: { publish, subscribe },
  };
}

/** Arguments of the guard, but for NATS and the namespace; undefined where the stack has none. */
export function guardArgs(settings: Settings): Omit<ContractGuardArgs, "nats"> | undefined {
  const mode = guardMode(settings);
  if (mode === undefined) return undefined;
  const { natsJetstreamMemSize, natsJetstreamFileSize, deployNats } = settings;
  const sizes = {
    memory: quantityBytes(natsJetstreamMemSize) ?? 0,
    file: quantityBytes(fileStoreLimit(natsJetstreamFileSize)) ?? 0,
  };
  return {
    contract: contractTerms(settings),
    mode,
    image: settings.contractGuardImage,
    monitoring: settings.monitoring as ContractGuardArgs["monitoring"],
    stores: deployNats ? sizes : undefined,
    timeoutSeconds: releaseTimeout(settings),
  };
}
