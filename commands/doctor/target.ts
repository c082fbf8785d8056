import { kubectlTo } from "../../contract/kubernetes/kubectl";
import { contractLogins, contractTerms, externalConnection } from "../../config/contract";
import { natsCommandOf, rolesOf } from "../../config/logins";
import { ConfigError, parseSettings } from "../../config/parse";
import {
  createdIn,
  createdText,
  type ContractOutput,
  type NatsLoginsOutput,
  type StackOutputs,
} from "../../config/outputs";
import { PROJECT } from "../../contract/project";
import { SETTINGS, type SettingKey, type Settings } from "../../config/schema";
import { hasNatsTls, readAuthorities } from "../../config/tls";
import { natsUrl, LOCATIONS } from "../../contract/facts";
import type { NatsRole } from "../../contract/nats/roles";
import {
  connectionTls,
  withDefaults,
  type ClusterConnection,
  type ContractInputs,
  type NoetlLogin,
  type ServersConnection,
} from "../../contract/inputs";
import { isRecord } from "../../contract/records";
import { findEngine, readStack, type StackContent } from "../shared/engine";

/** A stack as far as it is known before its cluster is asked. Holds secrets: to be used, never to be printed. */
export interface Target {
  readonly stack: string;
  readonly settings: Settings;
  /** Why the configuration cannot be used, where it cannot; `settings` are then the defaults. */
  readonly configProblem?: string;
  /** The cluster: content or path of a kubeconfig, and a context of it; unset means the ambient ones. */
  readonly cluster: Pick<ClusterConnection, "kubeconfig" | "context">;
  /** Namespaces of the parts that the stack deploys; undefined for a part that it does not deploy. */
  readonly namespaces: {
    readonly nats?: string;
    readonly postgres?: string;
    readonly pgbouncer?: string;
    readonly noetl?: string;
    readonly gateway?: string;
  };
  readonly nats: {
    readonly connection: ClusterConnection | ServersConnection;
    readonly user: string;
    /** Undefined where no update has finished yet and the configuration does not set it. */
    readonly password?: string;
    /** What parts with a login of their own have; undefined where all have one, and where no update has finished yet. */
    readonly logins?: NatsLoginsOutput;
    /** Host and port as the pods reach NATS. */
    readonly host?: string;
    readonly port: number;
    /** Whether clients speak TLS. Default: false. */
    readonly tls?: boolean;
  };
  /** The stream that the last update found, by its `created`; undefined where none has looked. */
  readonly streamRemembered?: { readonly created: string; readonly storage?: string };
  /** Names of outputs that a finished update of this configuration would have left and this stack lacks. */
  readonly missingOutputs: readonly string[];
  /** Every secret that is known of the stack, to hide it in whatever is shown. */
  readonly secrets: readonly string[];
}

/** Reads the stack with its engine. @throws CommandError where it cannot be read. */
export async function readTarget(stack: string): Promise<Target> {
  return targetOf(stack, await readStack(findEngine(stack), stack, PROJECT));
}

/** The settings, or the defaults where the configuration is wrong: a wrong one is something to report, not to fail of. */
function settingsOf(config: Readonly<Record<string, string>>): { settings: Settings; configProblem?: string } {
  try {
    return { settings: parseSettings(config) };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const { kubeconfig = "", kubeContext = "" } = config;
    return { settings: parseSettings({ kubeconfig, kubeContext }), configProblem: error.message };
  }
}

const text = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined);

