import { ConnectError } from "../../contract/errors";
import { consumerTerms, isServersConnection, type ContractInputs } from "../../contract/inputs";
import { gatewaySubjects, streamNames, workerTuning } from "../../config/contract";
import { natsVolume, releaseTimeout } from "../../config/derive";
import { guardMode } from "../../config/guard";
import { natsCommandOf } from "../../config/logins";
import { gatewayEnvironment, serverEnvironment, workerEnvironment } from "../../contract/env";
import { Deadline } from "../../contract/deadline";
import { LOCATIONS } from "../../contract/facts";
import { servedCertificate } from "../../contract/nats/served";
import type { Answer, Evidence, NamespaceFacts, NatsFacts, Part, TlsFacts, VariableFacts } from "./evidence";
import { probeGateway } from "./gateway";
import { answer, Cluster, failure } from "./kubernetes";
import { deployedPassword, deployedSecrets, readEnvironment } from "./environment";
import { readExecutions, refuseOtherLines } from "./executions";
import { readHealth } from "./health";
import { readNamespace, type Detail } from "./namespace";
import { masker } from "../../contract/mask";
import { readNats } from "./nats";
import { Slowness } from "./slowness";
import { lostExecutions } from "./repair/announce";
import { readJournal, repairFolder } from "./repair/journal";
import { contractInputs, expectedLogin, expectedNatsUrl, kubectlOf, type Target } from "./target";

/** What a look at NATS says of its own deadline, in seconds; its questions have deadlines of their own. */
const LOOK_SECONDS = 10;
/** Longest look at the certificate that NATS shows, in milliseconds. */
const CERTIFICATE_MILLISECONDS = 20_000;

/** The variables that the stack sets, as the deployed pods must have them, by Deployment. */
export function expectedEnvironment(
  target: Pick<Target, "settings" | "nats">,
): Record<string, Record<string, string | undefined>> {
  const { settings } = target;
  const noetl = (role: "server" | "worker") => {
    // Without the whole connection nothing is known to be another one.
    const url = expectedNatsUrl(target, role);
    const login = url === undefined ? undefined : expectedLogin(target, role);
    return {
      url,
      user: login?.user,
      password: login?.password,
      names: streamNames(settings),
      tuning: workerTuning(settings),
    };
  };
  return {
    // What decides about other consumers of a line (pools, filters) is among the further variables.
    [LOCATIONS.noetl.serverDeployment]: { ...settings.serverEnv, ...serverEnvironment(noetl("server")) },
    [LOCATIONS.noetl.workerDeployment]: { ...settings.workerEnv, ...workerEnvironment(noetl("worker")) },
    [LOCATIONS.gateway.deployment]: {
      ...settings.gatewayEnv,
      ...gatewayEnvironment({
        url: expectedNatsUrl(target, "gateway"),
        subjects: gatewaySubjects(settings),
        corsAllowedOrigins: settings.corsAllowedOrigins,
      }),
    },
  };
}

export interface GatherOptions {
  /** A checklist needs no logs, no warnings and no answers of the gateway. */
  readonly detail: Detail;
  /** Origin of the page whose requests the gateway is asked about; default: the first that the stack allows. */
  readonly origin?: string;
}

/**
 * Asks the cluster and NATS about everything that the stack deploys, all at once. Whatever cannot be asked is part of the
 * evidence; nothing that is returned holds a secret.
 */
export async function gather(target: Target, options: GatherOptions): Promise<Evidence> {
  const opened = await answer(() => Cluster.open(target.cluster));
  const cluster = opened.ok ? opened.value : undefined;
  const { user } = target.nats;
  const own = target.nats.password;
  const [deployed, secrets] = await Promise.all([
    cluster && target.namespaces.nats ? deployedPassword(cluster, target.namespaces.nats, user) : undefined,
    cluster ? deployedSecrets(cluster, Object.values(target.namespaces)) : [],
  ]);
  const mask = masker([...target.secrets, ...secrets, ...(deployed === undefined ? [] : [deployed])], [user]);

  const onCluster = async <T>(work: (cluster: Cluster) => Promise<T>): Promise<Answer<T>> =>
    cluster ? answer(() => work(cluster)) : (opened as Answer<never>);
  const full = options.detail === "full";
  const natsSlowness = new Slowness();
  const { noetl } = target.namespaces;
  const [namespaces, environment, nats, tls, gateway, executions, serverHealth] = await Promise.all([
    entries(target.namespaces, (namespace) =>
      onCluster((each) => readNamespace(each, namespace, { detail: options.detail, mask })),
    ) as Promise<Partial<Record<Part, Answer<NamespaceFacts>>>>,
    readEnvironments(target, onCluster, mask),
    lookAtNats(
      target,
      { password: own ?? deployed, broken: opened.ok ? undefined : failure(asError(opened)) },
      natsSlowness,
    ),
    tlsOf(target, opened.ok),
    full && target.namespaces.gateway !== undefined && cluster
      ? probeGateway(cluster, target, { origin: options.origin, mask })
      : undefined,
    full && noetl !== undefined && cluster ? executionsOf(cluster, target, { namespace: noetl, mask }) : undefined,
    full && noetl !== undefined && cluster ? answer(() => readHealth(cluster, noetl, mask)) : undefined,
  ]);
  const inputs = contractInputs(target, LOOK_SECONDS, own ?? deployed);
  return {
    ...declaredOf(target, inputs),
    cluster: cluster?.server ?? "",
    kubectl: kubectlOf(target),
    now: (nats.ok ? nats.value.now : undefined) ?? Date.now(),
    slow: [...(cluster?.slowness.lines() ?? []), ...natsSlowness.lines()],
    passwordAsDeployed: own === undefined || deployed === undefined ? undefined : own === deployed,
    namespaces,
    environment,
    nats,
    tls,
    gateway,
    executions: executions ? await lostExecutions(executions, nats, inputs) : undefined,
    serverHealth,
    repair: cluster && interruptedRepair(target, cluster),
  };
}

