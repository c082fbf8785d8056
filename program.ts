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
} from "./components";
import type { StreamContractArgs } from "./components";
import { createdText } from "./config/outputs";
import { contractTerms, streamNames } from "./config/contract";
import { lineWarning } from "./config/lines";
import { gatewayLogWarnings } from "./config/logs";
import { ConfigError, foreignKeys, parseSettings } from "./config/parse";
import { riskWarnings } from "./config/risks";
import { PROJECT } from "./contract/project";
import type { Settings } from "./config/schema";
import { servicePlace } from "./contract/service-host";
import { gatewayArgs, natsArgs, noetlArgs, postgresArgs } from "./stacks/arguments";
import { guardArgs, guardUser } from "./stacks/guard";
import { policiesOf } from "./stacks/network";
import { type DeclaredOutputs, kubernetesPlatform, type Platform } from "./stacks/platform";

export { PROJECT };

/** The stack's settings, checked. @throws ConfigError with all problems at once. */
export function loadSettings(): Settings {
  const prefix = `${PROJECT}:`;
  const all = pulumi.runtime.allConfig();
  const own = Object.entries(all).filter(([key]) => key.startsWith(prefix));
  return parseSettings(
    Object.fromEntries(own.map(([key, value]) => [key.slice(prefix.length), value])),
    (key) => isConfigSecret(`${prefix}${key}`),
    all,
  );
}

/** Whether the stack keeps a key encrypted. The SDK has the function, but leaves it out of its published types. */
const { isConfigSecret } = pulumi.runtime as unknown as { isConfigSecret(this: void, key: string): boolean };

/**
 * The program: reads the settings, prepares the platform, deploys.
 *
 * @throws pulumi.RunError with everything that is wrong with the configuration; the engine shows it without a stack trace.
 */
export async function main(): Promise<DeclaredOutputs> {
  try {
    return await run();
  } catch (error) {
    throw error instanceof ConfigError ? new pulumi.RunError(error.message) : error;
  }
}

async function run(): Promise<DeclaredOutputs> {
  const settings = loadSettings();
  for (const warning of foreignKeys(pulumi.runtime.allConfig()).warnings) await pulumi.log.warn(warning);
  for (const warning of [...riskWarnings(settings), ...gatewayLogWarnings(settings)]) await pulumi.log.warn(warning);
  if (settings.platform !== "gke") return deploy(settings);
  // Loaded on demand: nobody else needs Google's SDK. `import()` would want a file extension, which differs between the
  // sources that the engine runs and their compiled form.
  const { gkePlatform } = require("./stacks/gke") as typeof import("./stacks/gke/index.js");
  return deploy(settings, await gkePlatform(settings));
}

