/** The outputs of a stack, from its parts. */
import * as pulumi from "@pulumi/pulumi";
import type { Gateway, Noetl, Postgres, StreamContract } from "../components";
import { streamNames } from "../config/contract";
import { createdText } from "../config/outputs";
import type { Settings } from "../config/schema";
import type { StreamNames } from "../contract/env";
import type { RoleLogins } from "./logins";
import type { NatsPart } from "./parts";
import type { DeclaredOutputs } from "./platform";

/** What a stack consists of; a part that it does not deploy is undefined. */
export interface Parts {
  readonly nats: NatsPart;
  readonly database: Postgres | undefined;
  readonly noetl: Noetl | undefined;
  readonly gateway: Gateway | undefined;
  readonly contract: StreamContract | undefined;
  /** Outputs of what stands before them. */
  readonly exposed: Partial<DeclaredOutputs> | undefined;
}

/** Outputs by name, without those that have no value: the engine warns of an output that is there without one. */
export function outputsOf(settings: Settings, parts: Parts): DeclaredOutputs {
  const { nats, database, noetl, gateway, contract } = parts;
  const names = streamNames(settings);
  return withoutUndefined({
    ...parts.exposed,
    natsHost: nats.connection.host,
    natsPort: nats.connection.port,
    natsUser: nats.connection.user,
    natsUrl: nats.deployed?.url,
    natsLogins: loginsOutput(nats.logins),
    natsPassword: nats.connection.password,
    natsCa: nats.connection.ca,
    natsCertificateEnds: nats.deployed?.certificateEnds,
    databaseUser: database?.noetlUser,
    names,
    namespaces: {
      nats: nats.deployed?.namespace,
      noetl: noetl?.namespace,
      gateway: gateway?.namespace,
    },
    serverUrl: noetl?.serverUrl,
    gatewayUrl: gateway?.url,
    contract: contract && contractOutput(contract, names),
  });
}

/** Without host and port, which natsHost and natsPort have. */
function loginsOutput(logins: RoleLogins): DeclaredOutputs["natsLogins"] {
  const roles = Object.entries(logins);
  if (roles.length === 0) return undefined;
  return pulumi.secret(Object.fromEntries(roles.map(([role, { user, password }]) => [role, { user, password }])));
}

/** What the last check found. */
function contractOutput(contract: StreamContract, names: StreamNames): DeclaredOutputs["contract"] {
  return {
    holds: contract.holds,
    report: contract.report,
    stream: contract.streamCreated.apply((created) => createdText(names.stream, created)),
    subjects: contract.subjects,
    retention: contract.retention,
    storage: contract.storage,
    maxAgeSeconds: contract.maxAgeSeconds,
    consumer: contract.consumerCreated.apply((created) => createdText(names.consumer, created)),
    serverVersion: contract.serverVersion,
  };
}

const withoutUndefined = <T extends object>(record: T): T =>
  Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as T;
