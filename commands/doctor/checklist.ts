import { duration } from "../../contract/rules/rule";
import { checkName } from "../../contract/rules";
import { plural } from "../../contract/wording";
import { LOCATIONS } from "../../contract/facts";
import { endOfCertificate, SOON_DAYS } from "../../contract/nats/certificate";
import type {
  CheckFacts,
  ConsumerFacts,
  Evidence,
  NamespaceFacts,
  NatsFacts,
  PodFacts,
  RepairFacts,
  StreamFacts,
  VariableFacts,
  WorkloadFacts,
} from "./evidence";
import { failures, unasked } from "./diagnosis/failing";
import { lostServices } from "./diagnosis/services";
import { unwritten } from "./diagnosis/store";
import type { ExitName } from "../shared/exit";
import { lockStream } from "./repair/lock";
import { clock } from "./text";

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
  /** What was answered late, in words that follow "waited": a slow way is not a broken one. */
  readonly slow: readonly string[];
  /** True where every line was asked and none is wrong. */
  readonly holds: boolean;
}

/** Variables that the specification's checklist looks at. */
const SPOT_CHECK = ["NATS_URL", "NATS_UPDATES_SUBJECT_PREFIX", "CORS_ALLOWED_ORIGINS"];

/** The specification's verification checklist, answered from the evidence. Parts that the stack does not deploy have no lines. */
export function checklist(evidence: Evidence): Checklist {
  const lines = [
    ...updateLines(evidence),
    ...podLines(evidence),
    ...databaseLines(evidence),
    ...certificateLines(evidence),
    ...contractLines(evidence),
    ...deploymentLines(evidence),
    ...serviceLines(evidence),
    ...failureLines(evidence),
    ...gatewayLines(evidence),
    ...noetlEnvironmentLines(evidence),
  ];
  return {
    stack: evidence.stack,
    cluster: evidence.cluster,
    lines,
    slow: evidence.slow,
    holds: lines.every(({ status }) => status === "ok" || status === "note"),
  };
}

/** How `verify` ends: wrong counts more than unknown. */
export function exitOf({ lines }: Checklist): ExitName {
  if (lines.some(({ status }) => status === "wrong")) return "wrong";
  return lines.some(({ status }) => status === "unknown") ? "unknown" : "ok";
}

/** A stack whose update has not come to its end: what is in the cluster may be another's, or a part of it. */
const updateLines = ({ missingOutputs }: Evidence): Line[] =>
  missingOutputs.length === 0
    ? []
    : [
        {
          section: "Update",
          item: "outputs",
          status: "wrong",
          found: `no ${missingOutputs.join(", ")}: no update with these settings has come to its end`,
        },
      ];

function podLines(evidence: Evidence): Line[] {
  const {
    namespaces: { nats },
    guarded,
  } = evidence;
  const section = "NATS pods";
  if (nats === undefined) return [];
  if (!nats.ok) return [{ section, item: "pods", status: "unknown", found: nats.message }];
  const { pods, name, workloads } = nats.value;
  if (pods.length === 0) {
    return [
      { section, item: "pods", status: "wrong", found: `none in namespace ${name}`, expected: LOCATIONS.nats.pod },
    ];
  }
  const { service } = LOCATIONS.nats;
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
              ? `StatefulSet: ${set.wanted} wanted, ${plural(servers, "pod")} there`
              : "no server among the pods",
          },
        ];
  const rollout = set?.rollout ? rolloutText(set, pods) : undefined;
  if (rollout !== undefined) lacking.push({ section, item: service, status: "wrong", found: rollout });
  const guard = pods.some(({ owner }) => owner === LOCATIONS.guard.deployment);
  if (guarded && !guard) {
    lacking.push({ section, item: LOCATIONS.guard.deployment, status: "wrong", found: "no guard among the pods" });
  }
  return [
    ...pods.map((pod): Line => ({
      section,
      item: pod.name,
      status: pod.ready || pod.phase === "Succeeded" ? "ok" : "wrong",
      found: describePod(pod),
    })),
    ...unwritten(evidence).map(({ pod, stream, why }): Line => ({
      section,
      item: pod.name,
      status: "wrong",
      found: `cannot write to its disk, and stores nothing for stream ${stream}: ${why}`,
    })),
    ...lacking,
  ];
}

const DATABASE: readonly string[] = [LOCATIONS.postgres.service, LOCATIONS.pgbouncer.service];

