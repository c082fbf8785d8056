import { duration } from "../components/stream-contract/rule";
import { many } from "../config/wording";
import { PLACES } from "../contract/noetl";
import type {
  CheckFacts,
  ConsumerFacts,
  Evidence,
  NatsFacts,
  PodFacts,
  StreamFacts,
  VariableFacts,
  WorkloadFacts,
} from "./evidence";
import type { ExitName } from "./exit";

/** `note` is a difference that does not break anything, `unknown` what could not be asked. */
export type LineStatus = "ok" | "wrong" | "note" | "unknown";

/** One line of the specification's verification checklist. */
export interface Line {
  readonly section: string;
  readonly item: string;
  readonly status: LineStatus;
  readonly found: string;
  /** What it must be, where that is not what was found. */
  readonly expected?: string;
}

export interface Checklist {
  readonly stack: string;
  /** Address of the cluster's API. */
  readonly cluster: string;
  readonly lines: readonly Line[];
  /** True where every line was asked and none is wrong. */
  readonly holds: boolean;
}

/** Variables that the specification's checklist looks at. */
const SPOT_CHECK = ["NATS_URL", "NATS_UPDATES_SUBJECT_PREFIX", "CORS_ALLOWED_ORIGINS"];

/** The specification's verification checklist, answered from the evidence. Parts that the stack does not deploy have no lines. */
export function checklist(evidence: Evidence): Checklist {
  const lines = [
    ...podLines(evidence),
    ...contractLines(evidence),
    ...deploymentLines(evidence),
    ...gatewayLines(evidence),
  ];
  return {
    stack: evidence.stack,
    cluster: evidence.cluster,
    lines,
    holds: lines.every(({ status }) => status === "ok" || status === "note"),
  };
}

/** How `verify` ends: wrong counts more than unknown. */
export function exitOf({ lines }: Checklist): ExitName {
  if (lines.some(({ status }) => status === "wrong")) return "wrong";
  return lines.some(({ status }) => status === "unknown") ? "unknown" : "ok";
}

function podLines({ namespaces: { nats } }: Evidence): Line[] {
  const section = "NATS pods";
  if (nats === undefined) return [];
  if (!nats.ok) return [{ section, item: "pods", status: "unknown", found: nats.message }];
  const { pods, name, workloads } = nats.value;
  if (pods.length === 0) {
    return [{ section, item: "pods", status: "wrong", found: `none in namespace ${name}`, expected: PLACES.nats.pod }];
  }
  const { service } = PLACES.nats;
  const set = workloads.find((each) => each.kind === "StatefulSet" && each.name === service);
  const servers = pods.filter(({ owner }) => owner === service).length;
  const lacking: Line[] =
    servers > 0 && servers >= (set?.wanted ?? 1)
      ? []
      : [
          {
            section,
            item: service,
            status: "wrong",
            found: set
              ? `StatefulSet: ${set.wanted} wanted, ${many(servers, "pod")} there`
              : "no server among the pods",
          },
        ];
  return [
    ...pods.map((pod): Line => ({
      section,
      item: pod.name,
      status: pod.ready || pod.phase === "Succeeded" ? "ok" : "wrong",
      found: describePod(pod),
    })),
    ...lacking,
  ];
}

/** Phase, ready containers, restarts, and what it waits for. */
export function describePod(pod: PodFacts): string {
  const containers = pod.containers.filter(({ init }) => !init);
  const ready = containers.filter((container) => container.ready).length;
  const restarts = Math.max(0, ...pod.containers.map((container) => container.restarts));
  const waits = pod.containers.flatMap(({ name, waiting }) => (waiting?.reason ? [`${name}: ${waiting.reason}`] : []));
  return [
    pod.phase,
    ...(containers.length > 0 ? [`${ready} of ${containers.length} ready`] : []),
    ...(restarts > 0 ? [many(restarts, "restart")] : []),
    ...waits,
    ...(pod.unscheduled ? [pod.unscheduled] : []),
  ].join(", ");
}

function contractLines({ nats, stream, consumer, namespaces }: Evidence): Line[] {
  // Without NoETL nobody creates the stream, so there is nothing to look for.
  if (namespaces.noetl === undefined) return [];
  if (!nats.ok) return [{ section: "Stream", item: stream, status: "unknown", found: nats.message }];
  const facts = nats.value;
  return [
    ...streamLines(facts, stream),
    ...(facts.stream ? consumerLines(facts, consumer) : []),
    ...bucketLines(facts),
  ];
}

const brokenAbout = ({ checks }: NatsFacts, ...about: readonly CheckFacts["about"][]): CheckFacts[] =>
  checks.filter((check) => !check.ok && about.includes(check.about));

function streamLines(facts: NatsFacts, name: string): Line[] {
  const broken = brokenAbout(facts, "stream", "account");
  const section = "Stream";
  return [
    {
      section,
      item: name,
      status: statusOf(broken),
      found: facts.stream ? describeStream(facts.stream) : "no such stream",
    },
    ...broken.filter(({ id }) => id !== "stream-exists").map((check) => brokenLine(section, check)),
  ];
}

