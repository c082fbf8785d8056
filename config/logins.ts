/** Who of NoETL has a user of its own at NATS, as a stack's settings say it. */
import { GUARD_USER } from "../contract/guard/permissions";
import { NATS_ROLES, type NatsRole, OPERATOR_USER, roleUser } from "../contract/nats/roles";
import { stackLine } from "./lines";
import { SETTINGS, type Settings } from "./schema";

/** The parts that have one; none where all log in as natsUser. */
export function rolesOf(settings: Settings): NatsRole[] {
  const { natsUsers, deployNats, deployNoetl, deployGateway } = settings;
  if (natsUsers === "one" || !deployNats) return [];
  return NATS_ROLES.filter((role) => (role === "gateway" ? deployGateway : deployNoetl));
}

/** Whether nats-box has a user of its own. */
export const hasOperator = ({ natsBox, natsUsers, deployNats }: Settings): boolean =>
  natsBox && natsUsers === "each" && deployNats;

/** What is in the way of users of their own, and names that are taken. */
export function loginConflicts(settings: Settings): string[] {
  const { natsUser, natsUsers, deployNats, deployNoetl } = settings;
  // Also where the guard is off: pods would still log in with the name when it is given to the guard.
  if (natsUsers === "one")
    return deployNats && natsUser === GUARD_USER
      ? [`natsUser: "${natsUser}" is the user of the contract guard; allowed: another; for example noetl`]
      : [];
  const each = (why: string): string =>
    `natsUsers: "each" ${why}; allowed: one; for example pulumi config rm natsUsers`;
  const taken = [GUARD_USER, OPERATOR_USER, ...NATS_ROLES.map(roleUser)];
  return [
    ...(deployNats ? [] : [each("needs the NATS of the stack, whose users it makes, and deployNats is false")]),
    ...(deployNoetl && settings.noetlChart !== SETTINGS.noetlChart.default
      ? [each("needs this project's chart of NoETL, which has server and workers listen for their own answers alone")]
      : []),
    ...(deployNoetl && stackLine(settings).line === "rust"
      ? [each("is not known for the Rust NoETL, whose requests to NATS nobody has listed")]
      : []),
    ...(taken.includes(natsUser)
      ? [
          `natsUser: "${natsUser}" is the user of a part of NoETL while natsUsers is each; allowed: another; for example noetl`,
        ]
      : []),
  ];
}

/**
 * `connection.natsCommand` of a stack's contract, wherever a remedy is printed: nothing where nats-box takes commands, and else
 * this project's own command, which goes the same way as the contract.
 */
export const natsCommandOf = ({ natsBox, deployNats }: Settings, stack: string): string | undefined =>
  natsBox && deployNats ? undefined : `npm run nats -- --stack ${stack}`;
