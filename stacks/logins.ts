/** Who logs in to the NATS that a stack deploys, beside NoETL's user and the guard's: server, workers and gateway, where each has its own. */
import type { NatsJetStream, NatsJetStreamArgs, NatsUser } from "../components";
import { generatedPassword } from "../components/shared";
import { contractTerms } from "../config/contract";
import { hasOperator, rolesOf } from "../config/logins";
import type { Settings } from "../config/schema";
import { withDefaults } from "../contract/inputs";
import {
  type NatsRole,
  OPERATOR_INBOX,
  OPERATOR_USER,
  operatorPermissions,
  type RolePermissions,
  rolePermissions,
  roleUser,
} from "../contract/nats/roles";

/** Their users, and that of nats-box; none where all of them have one login. Their passwords are generated, and new ones with `natsPasswordRevision`. */
export function roleUsers(settings: Settings): NatsUser[] {
  const contract = withDefaults(contractTerms(settings));
  const user = (role: string, name: string, { publish, subscribe }: RolePermissions): NatsUser => ({
    name,
    password: generatedPassword(`nats-${role}-password`, {}, settings.natsPasswordRevision),
    permissions: { publish, subscribe },
    rotates: true,
  });
  return [
    ...rolesOf(settings).map((role) => user(role, roleUser(role), rolePermissions(role, contract))),
    ...(hasOperator(settings) ? [user("operator", OPERATOR_USER, operatorPermissions(contract))] : []),
  ];
}

/** Who logs in in nats-box, where the stack has one. */
export const boxArgs = (settings: Settings): Pick<NatsJetStreamArgs, "box"> => ({
  box: hasOperator(settings) ? { user: OPERATOR_USER, inbox: OPERATOR_INBOX } : settings.natsBox,
});

/** What they log in with. */
export type RoleLogins = { readonly [R in NatsRole]?: ReturnType<NatsJetStream["loginOf"]> };

export const roleLogins = (settings: Settings, nats: NatsJetStream): RoleLogins =>
  Object.fromEntries(rolesOf(settings).map((role) => [role, nats.loginOf(roleUser(role))]));
