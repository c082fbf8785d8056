import { settingIn, type StackWords } from "../../shared/stack-words";
import type { Evidence } from "../evidence";

/** The specification's three symptoms, as a user sees them. */
export const SYMPTOMS = {
  cors: "browser: CORS `Failed to fetch` on the gateway",
  noResponse: "NoETL server: `nats: no response from stream`",
  workQueue: "worker crash-loop: `deliver all on workqueue stream`",
} as const;

export type Symptom = keyof typeof SYMPTOMS;

/** Every finding that there is, by the id that `--json` gives, and what it means. The table in docs/doctor.md is made of it. */
export const FINDINGS = {
  // The way to the cluster and to NATS; most are called as the stream contract calls them.
  configuration: "the stack's configuration is wrong: no update can start",
  "bad-kubeconfig": "the kubeconfig is missing or wrong",
  "cluster-unreachable": "the cluster's API cannot be reached, or opens no way to NATS",
  "cluster-login": "the cluster's API does not accept the kubeconfig's login",
  forbidden: "the kubeconfig's user lacks a permission",
  "forbidden-port-forward": "the kubeconfig's user may not open a port-forward",
  unanswered: "a namespace could not be looked at",
  "no-pod": "NATS is not installed where the stack expects it",
  "pod-not-ready": "no NATS pod is ready",
  "host-unknown": "the host name of the NATS server is unknown",
  refused: "NATS refuses the connection",
  closed: "NATS closes the connection before it answers",
  "no-nats": "what answers there is not a NATS server",
  tls: "TLS with NATS fails: for another name, not trusted, or spoken by one side only",
  "certificate-ends": "the certificate that NATS shows ends within 30 days, or has ended",
  "bad-credentials": "the credentials cannot be used",
  "wrong-password": "NATS does not accept the stack's password",
  "missing-permission": "the NATS user lacks a permission",
  "jetstream-off": "JetStream is off for the account or the server",
  "jetstream-unavailable": "JetStream has no leader, or a stream is being recovered",
  "no-answer": "the connection to NATS stands and no answer comes in time",
  "refused-request": "NATS refuses to tell about the stream",
  // What an update left behind.
  "release-pending": "a Helm release is stuck: an update was killed",
  "release-failed": "the last update of a Helm release failed",
  unfinished: "the stack's last update did not finish",
  "cluster-new": "the cluster has nothing of what the stack's state says: it was recreated, or is another one",
  "not-deployed": "a workload of the stack is not there",
  environment: "pods have other settings than the stack",
  // Pods and what they need.
  "claim-pending": "no volume is provided for a claim",
  "claim-deleted": "a claim was deleted, and goes with its volume when its pod ends",
  unscheduled: "no node takes a pod",
  image: "an image cannot be pulled",
  "container-config": "a Secret, ConfigMap or key that a container needs is not there",
  "pods-refused": "quota, LimitRange, Pod Security or a webhook refuses the pods",
  memory: "a container was ended for its memory limit",
  "nats-config": "nats-server does not start with its configuration",
  "schema-job": "loading NoETL's schema into Postgres failed",
  "proxy-instance": "the Cloud SQL instance that the Auth Proxy asks for is not there, or its API is off",
  "proxy-permission": "the Auth Proxy may not log in at Cloud SQL",
  "proxy-network": "the Auth Proxy does not reach the Cloud SQL instance's address",
  starting: "a pod is less than a minute old",
  "crash-loop": "a pod crashes when it starts",
  "not-ready": "a pod runs and does not become ready",
  evicted: "the cluster has ended pods: they were evicted, or went with their node; others have taken their place",
  "node-lost": "a node does not answer, and with it the pods on it",
  "pod-ending": "a pod that was deleted does not end; no other of a StatefulSet takes its place before",
  "pods-missing": "a workload lacks pods, or was scaled down",
  "rollout-paused": "the rollouts of a Deployment are paused",
  service: "a Service is not there, or does not lead to the pods that are behind it",
  // Stream and consumer.
  "repair-running": "a `--repair` is at work, here or on another machine",
  "repair-interrupted": "a `--repair` was interrupted before its end, here or on another machine",
  "work-queue": "the stream is a work queue, which refuses the workers' consumer",
  "no-stream": "there is no stream: nothing stores what the server publishes",
  "subject-taken": "another stream takes NoETL's subject: natsStream was renamed, or somebody made it",
  "subject-not-stored": "the stream does not store the subject that the server publishes on",
  "no-consumer": "no worker has subscribed",
  contract: "another rule of the stream contract is broken",
  drift: "stream or consumer differ in what breaks nothing",
  "work-queue-past": "logs tell of a work queue; the stream is in order now",
  "no-stream-past": "logs tell that nothing stored a command; the stream is in order now",
  "executions-wait": "executions wait for a command that was refused or lost, by id, and how to start them again",
  "workers-full": "the workers have as many commands in flight as they may",
  "nobody-fetches": "no worker asks for commands: they hang, or are all busy",
  // What server, worker and gateway say themselves.
  "publish-failed": "NoETL could not announce a command in the last minutes, although its pods are ready",
  "fetch-failed": "workers cannot fetch commands, although their pods are ready",
  "nats-connection-lost": "NoETL has given up its connection to NATS, and its pods stay ready",
  "consumer-limit": "a limit of NATS is below the commands that the workers want in flight",
  "store-full": "JetStream's store is full, or reserved by other streams",
  "store-unwritable": "NATS cannot write to its disk: what is published on streams of files is not stored",
  "stream-full": "the stream has reached a limit and refuses new commands",
  "other-noetl-line": "an image is of a line of NoETL that speaks no NATS",
  "image-module": "an image lacks a part of NoETL",
  "pods-nats-login": "NATS does not accept the password of pods",
  "pods-nats-permission": "the NATS user of pods lacks a permission",
  "pods-nats-tls": "pods do not trust the NATS server's certificate",
  "pods-jetstream-off": "JetStream is off for the account of pods",
  "pods-nats-unreachable": "pods do not reach NATS or their database",
  "pods-database": "pods cannot work with their database",
  "pods-api-unreachable": "pods wait for NoETL's server",
  "workers-wait": "workers wait for the server, which is explained by another finding",
  // The gateway and what stands before it.
  "sign-in-missing": "the gateway works, and nobody has registered its sign-in yet",
  "cors-origin": "the page's origin is not allowed by the gateway",
  "gateway-5xx": "the gateway answers with a server error",
  "gateway-5xx-without-cors": "the gateway's server error lacks CORS headers",
  "proxy-5xx-without-cors": "a proxy or CDN answers with a server error without CORS headers",
  "proxy-without-cors": "a proxy or CDN takes the CORS headers away",
  "gateway-silent": "the gateway gives no answer",
  "public-url": "the gateway's public URL gives no answer, its pod does",
  unread: "some of the deployment could not be looked at",
} as const satisfies Record<string, string>;

