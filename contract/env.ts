/**
 * The environment variables by which NoETL's server and workers and the gateway know of NATS, one row each. Charts'
 * values, the doctor, the diff, the policy, the documentation and the charts' tests read this table. Source: the tables of
 * NoETL's page about its NATS JetStream integration (v2.8.9 line).
 */
import { CONSUMER, GATEWAY, NATS_USER, STREAM, WORKER_TUNING } from "./facts";

export type Component = "server" | "worker" | "gateway";

/** Names of the stream contract. */
export interface StreamNames {
  readonly stream: string;
  readonly subject: string;
  readonly consumer: string;
}

/** Pull settings of the worker. Times in seconds. */
export interface WorkerTuning {
  /** NOETL_WORKER_NATS_FETCH_TIMEOUT_SECONDS. Default: 30. */
  readonly fetchTimeoutSeconds: number;
  /** NOETL_WORKER_NATS_FETCH_HEARTBEAT_SECONDS. Default: 5. */
  readonly fetchHeartbeatSeconds: number;
  /** NOETL_WORKER_NATS_MAX_ACK_PENDING, -1 for unlimited. Default: 64. */
  readonly maxAckPending: number;
  /** NOETL_WORKER_NATS_MAX_DELIVER, -1 for unlimited. Default: 1000. */
  readonly maxDeliver: number;
}

/** The gateway's part of the contract. TTLs in seconds. */
export interface GatewaySubjects {
  /** NATS_UPDATES_SUBJECT_PREFIX. Default: `playbooks.executions.`. */
  readonly updatesSubjectPrefix: string;
  /** NATS_CALLBACK_SUBJECT_PREFIX. Default: `noetl.callbacks`. */
  readonly callbackSubjectPrefix: string;
  /** NATS_SESSION_BUCKET. Default: `sessions`. */
  readonly sessionBucket: string;
  /** NATS_SESSION_CACHE_TTL_SECS, in seconds. Default: 300. */
  readonly sessionTtlSeconds: number;
  /** NATS_REQUEST_BUCKET. Default: `requests`. */
  readonly requestBucket: string;
  /** NATS_REQUEST_TTL_SECS, in seconds. Default: 1800. */
  readonly requestTtlSeconds: number;
}

/** What the variables of server and workers follow from. `T` is a text, or what becomes one once it is deployed. */
export interface NoetlFacts<T> {
  /** NATS_URL, with the credentials inside. */
  readonly url: T;
  readonly user: T;
  readonly password: T;
  readonly names: { readonly [K in keyof StreamNames]: T };
  readonly tuning: { readonly [K in keyof WorkerTuning]: T | number };
}

/** What the variables of the gateway follow from. */
export interface GatewayFacts<T> {
  readonly url: T;
  readonly subjects: { readonly [K in keyof GatewaySubjects]: T | number };
  readonly corsAllowedOrigins: T | readonly string[];
}

/** A row of the table. */
export interface EnvVariable {
  readonly component: Component;
  readonly name: string;
  /** Whether the specification says that it has to be set. */
  readonly required: boolean;
  /** Settings of a stack that decide it. */
  readonly settings: readonly string[];
  /** What the deployed container gets where nothing is configured; `undefined` means that the stack has to supply it. */
  readonly default: string | undefined;
  /** What the application takes where the variable is not set. */
  readonly codeDefault: string;
  /** Whether the value holds a credential, and therefore comes from a Secret, never from a ConfigMap or a literal. */
  readonly secret: boolean;
  /** Argument of StreamContract that has to have the same value. */
  readonly argument?: keyof StreamNames;
}

interface Row<Facts> extends Omit<EnvVariable, "component"> {
  readonly value: (facts: Facts) => unknown;
}

const PASSWORD_SETTINGS = ["natsPassword", "natsPasswordRevision", "natsUsers"];
const NATS_SETTINGS = ["natsHost", "natsPort", "natsUser", ...PASSWORD_SETTINGS, "natsTls", "deployNats"];
const CORS_SETTINGS = ["Http", "Localhost", "PublicHosts"].map((what) => `corsInclude${what}`);

const natsUrl = (codeDefault: string): Row<{ readonly url: unknown }> => ({
  name: "NATS_URL",
  required: true,
  settings: NATS_SETTINGS,
  default: undefined,
  codeDefault,
  secret: true,
  value: ({ url }) => url,
});

/** Numbers become texts here; what becomes a text once it is deployed does so by itself. */
const text = (value: unknown): unknown => (typeof value === "number" ? String(value) : value);

/** A variable that has a default, and that the application takes from its own code with the same default. */
const plain = <Facts>(
  name: string,
  { setting, standard }: { readonly setting: string; readonly standard: string | number },
  value: (facts: Facts) => unknown,
) => ({
  name,
  required: false,
  settings: [setting],
  default: String(standard),
  codeDefault: String(standard),
  secret: false,
  value,
});

const STANDARD_NAMES: StreamNames = { stream: STREAM.name, subject: STREAM.subject, consumer: CONSUMER.name };

const named = (name: string, setting: string, argument: keyof StreamNames) => ({
  ...plain<NoetlFacts<unknown>>(name, { setting, standard: STANDARD_NAMES[argument] }, ({ names }) => names[argument]),
  argument,
});