/** What stands between NoETL and its rows where it lacks pods; the specification's checklist has no section for it. */
const databaseLines = ({ namespaces: { postgres, pgbouncer } }: Evidence): Line[] =>
  [postgres, pgbouncer].flatMap((each) =>
    each?.ok
      ? each.value.workloads
          .filter(({ name }) => DATABASE.includes(name))
          .filter(({ ready, wanted }) => ready < wanted || wanted === 0)
          .map(({ name, ready, wanted }): Line => ({
            section: "Database",
            item: name,
            status: "wrong",
            found: `${ready} of ${wanted} ready`,
          }))
      : [],
  );

/** The certificate that NATS shows; no line without TLS. */
function certificateLines({ tls, now }: Evidence): Line[] {
  if (tls === undefined) return [];
  const line = { section: "NATS TLS", item: "certificate" };
  if (tls.ends === undefined) return [{ ...line, status: "unknown", found: "NATS did not show one" }];
  const { state, says: found } = endOfCertificate(tls.ends, now);
  if (state === "fine") return [{ ...line, status: "ok", found }];
  const expected = `more than ${SOON_DAYS} days left`;
  return [{ ...line, status: state === "ended" ? "wrong" : "note", found, expected }];
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
    ...(restarts > 0 ? [plural(restarts, "restart")] : []),
    ...waits,
    ...(pod.unscheduled ? [pod.unscheduled] : []),
  ].join(", ");
}

function contractLines(evidence: Evidence): Line[] {
  const { nats, stream, consumer, namespaces, declares } = evidence;
  const section = namespaces.noetl === undefined ? DECLARED : "Stream";
  // Without NoETL nobody creates its stream, so there is nothing to look for but what is declared.
  if (namespaces.noetl === undefined && !declares) return [];
  if (!nats.ok) return [{ section, item: namespaces.noetl ? stream : "NATS", status: "unknown", found: nats.message }];
  const facts = { ...nats.value, checks: checksOf(evidence) };
  return [
    ...(namespaces.noetl === undefined
      ? []
      : [
          ...streamLines(facts, stream),
          ...repairLines(facts, evidence),
          ...(facts.stream ? consumerLines(facts, consumer) : []),
          ...unaskedLines(evidence),
          ...bucketLines(facts),
        ]),
    ...declaredLines(facts),
  ];
}

/** The checks that count for a stack: without NoETL those of what it declares alone. */
export const checksOf = ({ nats, namespaces }: Evidence): readonly CheckFacts[] =>
  nats.ok ? nats.value.checks.filter(({ about }) => namespaces.noetl !== undefined || about === "declared") : [];

const DECLARED = "Declared in NATS";

/** What the stack declares beyond NoETL, one line an object. */
const declaredLines = ({ checks }: NatsFacts): Line[] =>
  checks
    .filter(({ about }) => about === "declared")
    .map((check): Line => {
      const { id, object = id, ok, severity, found, expected } = check;
      const status = ok ? "ok" : severity === "violation" ? "wrong" : "note";
      return { section: DECLARED, item: object, status, found, expected: ok ? undefined : expected };
    });

/** A repair's own streams. */
function repairLines({ repair }: NatsFacts, { stack, stream }: Evidence): Line[] {
  const section = "Stream";
  const { holding, atWork } = repair ?? {};
  const status = atWork === undefined ? "wrong" : "note";
  const goesOn =
    atWork === undefined ? `; it was interrupted: npm run doctor -- --stack ${stack} --repair goes on` : "";
  return [
    ...(holding ? [{ section, item: holding.name, status, found: holdingText(holding) + goesOn } as const] : []),
    ...(atWork === undefined ? [] : [{ section, item: lockStream(stream), status, found: atWork } as const]),
  ];
}

/** A repair's holding stream: whose it is, and what it has. */
export const holdingText = ({ host, begun, takes, messages }: NonNullable<RepairFacts["holding"]>): string =>
  `put there by the repair that ${host} began at ${begun}; ` +
  `${takes.length === 0 ? "takes nothing" : `takes ${takes.join(", ")}`}, holds ${plural(messages, "message")}`;

/** Parts of the contract that have sections of their own; a part that is not known here has the section of the stream. */
const CONSUMER = ["consumer"];
const BUCKETS = ["bucket", "gateway"];

const broken = ({ checks }: NatsFacts, belongs: (about: string) => boolean): CheckFacts[] =>
  checks.filter((check) => !check.ok && belongs(check.about));

function streamLines(facts: NatsFacts, name: string): Line[] {
  const differing = broken(facts, (about) => ![...CONSUMER, ...BUCKETS, "declared"].includes(about));
  const section = "Stream";
  return [
    {
      section,
      item: name,
      status: statusOf(differing.filter(({ about }) => about === "stream" || about === "account")),
      found: facts.stream ? describeStream(facts.stream) : "no such stream",
    },
    ...differing.filter(({ id }) => id !== "stream-exists").map((check) => brokenLine(section, check)),
  ];
}