/** Combines configuration and outputs. An output counts more than a setting: it is what was deployed. */
export function targetOf(stack: string, { config, outputs }: StackContent): Target {
  const { settings, configProblem } = settingsOf(config);
  const namespaces = (outputs.namespaces ?? {}) as StackOutputs["namespaces"];
  const cluster = {
    // A stack that makes its cluster puts the kubeconfig out; one for an existing cluster is configured with it.
    kubeconfig: (text(outputs.kubeconfig) ?? settings.kubeconfig) || undefined,
    context: settings.kubeContext || undefined,
  };
  const natsNamespace = namespaces.nats ?? LOCATIONS.nats.namespace;
  const logins = loginsIn(outputs.natsLogins);
  const user = text(outputs.natsUser) ?? settings.natsUser;
  const password = text(outputs.natsPassword) ?? settings.natsPassword;
  const host = text(outputs.natsHost) ?? settings.natsHost;
  const port = typeof outputs.natsPort === "number" ? outputs.natsPort : settings.natsPort;
  const ca = text(outputs.natsCa) ?? authoritiesOf(settings);
  const tls = text(outputs.natsUrl)?.startsWith("tls:") ?? hasNatsTls(settings);
  const expected: (keyof StackOutputs)[] = [
    "natsPassword",
    ...(settings.deployNoetl ? (["serverUrl", "contract"] as const) : []),
    ...(settings.deployGateway ? (["gatewayUrl"] as const) : []),
  ];
  const secretSettings = (Object.keys(SETTINGS) as SettingKey[]).filter((key) => SETTINGS[key].secret);
  return {
    stack,
    settings,
    configProblem,
    cluster,
    namespaces: {
      ...(settings.deployNats ? { nats: natsNamespace } : {}),
      ...(settings.deployNoetl ? { postgres: LOCATIONS.postgres.namespace } : {}),
      ...(settings.deployNoetl && settings.useCloudSql ? { pgbouncer: LOCATIONS.pgbouncer.namespace } : {}),
      ...(settings.deployNoetl ? { noetl: namespaces.noetl ?? LOCATIONS.noetl.namespace } : {}),
      ...(settings.deployGateway ? { gateway: namespaces.gateway ?? LOCATIONS.gateway.namespace } : {}),
    },
    nats: {
      connection: natsConnection(settings, {
        access: { ...cluster, natsCommand: natsCommandOf(settings, stack) },
        namespace: natsNamespace,
        tls,
        ca,
      }),
      user,
      port,
      password,
      logins,
      host,
      tls,
    },
    streamRemembered: rememberedIn(outputs.contract, settings.natsStream),
    missingOutputs: expected.filter((name) => outputs[name] === undefined || outputs[name] === null),
    // Of the URL the password alone, which is hidden in every URL: who logs in where may be shown.
    secrets: [
      password,
      ...Object.values(logins ?? {}).map((login) => login.password),
      ...secretSettings.map((key) => text(config[key])),
    ].filter((value) => value !== undefined),
  };
}

/** The logins that the output has. */
function loginsIn(found: unknown): NatsLoginsOutput | undefined {
  if (!isRecord(found)) return undefined;
  const isLogin = (each: unknown): each is NoetlLogin =>
    isRecord(each) && text(each.user) !== undefined && text(each.password) !== undefined;
  return Object.fromEntries(Object.entries(found).filter(([, each]) => isLogin(each)));
}

/** What the settings say of a server elsewhere; undefined where its file cannot be used: what fails then says so. */
function authoritiesOf({ natsTlsCa }: Settings): string | undefined {
  const found = natsTlsCa === undefined ? undefined : readAuthorities(natsTlsCa);
  return found && "ca" in found ? found.ca : undefined;
}

/** The stream's creation as the output `contract` has it; of one that has another name since nothing is known. */
function rememberedIn(contract: unknown, name: string): Target["streamRemembered"] {
  const { stream, storage } = (contract ?? {}) as { [K in keyof ContractOutput]?: unknown };
  const created = createdIn(stream);
  if (created === undefined || stream !== createdText(name, created)) return undefined;
  return { created, storage: typeof storage === "string" ? storage : undefined };
}

/** How the commands reach NATS, as the program does, and what printed ones run there. */
function natsConnection(
  settings: Settings,
  { access, namespace, ...tls }: { access: object; namespace: string; tls: boolean; ca: string | undefined },
): Target["nats"]["connection"] {
  const { service, port } = LOCATIONS.nats;
  const connection = settings.deployNats
    ? { ...access, namespace, service, port }
    : externalConnection(settings, access);
  return { ...connection, tls: connectionTls(tls) };
}

/** What the stack's contract is, asked with `password`. */
export function contractInputs(
  target: Target,
  timeoutSeconds: number,
  password = target.nats.password,
): ContractInputs {
  const { settings, nats, namespaces } = target;
  const { gateway, ...terms } = contractTerms(settings);
  return withDefaults({
    ...terms,
    ...contractLogins(nats.logins),
    connection: nats.connection,
    user: password === undefined ? undefined : nats.user,
    password,
    gateway: gateway && { ...gateway, ...nats.logins?.gateway, namespace: namespaces.gateway },
    noetl: { namespace: namespaces.noetl },
    timeoutSeconds,
  });
}

/** What a part logs in to NATS with; undefined where that is not known. */
export function expectedLogin({ settings, nats }: Pick<Target, "settings" | "nats">, role: NatsRole) {
  if (rolesOf(settings).includes(role)) return nats.logins?.[role];
  return nats.password === undefined ? undefined : { user: nats.user, password: nats.password };
}

/** NATS_URL as a part's pods must have it; undefined where not all of it is known. */
export function expectedNatsUrl(target: Pick<Target, "settings" | "nats">, role: NatsRole): string | undefined {
  const login = expectedLogin(target, role);
  const { host, port, tls = false } = target.nats;
  return login === undefined || host === undefined ? undefined : natsUrl({ ...login, host, port, tls });
}

/** `kubectl` as it reaches the stack's cluster. */
export const kubectlOf = ({ cluster }: Target): string => kubectlTo(cluster);