/** What the stack itself says, which nobody has to be asked for. */
function declaredOf(target: Target, inputs: ContractInputs) {
  const { natsStream, natsSubject, natsConsumer, natsJetstreamMemSize, natsMemoryLimit } = target.settings;
  const consumers = consumerTerms(inputs).map(({ name }) => name);
  return {
    stack: target.stack,
    user: target.nats.user,
    stream: natsStream,
    subject: natsSubject,
    consumer: consumers[0] ?? natsConsumer,
    consumers,
    consumerSetting: natsConsumer,
    declares: inputs.declared !== undefined,
    natsCommand: natsCommandOf(target.settings, target.stack),
    missingOutputs: target.missingOutputs,
    configProblem: target.configProblem,
    natsAddress: `${target.nats.host ?? "localhost"}:${target.nats.port}`,
    natsSizes: { natsJetstreamMemSize, natsMemoryLimit },
    workerReplicas: target.settings.workerReplicas,
    fetchTimeoutSeconds: target.settings.workerFetchTimeoutSeconds,
    guarded: guardMode(target.settings) !== undefined,
    streamRemembered: target.streamRemembered,
    natsVolume: natsVolume(target.settings),
    helmTimeoutSeconds: releaseTimeout(target.settings),
  };
}

const executionsOf = (
  cluster: Cluster,
  { settings }: Target,
  { namespace, mask }: { readonly namespace: string; readonly mask: (text: string) => string },
) =>
  answer(async () => {
    refuseOtherLines(settings);
    return readExecutions(cluster, namespace, mask);
  });

function interruptedRepair(target: Target, cluster: Cluster): Evidence["repair"] {
  const folder = repairFolder(target.stack, cluster.server, target.settings.natsStream);
  const journal = readJournal(folder);
  if (!journal) return undefined;
  const { begun, phase, saved } = journal;
  return { begun, phase, saved, folder };
}

const asError = (answer: Extract<Answer<unknown>, { ok: false }>): ConnectError =>
  new ConnectError(answer.problem, answer.message);

/** Works on every value of a record at once. */
async function entries<K extends string, V, R>(
  record: Partial<Record<K, V>>,
  work: (value: V) => Promise<R>,
): Promise<Partial<Record<K, R>>> {
  const pairs = await Promise.all(
    Object.entries(record).map(async ([key, value]) => [key, await work(value as V)] as const),
  );
  return Object.fromEntries(pairs) as Partial<Record<K, R>>;
}

async function readEnvironments(
  target: Target,
  onCluster: <T>(work: (cluster: Cluster) => Promise<T>) => Promise<Answer<T>>,
  mask: (text: string) => string,
): Promise<Evidence["environment"]> {
  const expected = expectedEnvironment(target);
  const { noetl, gateway } = target.namespaces;
  const places: Record<string, string> = {
    ...(noetl === undefined
      ? {}
      : { [LOCATIONS.noetl.serverDeployment]: noetl, [LOCATIONS.noetl.workerDeployment]: noetl }),
    ...(gateway === undefined ? {} : { [LOCATIONS.gateway.deployment]: gateway }),
  };
  const pairs = await Promise.all(
    Object.entries(places).map(async ([deployment, namespace]) => {
      const { noetlImage, gatewayImage } = target.settings;
      const image = deployment === LOCATIONS.gateway.deployment ? gatewayImage : noetlImage;
      const found = await onCluster<readonly VariableFacts[] | undefined>((cluster) =>
        readEnvironment(cluster, { namespace, deployment, expected: expected[deployment], image, mask }),
      );
      return [deployment, found] as const;
    }),
  );
  return Object.fromEntries(
    // A Deployment that does not exist has no environment; that it is missing shows among the workloads.
    pairs.filter(
      (pair): pair is [string, Answer<readonly VariableFacts[]>] => !pair[1].ok || pair[1].value !== undefined,
    ),
  );
}

/** TLS of the stack's NATS, with the certificate as NATS shows it; undefined without TLS. */
async function tlsOf(target: Target, reachesCluster: boolean): Promise<TlsFacts | undefined> {
  const { nats, settings } = target;
  if (!nats.tls) return undefined;
  const { natsTls, natsTlsSecret: secret } = settings;
  const hasWay = reachesCluster || isServersConnection(nats.connection);
  const served = hasWay ? await servedCertificate(nats, new Deadline(CERTIFICATE_MILLISECONDS)) : undefined;
  return { natsTls, secret, ends: served?.to.getTime() };
}

/** A broken kubeconfig is reported once, with NATS, where the way to NATS leads through the cluster. */
async function lookAtNats(
  target: Target,
  { password, broken }: { password: string | undefined; broken: ReturnType<typeof failure> | undefined },
  slowness: Slowness,
): Promise<Answer<NatsFacts>> {
  if (broken && !isServersConnection(target.nats.connection)) return broken;
  const { deployNoetl, workerReplicas } = target.settings;
  const works = deployNoetl && workerReplicas > 0;
  return answer(() => readNats(contractInputs(target, LOOK_SECONDS, password), slowness, works));
}