/** The consumers that the contract names: the stack's own, and those that its rules are about. */
function consumerNames({ checks }: NatsFacts, own: string): string[] {
  const named = checks.flatMap(({ about, consumer }) => (about === "consumer" ? (consumer ?? []) : []));
  return named.length > 0 ? [...new Set(named)] : [own];
}

function consumerLines(facts: NatsFacts, own: string): Line[] {
  const section = "Consumers";
  const differing = broken(facts, (about) => CONSUMER.includes(about));
  const names = consumerNames(facts, own);
  const isAbout = ({ consumer = names[0] }: CheckFacts, name: string): boolean => consumer === name;
  const others = facts.consumers.filter(({ name }) => !names.includes(name));
  return [
    ...names.map((name): Line => {
      const found = facts.consumers.find((each) => each.name === name);
      return {
        section,
        item: name,
        status: statusOf(differing.filter((check) => isAbout(check, name))),
        found: found ? describeConsumer(found) : "no such consumer",
      };
    }),
    ...differing.filter(({ id }) => id !== "consumer-exists").map((check) => brokenLine(section, check)),
    ...others.map((each): Line => ({ section, item: each.name, status: "ok", found: describeConsumer(each) })),
  ];
}

function unaskedLines(evidence: Evidence): Line[] {
  const { consumers, sure } = unasked(evidence);
  const found = "no worker asks for commands, although they are ready and none is busy";
  return consumers.map(({ name }) => ({ section: "Consumers", item: name, status: sure ? "wrong" : "note", found }));
}

/** The gateway's buckets, where the gateway is deployed, and whatever else the rules call a bucket. */
function bucketLines(facts: NatsFacts): Line[] {
  const section = "Gateway buckets";
  const differing = broken(facts, (about) => BUCKETS.includes(about));
  const known = facts.buckets.map(({ name }) => name);
  return [
    ...facts.buckets.map(({ name, ttlSeconds }): Line => ({
      section,
      item: name,
      status: statusOf(differing.filter(({ bucket }) => bucket === name)),
      found: ttlSeconds === undefined ? "no such bucket" : `TTL ${duration(ttlSeconds)}`,
    })),
    // That a bucket is missing is reported in its own line, where it has one.
    ...differing
      .filter(({ id, bucket = "" }) => id !== "bucket-exists" || !known.includes(bucket))
      .map((check) => brokenLine(section, check)),
  ];
}

const statusOf = (differing: readonly CheckFacts[]): LineStatus =>
  differing.some(({ severity }) => severity === "violation") ? "wrong" : differing.length > 0 ? "note" : "ok";

function brokenLine(section: string, check: CheckFacts): Line {
  const { severity, found, expected } = check;
  return { section, item: checkName(check), status: severity === "violation" ? "wrong" : "note", found, expected };
}

export function describeStream(stream: StreamFacts): string {
  return (
    [
      stream.retention,
      stream.storage,
      `max_age ${duration(stream.maxAgeSeconds)}`,
      ...(stream.replicas > 1 ? [plural(stream.replicas, "replica")] : []),
      `subjects ${stream.subjects.join(" ") || "none"}`,
    ].join(", ") + `; ${plural(stream.messages, "message")}; created ${stream.created.slice(0, 19)}Z`
  );
}

function describeConsumer(consumer: ConsumerFacts): string {
  const kind = `${consumer.durable ? "durable" : "ephemeral"} ${consumer.pull ? "pull" : "push"}`;
  const filters = consumer.filters.length > 0 ? `, filter ${consumer.filters.join(" ")}` : "";
  return (
    `${kind}, ack ${consumer.ackPolicy}, deliver ${consumer.deliverPolicy}${filters}; ` +
    `${plural(consumer.waiting, "waiting fetch")}, ${consumer.pending} pending, ` +
    `${consumer.ackPending} of ${consumer.maxAckPending} in flight`
  );
}

function deploymentLines({ namespaces: { noetl }, workerReplicas }: Evidence): Line[] {
  const section = "NoETL deployments";
  if (noetl === undefined) return [];
  if (!noetl.ok) return [{ section, item: "deployments", status: "unknown", found: noetl.message }];
  const { serverDeployment, workerDeployment } = LOCATIONS.noetl;
  return [serverDeployment, workerDeployment].map((name) =>
    deploymentLine(
      { section, item: name, mayBeOff: name === workerDeployment && workerReplicas === 0 },
      noetl.value.workloads.find((each) => each.kind === "Deployment" && each.name === name),
      noetl.value,
    ),
  );
}