export type FindingId = keyof typeof FINDINGS;

/** One step of a remedy: something to do, in words, or a command to run. No command holds a credential. */
export type Step = { readonly say: string } | { readonly run: string };

/** One thing that is wrong, or that is worth knowing. */
export interface Finding {
  readonly id: FindingId;
  /** `cause`: it breaks something and has to be fixed. `note`: it explains, or may break something later. */
  readonly severity: "cause" | "note";
  /** What it is, one sentence without a full stop. */
  readonly title: string;
  /** What of it the user has seen. */
  readonly symptoms: readonly Symptom[];
  /** What was found that shows it. */
  readonly evidence: readonly string[];
  readonly remedy: readonly Step[];
  /** Whether `doctor --repair` fixes it. */
  readonly repairable: boolean;
  /** What it explains: keys of pods and workloads that no other finding needs to speak of. */
  readonly explains: readonly string[];
}

/** What has been explained so far. */
export interface Explained {
  has(key: string): boolean;
}

/** Looks at the evidence for one kind of cause. Rules are asked in order: a later one leaves out what is explained. */
export type DiagnosisRule = (evidence: Evidence, explained: Explained) => readonly Finding[];

export const say = (text: string): Step => ({ say: text });
export const run = (command: string): Step => ({ run: command });

/** A finding with what most of them do not need left out. */
export function finding(
  id: FindingId,
  title: string,
  rest: Partial<Omit<Finding, "id" | "title">> & Pick<Finding, "evidence" | "remedy">,
): Finding {
  return { id, title, severity: "cause", symptoms: [], repairable: false, explains: [], ...rest };
}

/** Keys by which pods, workloads and claims are known as explained. */
export const keyOf = (kind: "pod" | "workload" | "claim", { namespace, name }: { namespace: string; name: string }) =>
  `${kind} ${namespace}/${name}`;

/** Key by which a repair that is under way is known: what is wrong with stream and consumers is its business until its end. */
export const KEY_OF_REPAIR = "repair";

/**
 * The steps as a stack takes them that brings its own engine (`.STACK/engine.json`), with the commands that were handed over
 * for it.
 *
 * @param helm What helm is called here.
 */
export function inWordsOf(
  words: StackWords,
  steps: readonly Step[],
  { stack, helm = "helm" }: { stack: string; helm?: string },
): Step[] {
  const shown = steps.map((step): Step => {
    if (!("run" in step)) return step;
    const command = step.run.replace(` --stack ${stack}`, "");
    const [, key, value = "..."] = /^pulumi config set (?:--secret )?(\S+)(?: (.+))?$/.exec(command) ?? [];
    if (key !== undefined) return run(settingIn(words, key, value));
    const [, unset] = /^pulumi config rm (\S+)$/.exec(command) ?? [];
    if (unset !== undefined) return run(settingIn(words, unset, ""));
    if (command.startsWith("helm ")) return run(`${helm}${command.slice("helm".length)}`);
    if (command === "pulumi refresh" || command === "pulumi up --refresh") return run(words.refresh);
    return command === "pulumi up" ? run(words.up) : step;
  });
  const updates = (step: Step | undefined): boolean =>
    step !== undefined && "run" in step && step.run !== words.up && step.run.startsWith(words.up);
  // A refresh or a setting is followed by its update already.
  return shown.filter((step, index) => !("run" in step && step.run === words.up && updates(shown[index - 1])));
}
