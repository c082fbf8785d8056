/** Which keys the contract's inputs have: what is called otherwise is read by nobody. */
import {
  INPUT_NAMES,
  type ClusterConnection,
  type ContractInputs,
  type Expectation,
  type GatewaySettings,
  type NoetlLogin,
  type NoetlLogins,
  type NoetlPlaces,
  type ServersConnection,
  type TlsSettings,
  type WorkerSettings,
} from "./inputs";
import { isRecord } from "./records";
import type { ConsumerTerms } from "./lines";
import { nearest } from "./validate";

/** Every key of a type. */
const keysOf = <T>(keys: Readonly<Record<keyof Required<T>, true>>): readonly string[] => Object.keys(keys);

const CLUSTER = keysOf<ClusterConnection>({
  namespace: true,
  service: true,
  pod: true,
  port: true,
  kubeconfig: true,
  context: true,
  natsCommand: true,
  tls: true,
});
const SERVERS = keysOf<ServersConnection>({ servers: true, tls: true });

/** By the path of the object that has them. */
const KEYS: Readonly<Record<string, readonly string[]>> = {
  "connection.tls": keysOf<TlsSettings>({
    ca: true,
    cert: true,
    key: true,
    serverName: true,
    handshakeFirst: true,
    asOffered: true,
  }),
  expect: keysOf<Expectation>({
    retention: true,
    storage: true,
    maxAgeSeconds: true,
    ackPolicy: true,
    deliverPolicy: true,
    replayPolicy: true,
    ackWaitSeconds: true,
    replicas: true,
    duplicateWindowSeconds: true,
  }),
  worker: keysOf<WorkerSettings>({ maxAckPending: true, maxDeliver: true, fetchTimeoutSeconds: true, replicas: true }),
  noetl: keysOf<NoetlPlaces>({ namespace: true, serverDeployment: true, workerDeployment: true }),
  gateway: keysOf<GatewaySettings>({
    updatesSubjectPrefix: true,
    callbackSubjectPrefix: true,
    sessionBucket: true,
    sessionTtlSeconds: true,
    requestBucket: true,
    requestTtlSeconds: true,
    user: true,
    password: true,
    namespace: true,
    deployment: true,
  }),
  noetlLogin: keysOf<NoetlLogins>({ user: true, password: true, inbox: true, worker: true }),
  "noetlLogin.worker": keysOf<NoetlLogin>({ user: true, password: true, inbox: true }),
};
const CONSUMER = keysOf<ConsumerTerms>({
  name: true,
  filters: true,
  ackWaitSeconds: true,
  maxAckPending: true,
  maxDeliver: true,
});

function unknown(path: string, given: unknown, known: readonly string[]): string[] {
  if (!isRecord(given)) return [];
  return Object.keys(given)
    .filter((key) => given[key] !== undefined && !known.includes(key))
    .map((key) => {
      const meant = nearest(key, known);
      const hint = meant === undefined ? "" : `; the nearest known one is ${meant}`;
      return `${path === "" ? "" : `${path}.`}${key} is an unknown key${hint}; allowed are ${known.join(", ")}`;
    });
}

const at = (inputs: unknown, path: string): unknown =>
  path.split(".").reduce((value: unknown, key) => (isRecord(value) ? value[key] : undefined), inputs);

/** Keys of parts of the inputs that nobody reads, one sentence each. */
export function unknownKeys(inputs: ContractInputs): string[] {
  const { connection, consumers } = inputs as { connection?: unknown; consumers?: unknown };
  const way = isRecord(connection) && connection.servers !== undefined ? SERVERS : CLUSTER;
  return [
    ...unknown("connection", connection, way),
    ...Object.entries(KEYS).flatMap(([path, keys]) => unknown(path, at(inputs, path), keys)),
    ...(Array.isArray(consumers)
      ? consumers.flatMap((each, index) => unknown(`consumers[${index}]`, each, CONSUMER))
      : []),
  ];
}

/** The same of the arguments themselves, of which the inputs have no others. Those of the engine, and `own`, are known. */
export const unknownArguments = (args: object, own: readonly string[] = []): string[] =>
  unknown(
    "",
    Object.fromEntries(Object.entries(args).filter(([key]) => !key.startsWith("__") && !own.includes(key))),
    INPUT_NAMES,
  );

/** Parts that have keys. */
const PARTS = ["connection", "expect", "worker", "noetl", "gateway", "noetlLogin"] as const;

/** Parts that are not objects, one sentence each: the rules for what is in one would be about nothing. */
export function partProblems(
  inputs: ContractInputs,
  unknownValue: string | undefined,
): { part: string; problem: string }[] {
  const given = inputs as unknown as Record<string, unknown>;
  return PARTS.flatMap((part) => {
    const value = given[part];
    if (value === undefined || isRecord(value) || (unknownValue !== undefined && value === unknownValue)) return [];
    const keys = part === "connection" ? [...CLUSTER, "servers"] : (KEYS[part] ?? []);
    return [{ part, problem: `${part} is not an object; allowed is one with ${keys.join(", ")}, for example {}` }];
  });
}
