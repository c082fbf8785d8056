/** The parts of a stack, one function each. What they have in common is made once; `program.ts` has their order. */
import * as pulumi from "@pulumi/pulumi";
import {
  ContractGuard,
  Gateway,
  guardGateway,
  guardNoetl,
  guardServers,
  NatsJetStream,
  Noetl,
  Postgres,
  StreamContract,
} from "../components";
import type { NatsUser, NoetlArgs, StreamContractArgs } from "../components";
import { contractLogins, contractTerms, externalConnection } from "../config/contract";
import { natsCommandOf } from "../config/logins";
import type { Settings } from "../config/schema";
import { connectionTls } from "../contract/inputs";
import { gatewayArgs, natsArgs, noetlArgs, postgresArgs } from "./arguments";
import { guardArgs, guardUser } from "./guard";
import { type RoleLogins, roleLogins, roleUsers } from "./logins";
import { type PoliciesOf, policiesOf } from "./network";
import type { Platform } from "./platform";
import { externalTls } from "./tls";

/** What every part is declared with. */
export interface StackContext {
  readonly settings: Settings;
  readonly platform: Platform;
  /** Options of what runs on the cluster. */
  readonly onCluster: pulumi.ComponentResourceOptions;
  /** NetworkPolicies of a part's namespace. */
  readonly closed: PoliciesOf;
  /** The guard's own user of the NATS that the stack deploys. */
  readonly guard: NatsUser | undefined;
  /** Those of server, workers and gateway, where each has its own. */
  readonly users: readonly NatsUser[];
}

/** NATS, and how its clients log in. */
export interface NatsPart {
  /** Undefined where the stack uses a NATS that is there. */
  readonly deployed: NatsJetStream | undefined;
  readonly connection: NoetlArgs["nats"];
  /** Those of the parts that have a login of their own. */
  readonly logins: RoleLogins;
}

export function stackContext(settings: Settings, platform: Platform): StackContext {
  return {
    settings,
    platform,
    onCluster: { providers: { kubernetes: platform.provider } },
    guard: guardUser(settings),
    users: roleUsers(settings),
    closed: policiesOf(settings),
  };
}

/**
 * The NATS of the stack, or the one that it uses.
 *
 * @param contract What {@link contractArgs} returns; asked for once the stack is declared, since it needs this NATS.
 */
export function natsPart(stack: StackContext, contract: () => StreamContractArgs): NatsPart {
  const { settings, platform, guard, users, closed, onCluster } = stack;
  if (!settings.deployNats) {
    const { natsHost: host = "", natsPort: port, natsUser: user, natsPassword = "" } = settings;
    const login = { user, password: pulumi.secret(natsPassword) };
    return { deployed: undefined, connection: { host, port, ...login, ...externalTls(settings) }, logins: {} };
  }
  const deployed = new NatsJetStream(
    "nats",
    {
      ...natsArgs(settings),
      extraUsers: [...(guard ? [guard] : []), ...users],
      cluster: platform.access,
      ...closed("nats"),
      ...platform.nats,
    },
    guardServers(onCluster, contract, settings.natsGuardRolls),
  );
  return { deployed, connection: deployed, logins: roleLogins(settings, deployed) };
}

/** NoETL's database and what its schema needs; undefined where the stack does not deploy NoETL. */
export function databasePart({ settings, platform, closed, onCluster }: StackContext): Postgres | undefined {
  if (!settings.deployNoetl) return undefined;
  const args = { ...postgresArgs(settings), ...closed("postgres"), ...platform.postgres };
  return new Postgres("postgres", args, onCluster);
}

/** What the stream's checks of a stack have in common. */
export function contractArgs({ settings, platform }: StackContext, nats: NatsPart): StreamContractArgs {
  const { gateway, ...terms } = contractTerms(settings);
  const { user, password } = nats.logins.gateway ?? {};
  const access = { ...platform.access, natsCommand: natsCommandOf(settings, pulumi.getStack()) };
  return {
    ...terms,
    ...contractLogins(nats.logins),
    gateway: gateway && { ...gateway, user, password },
    connection: {
      ...(nats.deployed ? { ...access, namespace: nats.deployed.namespace } : externalConnection(settings, access)),
      tls: connectionTls(nats.connection),
    },
    user: nats.connection.user,
    password: nats.connection.password,
    timeoutSeconds: settings.contractTimeoutSeconds,
  };
}