/** Services that do not lead to the pods behind them, and those that could not be read. */
function serviceLines(evidence: Evidence): Line[] {
  const section = "Services";
  const unread = Object.values(evidence.namespaces).flatMap((each) =>
    each.ok && each.value.services === undefined
      ? each.value.unread.filter((message) => message.includes("services"))
      : [],
  );
  return [
    ...lostServices(evidence).map(({ service, found }): Line => ({ section, item: service, status: "wrong", found })),
    ...unread.map((found): Line => ({ section, item: "services", status: "unknown", found })),
  ];
}

/** How far a rollout has come: ready pods of an older template do not make it one that is done. */
function rolloutText({ name, wanted, rollout, paused }: WorkloadFacts, pods: readonly PodFacts[]): string | undefined {
  if (!rollout) return undefined;
  const own = pods.filter(({ owner }) => owner === name);
  // The pods of the newest template are the youngest.
  const [youngest] = [...own].sort((a, b) => a.ageSeconds - b.ageSeconds);
  const newest = own.filter(({ template }) => template !== undefined && template === youngest?.template);
  const ready = rollout.updated === 0 ? 0 : newest.filter((pod) => pod.ready).length;
  const crashing = newest.filter(
    (pod) =>
      !pod.ready && pod.containers.some(({ waiting, restarts }) => restarts > 0 || STUCK.test(waiting?.reason ?? "")),
  );
  const stuck = rollout.gaveUp !== undefined || crashing.length > 0;
  const why = [rollout.gaveUp, ...crashing.map((pod) => `${pod.name}: ${describePod(pod)}`)].filter(Boolean);
  return [
    `rollout ${paused ? "paused" : stuck ? "stuck" : "under way"}: of the newest template ${ready} of ${wanted} ready, ${plural(rollout.old, "older pod")} left`,
    ...why,
  ].join("; ");
}

/** What a container waits for that waiting does not bring. */
const STUCK = /BackOff|^Err|^Invalid|Error$/;

/** Failed publishes and fetches, which no pod's readiness shows. */
const failureLines = (evidence: Evidence): Line[] =>
  failures(evidence).map(({ pod, action, line, at }) => ({
    section: "NoETL deployments",
    item: pod.owner,
    status: "wrong",
    found: `${pod.name} could not ${action === "publish" ? "announce a command" : "fetch commands"} at ${clock(at)}: ${line}`,
  }));

function deploymentLine(
  { section, item, mayBeOff }: Pick<Line, "section" | "item"> & { readonly mayBeOff: boolean },
  workload: WorkloadFacts | undefined,
  { unread, pods }: NamespaceFacts,
): Line {
  const why = unread.find((each) => each.includes("deployments"));
  if (!workload && why !== undefined) return { section, item, status: "unknown", found: why };
  if (!workload) return { section, item, status: "wrong", found: "no such Deployment" };
  const { wanted, ready, trouble } = workload;
  const rollout = rolloutText(workload, pods);
  return {
    section,
    item,
    status: ready >= wanted && (wanted > 0 || mayBeOff) && !trouble && rollout === undefined ? "ok" : "wrong",
    found: `${rollout ?? `${ready} of ${wanted} ready`}${trouble ? `; ${trouble}` : ""}`,
  };
}

function gatewayLines({ namespaces: { gateway }, environment }: Evidence): Line[] {
  const section = "Gateway environment";
  if (gateway === undefined) return [];
  const found = environment[LOCATIONS.gateway.deployment];
  if (found === undefined) {
    return [{ section, item: LOCATIONS.gateway.deployment, status: "wrong", found: "no such Deployment" }];
  }
  if (!found.ok) return [{ section, item: LOCATIONS.gateway.deployment, status: "unknown", found: found.message }];
  const spots = SPOT_CHECK.map((name) =>
    variableLine(
      section,
      name,
      found.value.find((each) => each.name === name),
    ),
  );
  return [...spots, ...changedLines(section, found.value, SPOT_CHECK)];
}

/** Variables of server and workers that are not as the stack sets them. */
function noetlEnvironmentLines({ namespaces: { noetl }, environment }: Evidence): Line[] {
  if (noetl === undefined) return [];
  return [LOCATIONS.noetl.serverDeployment, LOCATIONS.noetl.workerDeployment].flatMap((deployment) => {
    const found = environment[deployment];
    return found?.ok ? changedLines(`Environment of ${deployment}`, found.value) : [];
  });
}

const changedLines = (section: string, variables: readonly VariableFacts[], shown: readonly string[] = []): Line[] =>
  variables
    .filter(({ name, asDeployed }) => asDeployed === false && !shown.includes(name))
    .map((variable) => variableLine(section, variable.name, variable));

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