const NAMES: readonly Row<NoetlFacts<unknown>>[] = [
  named("NATS_STREAM", "natsStream", "stream"),
  named("NATS_SUBJECT", "natsSubject", "subject"),
  named("NATS_CONSUMER", "natsConsumer", "consumer"),
];

/** The variables by which NoETL finds its stream and consumer. */
export const STREAM_VARIABLES: readonly string[] = NAMES.map(({ name }) => name);

/** Workers read these two, too; the specification names them for the server. */
const LOGIN: readonly Row<NoetlFacts<unknown>>[] = [
  {
    ...plain<NoetlFacts<unknown>>("NATS_USER", { setting: "natsUser", standard: NATS_USER }, ({ user }) => user),
    settings: ["natsUser", "natsUsers"],
  },
  {
    name: "NATS_PASSWORD",
    required: false,
    settings: PASSWORD_SETTINGS,
    default: undefined,
    codeDefault: "noetl",
    secret: true,
    value: ({ password }) => password,
  },
];

const tuning = (name: string, setting: string, key: keyof WorkerTuning) =>
  plain<NoetlFacts<unknown>>(`NOETL_WORKER_NATS_${name}`, { setting, standard: WORKER_TUNING[key] }, (facts) =>
    text(facts.tuning[key]),
  );

const SERVER: readonly Row<NoetlFacts<unknown>>[] = [
  natsUrl("nats://nats.nats.svc.cluster.local:4222"),
  ...NAMES,
  ...LOGIN,
];

const WORKER: readonly Row<NoetlFacts<unknown>>[] = [
  natsUrl("nats://noetl:noetl@localhost:30422"),
  ...NAMES,
  tuning("FETCH_TIMEOUT_SECONDS", "workerFetchTimeoutSeconds", "fetchTimeoutSeconds"),
  tuning("FETCH_HEARTBEAT_SECONDS", "workerFetchHeartbeatSeconds", "fetchHeartbeatSeconds"),
  tuning("MAX_ACK_PENDING", "workerMaxAckPending", "maxAckPending"),
  tuning("MAX_DELIVER", "workerMaxDeliver", "maxDeliver"),
];

const subject = (name: string, setting: string, key: keyof GatewaySubjects) =>
  plain<GatewayFacts<unknown>>(name, { setting, standard: GATEWAY[key] }, ({ subjects }) => text(subjects[key]));

const GATEWAY_ROWS: readonly Row<GatewayFacts<unknown>>[] = [
  natsUrl("nats://127.0.0.1:4222"),
  subject("NATS_UPDATES_SUBJECT_PREFIX", "natsUpdatesSubjectPrefix", "updatesSubjectPrefix"),
  subject("NATS_CALLBACK_SUBJECT_PREFIX", "natsCallbackSubjectPrefix", "callbackSubjectPrefix"),
  subject("NATS_SESSION_BUCKET", "natsSessionBucket", "sessionBucket"),
  subject("NATS_SESSION_CACHE_TTL_SECS", "natsSessionCacheTtlSeconds", "sessionTtlSeconds"),
  subject("NATS_REQUEST_BUCKET", "natsRequestBucket", "requestBucket"),
  subject("NATS_REQUEST_TTL_SECS", "natsRequestTtlSeconds", "requestTtlSeconds"),
  {
    name: "CORS_ALLOWED_ORIGINS",
    required: true,
    settings: ["corsAllowedOrigins", "corsAllowedDomains", ...CORS_SETTINGS, "gatewayHost", "platform"],
    default: undefined,
    codeDefault: "pages on localhost",
    secret: false,
    value: ({ corsAllowedOrigins: allowed }) => (Array.isArray(allowed) ? allowed.join(",") : allowed),
  },
];

const rowsOf = (component: Component, rows: readonly Omit<EnvVariable, "component">[]): EnvVariable[] =>
  rows.map((row) => ({ ...row, component }));

/** Every variable of the specification, by component. */
export const ENVIRONMENT: readonly EnvVariable[] = [
  ...rowsOf("server", SERVER),
  ...rowsOf("worker", WORKER),
  ...rowsOf("gateway", GATEWAY_ROWS),
];

export const variablesOf = (component: Component): readonly EnvVariable[] =>
  ENVIRONMENT.filter((each) => each.component === component);

/** Variables that name what the stream contract names, once each. */
export const NAMING_VARIABLES = variablesOf("server").flatMap(({ name, argument, default: standard }) =>
  argument === undefined || standard === undefined ? [] : [{ variable: name, argument, standard }],
);

const valuesOf = <Facts, T>(rows: readonly Row<Facts>[], facts: Facts): Record<string, T | string> =>
  Object.fromEntries(rows.map(({ name, value }) => [name, value(facts) as T | string]));

/** Values of the server's variables. */
export const serverEnvironment = <T>(facts: NoetlFacts<T>): Record<string, T | string> => valuesOf(SERVER, facts);

/** Values of the workers' variables, with those of their login. */
export const workerEnvironment = <T>(facts: NoetlFacts<T>): Record<string, T | string> =>
  valuesOf([...WORKER, ...LOGIN], facts);

/** Values of the gateway's variables. */
export const gatewayEnvironment = <T>(facts: GatewayFacts<T>): Record<string, T | string> =>
  valuesOf(GATEWAY_ROWS, facts);

/** Name of a gateway's variable among its chart's values: `NATS_URL` is `env.natsUrl` there. */
export const gatewayValue = (variable: string): string =>
  variable.toLowerCase().replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