/** Mode ensure: in place before server, workers and gateway start, which take what they find. */
export function ensuredContract(args: StreamContractArgs, { deployed }: NatsPart): StreamContract {
  return new StreamContract(
    "stream-ensured",
    { ...args, mode: "ensure", triggers: [deployed?.revision ?? 0] },
    { dependsOn: deployed ? [deployed] : [] },
  );
}

/** The guard of the contract, where the stack has one; it starts after mode ensure. */
export function guardPart(stack: StackContext, nats: NatsPart, ensured: StreamContract | undefined): void {
  const { settings, platform, guard, closed, onCluster } = stack;
  const args = guardArgs(settings);
  if (!args) return;
  new ContractGuard(
    "contract-guard",
    {
      ...args,
      nats: { ...nats.connection, ...(guard ? { user: guard.name, password: guard.password } : {}) },
      ...(nats.deployed ? { namespace: nats.deployed.namespace } : closed("guard")),
      ...platform.guard,
    },
    { ...onCluster, dependsOn: ensured && [ensured] },
  );
}

/** What logs in to NATS and works by the contract. */
export interface ClientNeeds {
  readonly nats: NatsPart;
  readonly contract: StreamContractArgs;
  /** What must be in place before. */
  readonly ensured: StreamContract | undefined;
}

/** Server and workers. */
export function noetlPart(stack: StackContext, database: Postgres, needs: ClientNeeds): Noetl {
  const { server, worker } = needs.nats.logins;
  return new Noetl(
    "noetl",
    {
      nats: needs.nats.connection,
      natsLogins: server && worker && { server, worker },
      database: {
        host: database.host,
        port: database.port,
        database: database.database,
        user: database.noetlUser,
        password: database.noetlPassword,
        adminPassword: database.adminPassword,
      },
      ...noetlArgs(stack.settings, stack.closed),
      ...stack.closed("noetl"),
      ...stack.platform.noetl,
    },
    guardNoetl(after(stack, needs.ensured), needs.contract),
  );
}

/** The gateway, where the stack has one, before the server `noetl`. */
export function gatewayPart(stack: StackContext, noetl: Noetl | undefined, needs: ClientNeeds): Gateway | undefined {
  if (!stack.settings.deployGateway) return undefined;
  return new Gateway(
    "gateway",
    {
      nats: needs.nats.logins.gateway ?? needs.nats.connection,
      ...gatewayArgs(stack.settings),
      ...stack.closed("gateway"),
      noetlUrl: noetl?.serverUrl,
      ...stack.platform.gateway,
    },
    guardGateway(after(stack, needs.ensured), needs.contract),
  );
}

function after({ onCluster }: StackContext, ensured: StreamContract | undefined): pulumi.ComponentResourceOptions {
  return ensured ? { ...onCluster, dependsOn: [ensured] } : onCluster;
}

/** What the contract of a running stack is proven with, after each change of one of them. */
export interface ContractParts extends ClientNeeds {
  readonly noetl: Noetl | undefined;
  readonly gateway: Gateway | undefined;
}

/** The check of the contract, once everything runs. */
export function provenContract({ nats, contract, ensured, noetl, gateway }: ContractParts): StreamContract {
  const { deployed } = nats;
  return new StreamContract(
    "stream-contract",
    { ...contract, triggers: [deployed?.revision ?? 0, noetl?.revision ?? 0, gateway?.revision ?? 0] },
    { dependsOn: present(noetl ? [noetl, gateway] : [deployed, ensured, gateway]) },
  );
}

/** Those of `resources` that the stack has. */
export const present = (resources: readonly (pulumi.Resource | undefined)[]): pulumi.Resource[] =>
  resources.filter((each) => each !== undefined);
