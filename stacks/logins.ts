/** Who logs in to the NATS that a stack deploys, beside NoETL's user and the guard's: server, workers and gateway, where each has its own. */
import type { NatsJetStream, NatsUser } from "../components";
import { generatedPassword } from "../components/shared";
import { contractTerms } from "../config/contract";
import { rolesOf } from "../config/logins";
import type { Settings } from "../config/schema";
import { withDefaults } from "../contract/inputs";
import { type NatsRole, rolePermissions, roleUser } from "../contract/nats/roles";

/** Their users; none where all of them have one login. Their passwords are generated, and new ones with `natsPasswordRevision`. */
export function roleUsers(settings: Settings): NatsUser[] {
  const contract = withDefaults(contractTerms(settings));
  return rolesOf(settings).map((role) => {
    const { publish, subscribe } = rolePermissions(role, contract);
    return {
      name: roleUser(role),
      password: generatedPassword(`nats-${role}-password`, {}, settings.natsPasswordRevision),
      permissions: { publish, subscribe },
      rotates: true,
    };
  });
}

/** What they log in with. */
export type RoleLogins = { readonly [R in NatsRole]?: ReturnType<NatsJetStream["loginOf"]> };

export const roleLogins = (settings: Settings, nats: NatsJetStream): RoleLogins =>
  Object.fromEntries(rolesOf(settings).map((role) => [role, nats.loginOf(roleUser(role))]));