/** Declares everything a stack consists of and returns its outputs. */
export function deploy(settings: Settings, platform: Platform = kubernetesPlatform(settings)): DeclaredOutputs {
  const onCluster: pulumi.ComponentResourceOptions = { providers: { kubernetes: platform.provider } };

  const guard = guardUser(settings);
  const closed = policiesOf(settings);
  const nats = settings.deployNats
    ? new NatsJetStream(
        "nats",
        {
          ...natsArgs(settings),
          ...(guard ? { extraUsers: [guard] } : {}),
          cluster: platform.access,
          ...closed("nats"),
          ...platform.nats,
        },
        guardServers(onCluster, () => contractArgs, settings.natsGuardRolls),
      )
    : undefined;
  const natsConnection = nats ?? {
    host: settings.natsHost ?? "",
    port: settings.natsPort,
    user: settings.natsUser,
    password: pulumi.secret(settings.natsPassword ?? ""),
  };

  const database = settings.deployNoetl
    ? new Postgres("postgres", { ...postgresArgs(settings), ...closed("postgres"), ...platform.postgres }, onCluster)
    : undefined;

  const names = streamNames(settings);
  const unknownLine = lineWarning(settings);
  if (unknownLine) void pulumi.log.warn(unknownLine);
  const contractArgs: StreamContractArgs = {
    ...contractTerms(settings),
    connection: nats ? { namespace: nats.namespace, ...platform.access } : wayToExternal(settings, platform),
    user: natsConnection.user,
    password: natsConnection.password,
    timeoutSeconds: settings.contractTimeoutSeconds,
  };
  // In place before server, workers and gateway start, which take what they find.
  const covers = database ?? contractArgs.declared;
  const ensured =
    settings.contractMode === "ensure" && covers
      ? new StreamContract(
          "stream-ensured",
          { ...contractArgs, mode: "ensure", triggers: [nats?.revision ?? 0] },
          { dependsOn: nats ? [nats] : [] },
        )
      : undefined;
  const guarded = guardArgs(settings);
  if (guarded) {
    // Before NoETL: after a change of names it must not go on making what NoETL no longer uses.
    new ContractGuard(
      "contract-guard",
      {
        ...guarded,
        nats: { ...natsConnection, ...(guard ? { user: guard.name, password: guard.password } : {}) },
        ...(nats ? { namespace: nats.namespace } : closed("guard")),
        ...platform.guard,
      },
      { ...onCluster, ...(ensured ? { dependsOn: [ensured] } : {}) },
    );
  }
  const afterEnsured: pulumi.ComponentResourceOptions = ensured ? { ...onCluster, dependsOn: [ensured] } : onCluster;

  const noetl = database
    ? new Noetl(
        "noetl",
        {
          nats: natsConnection,
          database: {
            host: database.host,
            port: database.port,
            database: database.database,
            user: database.noetlUser,
            password: database.noetlPassword,
            adminPassword: database.adminPassword,
          },
          ...noetlArgs(settings),
          ...closed("noetl"),
          ...platform.noetl,
        },
        guardNoetl(afterEnsured, contractArgs),
      )
    : undefined;

  const gateway = settings.deployGateway
    ? new Gateway(
        "gateway",
        {
          nats: natsConnection,
          ...gatewayArgs(settings),
          ...closed("gateway"),
          ...(noetl ? { noetlUrl: noetl.serverUrl } : {}),
          ...platform.gateway,
        },
        guardGateway(afterEnsured, contractArgs),
      )
    : undefined;

  const exposed = platform.expose?.({ noetl, gateway });

  // Without NoETL nobody creates its stream, and only what is declared can be proven.
  const contract = covers
    ? new StreamContract(
        "stream-contract",
        { ...contractArgs, triggers: [nats?.revision ?? 0, noetl?.revision ?? 0, gateway?.revision ?? 0] },
        { dependsOn: (noetl ? [noetl, gateway] : [nats, ensured, gateway]).filter((each) => each !== undefined) },
      )
    : undefined;

  // Whoever logs in has moved by now, and it has been proven that the new login works.
  const moved = [ensured, noetl, gateway, contract].filter((each) => each !== undefined);
  nats?.retireOldLogins(moved);
  database?.retireOldLogins(moved);

  // The engine warns of an output that is there without a value.
  return withoutUndefined({
    ...exposed,
    natsHost: natsConnection.host,
    natsPort: natsConnection.port,
    natsUser: natsConnection.user,
    natsUrl: nats?.url,
    natsPassword: natsConnection.password,
    databaseUser: database?.noetlUser,
    names,
    namespaces: {
      nats: nats?.namespace,
      noetl: noetl?.namespace,
      gateway: gateway?.namespace,
    },
    serverUrl: noetl?.serverUrl,
    gatewayUrl: gateway?.url,
    contract: contract && {
      holds: contract.holds,
      report: contract.report,
      stream: contract.streamCreated.apply((created) => createdText(names.stream, created)),
      subjects: contract.subjects,
      retention: contract.retention,
      storage: contract.storage,
      maxAgeSeconds: contract.maxAgeSeconds,
      consumer: contract.consumerCreated.apply((created) => createdText(names.consumer, created)),
      serverVersion: contract.serverVersion,
    },
  });
}

/** The way to a NATS that the stack does not deploy: a Service of the cluster has no address outside of it. */
function wayToExternal(settings: Settings, { access }: Platform): StreamContractArgs["connection"] {
  const { natsHost = "", natsPort: port } = settings;
  const place = servicePlace(natsHost);
  return place ? { ...place, port, ...access } : { servers: [`${natsHost}:${port}`] };
}

const withoutUndefined = <T extends object>(record: T): T =>
  Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as T;