function consumerLines(facts: NatsFacts, name: string): Line[] {
  const section = "Consumers";
  const broken = brokenAbout(facts, "consumer");
  const own = facts.consumers.find((each) => each.name === name);
  const others = facts.consumers.filter((each) => each !== own);
  return [
    {
      section,
      item: name,
      status: statusOf(broken),
      found: own ? describeConsumer(own) : "no such consumer",
    },
    ...broken.filter(({ id }) => id !== "consumer-exists").map((check) => brokenLine(section, check)),
    ...others.map((each): Line => ({ section, item: each.name, status: "ok", found: describeConsumer(each) })),
  ];
}

/** The gateway's buckets, where the gateway is deployed. */
function bucketLines(facts: NatsFacts): Line[] {
  const section = "Gateway buckets";
  const broken = brokenAbout(facts, "bucket", "gateway");
  return [
    ...facts.buckets.map(({ name, ttlSeconds }): Line => ({
      section,
      item: name,
      status: statusOf(broken.filter(({ bucket }) => bucket === name)),
      found: ttlSeconds === undefined ? "no such bucket" : `TTL ${duration(ttlSeconds)}`,
    })),
    ...broken.filter(({ id }) => id !== "bucket-exists").map((check) => brokenLine(section, check)),
  ];
}

const statusOf = (broken: readonly CheckFacts[]): LineStatus =>
  broken.some(({ severity }) => severity === "violation") ? "wrong" : broken.length > 0 ? "note" : "ok";

function brokenLine(section: string, { id, bucket, severity, found, expected }: CheckFacts): Line {
  const item = bucket === undefined ? id : `${id} of ${bucket}`;
  return { section, item, status: severity === "violation" ? "wrong" : "note", found, expected };
}

export function describeStream(stream: StreamFacts): string {
  return (
    [
      stream.retention,
      stream.storage,
      `max_age ${duration(stream.maxAgeSeconds)}`,
      ...(stream.replicas > 1 ? [many(stream.replicas, "replica")] : []),
      `subjects ${stream.subjects.join(" ") || "none"}`,
    ].join(", ") + `; ${many(stream.messages, "message")}; created ${stream.created.slice(0, 19)}Z`
  );
}

function describeConsumer(consumer: ConsumerFacts): string {
  const kind = `${consumer.durable ? "durable" : "ephemeral"} ${consumer.pull ? "pull" : "push"}`;
  const filters = consumer.filters.length > 0 ? `, filter ${consumer.filters.join(" ")}` : "";
  return (
    `${kind}, ack ${consumer.ackPolicy}, deliver ${consumer.deliverPolicy}${filters}; ` +
    `${many(consumer.waiting, "waiting fetch")}, ${consumer.pending} pending, ` +
    `${consumer.ackPending} of ${consumer.maxAckPending} in flight`
  );
}

function deploymentLines({ namespaces: { noetl } }: Evidence): Line[] {
  const section = "NoETL deployments";
  if (noetl === undefined) return [];
  if (!noetl.ok) return [{ section, item: "deployments", status: "unknown", found: noetl.message }];
  const { serverDeployment, workerDeployment } = PLACES.noetl;
  return [serverDeployment, workerDeployment].map((name) =>
    deploymentLine(
      section,
      name,
      noetl.value.workloads.find((each) => each.kind === "Deployment" && each.name === name),
      noetl.value.unread,
    ),
  );
}

function deploymentLine(
  section: string,
  item: string,
  workload: WorkloadFacts | undefined,
  unread: readonly string[],
): Line {
  const why = unread.find((each) => each.includes("deployments"));
  if (!workload && why !== undefined) return { section, item, status: "unknown", found: why };
  if (!workload) return { section, item, status: "wrong", found: "no such Deployment" };
  const { wanted, ready, trouble } = workload;
  return {
    section,
    item,
    status: ready >= wanted && !trouble ? "ok" : "wrong",
    found: `${ready} of ${wanted} ready${trouble ? `; ${trouble}` : ""}`,
  };
}

function gatewayLines({ namespaces: { gateway }, environment }: Evidence): Line[] {
  const section = "Gateway environment";
  if (gateway === undefined) return [];
  const found = environment[PLACES.gateway.deployment];
  if (found === undefined) {
    return [{ section, item: PLACES.gateway.deployment, status: "wrong", found: "no such Deployment" }];
  }
  if (!found.ok) return [{ section, item: PLACES.gateway.deployment, status: "unknown", found: found.message }];
  return SPOT_CHECK.map((name) =>
    variableLine(
      section,
      name,
      found.value.find((each) => each.name === name),
    ),
  );
}

function variableLine(section: string, item: string, variable: VariableFacts | undefined): Line {
  if (!variable) return { section, item, status: "wrong", found: "not set" };
  const { value, source, asDeployed, looksAlike } = variable;
  const from = source === "literal" ? "" : ` (${source})`;
  // Where a Secret may not be read, its being named is all that can be said.
  if (value === undefined) return { section, item, status: "note", found: `from ${source}, which cannot be read` };
  return asDeployed === false
    ? {
        section,
        item,
        status: "wrong",
        found: `${value}${from}`,
        expected: `the ${looksAlike ? "password" : "value"} that the stack sets`,
      }
    : { section, item, status: "ok", found: `${value}${from}` };
}
