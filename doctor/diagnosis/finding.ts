import type { Evidence } from "../evidence";

/** The specification's three symptoms, as a user sees them. */
export const SYMPTOMS = {
  cors: "browser: CORS `Failed to fetch` on the gateway",
  noResponse: "NoETL server: `nats: no response from stream`",
  workQueue: "worker crash-loop: `deliver all on workqueue stream`",
} as const;

export type Symptom = keyof typeof SYMPTOMS;

/** One step of a remedy: something to do, in words, or a command to run. No command holds a credential. */
export type Step = { readonly say: string } | { readonly run: string };

/** One thing that is wrong, or that is worth knowing. */
export interface Finding {
  readonly id: string;
  /** `cause`: it breaks something and has to be mended. `note`: it explains, or may break something later. */
  readonly severity: "cause" | "note";
  /** What it is, one sentence without a full stop. */
  readonly title: string;
  /** What of it the user has seen. */
  readonly symptoms: readonly Symptom[];
  /** What was found that shows it. */
  readonly evidence: readonly string[];
  readonly remedy: readonly Step[];
  /** Whether `doctor --repair` mends it. */
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
  id: string,
  title: string,
  rest: Partial<Omit<Finding, "id" | "title">> & Pick<Finding, "evidence" | "remedy">,
): Finding {
  return { id, title, severity: "cause", symptoms: [], repairable: false, explains: [], ...rest };
}

/** Keys by which pods, workloads and claims are known as explained. */
export const keyOf = (kind: "pod" | "workload" | "claim", { namespace, name }: { namespace: string; name: string }) =>
  `${kind} ${namespace}/${name}`;
