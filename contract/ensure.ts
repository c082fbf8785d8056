import { checkWith, observe, retrying, type ContractReport, type Remembered } from "./check";
import { openSession } from "./nats/connect";
import type { Deadline } from "./deadline";
import { bucketConfig, consumerConfig, streamConfig } from "./desired";
import { consumerTerms, type ContractInputs } from "./inputs";
import { contractMessage } from "./message";
import { breaks, checkName, evaluateRules, type Observed, type RuleResult } from "./rules";
import { list, type Ensured } from "./rules/rule";
import type { Session } from "./nats/session";
import { bucketsOf, bucketStream } from "./rules/gateway";

/** One request to the JetStream API. */
export interface Change {
  /** What it does, in words. */
  readonly does: string;
  /** Subject after `$JS.API.`. */
  readonly subject: string;
  readonly body: object;
  /** What it makes where nothing is, of that which NoETL or its gateway makes; undefined for any other change. */
  readonly creates?: Creation;
}

/** A thing that NoETL or its gateway makes itself where it finds none. */
export interface Creation {
  readonly kind: "stream" | "consumer" | "bucket";
  readonly name: string;
}

/** What `ensure` is about to do, and what it will not. */
export interface EnsurePlan {
  readonly changes: readonly Change[];
  /** Broken rules that would need something recreated, or a decision that is not ours. */
  readonly refused: readonly RuleResult[];
}

function patchOf(patches: Map<string, object>, name: string, patch: object): void {
  patches.set(name, { ...patches.get(name), ...patch });
}

/** The fields of a patch that change, `max_age 60000000000 -> 3600000000000` each. */
function described(config: object, patch: object): string {
  const before = config as Record<string, unknown>;
  const show = (value: unknown): string => (value === undefined ? "unset" : JSON.stringify(value));
  return Object.entries(patch)
    .filter(([field, value]) => show(before[field]) !== show(value))
    .map(([field, value]) => `${field} ${show(before[field])} -> ${show(value)}`)
    .join(", ");
}

/** What has to be done so that the contract holds, without losing anything: nothing is ever removed, recreated or shortened. */
export function ensurePlan(inputs: ContractInputs, observed: Observed): EnsurePlan {
  const { stream, expect } = inputs;
  const changes: Change[] = [];
  const declared: Change[] = [];
  const refused: RuleResult[] = [];
  const patches = {
    stream: {},
    consumers: new Map<string, object>(),
    buckets: new Map<string, object>(),
    stores: new Map<string, object>(),
  };
  const resumes: string[] = [];
  const creates: string[] = [];
  const terms = consumerTerms(inputs);
  const first = terms[0]?.name ?? inputs.consumer;
  const broken = evaluateRules(inputs, observed).filter(({ ok }) => !ok);
  const createsStream = broken.some(({ ensure }) => ensure.action === "create-stream");
  for (const verdict of broken) {
    const { ensure } = verdict;
    switch (ensure.action) {
      case "create-stream":
        break; // It comes first, whatever the order of the rules.
      case "create-consumer":
        creates.push(ensure.consumer ?? first);
        break;
      case "create-bucket": {
        const bucket = bucketsOf(inputs).find(({ name }) => name === ensure.bucket);
        const subject = `STREAM.CREATE.${bucketStream(ensure.bucket)}`;
        // Two rules may ask for it.
        if (bucket && !changes.some((other) => other.subject === subject)) {
          changes.push({
            does: `create bucket ${bucket.name}`,
            subject,
            body: bucketConfig(bucket, expect.replicas),
            creates: { kind: "bucket", name: bucket.name },
          });
        }
        break;
      }
      case "edit-stream":
        Object.assign(patches.stream, ensure.patch);
        break;
      case "edit-consumer":
        patchOf(patches.consumers, ensure.consumer ?? first, ensure.patch);
        break;
      case "edit-bucket":
        patchOf(patches.buckets, ensure.bucket, ensure.patch);
        break;
      case "edit-store":
        patchOf(patches.stores, ensure.store, ensure.patch);
        break;
      case "resume-consumer":
        resumes.push(ensure.consumer ?? first);
        break;
      case "declared":
        declared.push(...ensure.changes); // After NoETL's own stream, which a declared consumer may be of.
        break;
      default:
        refused.push(verdict);
    }
  }

  if (inputs.declaredOnly) return { changes: declared, refused };
  const edit = (what: string, name: string, config: object | undefined, patch: object): void => {
    if (!config || Object.keys(patch).length === 0) return;
    const does = `update ${what}: ${described(config, patch)}`;
    changes.push({ does, subject: `STREAM.UPDATE.${name}`, body: { ...config, ...patch } });
  };
  edit(`stream ${stream}`, stream, observed.stream?.config, patches.stream);
  for (const [bucket, patch] of patches.buckets) {
    edit(`bucket ${bucket}`, bucketStream(bucket), observed.buckets?.[bucket]?.config, patch);
  }

  for (const [store, patch] of patches.stores) edit(`stream ${store}`, store, observed.stores?.[store]?.config, patch);

  if (createsStream) {
    changes.push({
      does: `create stream ${stream}`,
      subject: `STREAM.CREATE.${stream}`,
      body: streamConfig(inputs),
      creates: { kind: "stream", name: stream },
    });
  }
  const infoOf = (name: string) => (observed.consumers ? observed.consumers[name] : observed.consumer);
  const change = (does: string, name: string, config: object, creates?: Creation): void => {
    const subject = `CONSUMER.DURABLE.CREATE.${stream}.${name}`;
    changes.push({ does, subject, body: { stream_name: stream, config }, ...(creates ? { creates } : {}) });
  };
  for (const item of terms) {
    const { name } = item;
    const patch = patches.consumers.get(name);
    const config = infoOf(name)?.config;
    // Without a stream no rule about its consumers is asked.
    if (createsStream || creates.includes(name)) {
      change(`create consumer ${name}`, name, consumerConfig(inputs, item), { kind: "consumer", name });
    } else if (config && patch)
      change(`update consumer ${name}: ${described(config, patch)}`, name, { ...config, ...patch });
    if (resumes.includes(name)) {
      changes.push({ does: `resume consumer ${name}`, subject: `CONSUMER.PAUSE.${stream}.${name}`, body: {} });
    }
  }
  return { changes: [...changes, ...declared], refused };
}

/** What a run of mode `ensure` with these inputs left behind, where it held; a later one may take that back. */
export function ensuredBy(inputs: ContractInputs): Ensured {
  const { expect } = inputs;
  return {
    maxAgeSeconds: expect.maxAgeSeconds,
    ackWaitSeconds: Object.fromEntries(
      consumerTerms(inputs).map(({ name, ackWaitSeconds }) => [name, ackWaitSeconds ?? expect.ackWaitSeconds]),
    ),
    ttlSeconds: Object.fromEntries(bucketsOf(inputs).map(({ name, ttlSeconds }) => [name, ttlSeconds])),
  };
}

/** A report, and what was done before it. */
export interface EnsureReport extends ContractReport {
  /** What was created, updated or resumed, in order; empty where nothing was to do. */
  readonly changes: readonly string[];
}

/**
 * Nothing was changed, because something would have to be recreated, or taken back from whoever set it, or is more than this
 * server has. Its message says what, why, and how.
 */
export class EnsureRefused extends Error {
  override readonly name = "EnsureRefused";
}

/**
 * Makes the contract hold where that loses nothing, and checks it: creates stream, consumer and buckets that are missing
 * and updates what NATS lets one update. For use before NoETL starts.
 *
 * A filter of a consumer is never removed or widened; a time to acknowledge, the age of a stream and the life of a bucket's
 * entries are made longer, and shorter only where they are what an earlier run left behind ({@link Remembered.ensured}).
 *
 * @throws EnsureRefused where a violation (with `strict` any difference) would need something recreated; nothing is
 * changed then. ConnectError where NATS could not be asked, or refused a change; run again, it goes on from there.
 */
export async function ensureContract(inputs: ContractInputs, remembered: Remembered = {}): Promise<EnsureReport> {
  const done: string[] = [];
  return retrying(inputs, async (deadline) => {
    const session = await openSession(inputs, deadline);
    try {
      await change(session, inputs, deadline, { remembered, done });
      return { ...(await checkWith({ session, inputs, deadline }, true, remembered)), changes: done };
    } finally {
      await session.close();
    }
  });
}

interface Before {
  readonly remembered: Remembered;
  /** What has been done, by earlier tries too; added to as it is. */
  readonly done: string[];
}

async function change(
  session: Session,
  inputs: ContractInputs,
  deadline: Deadline,
  { remembered, done }: Before,
): Promise<void> {
  const { observed } = await observe({ session, inputs, deadline }, remembered);
  const { changes, refused } = ensurePlan(inputs, observed);
  const forbids = refused.filter(breaks(inputs));
  if (forbids.length > 0) {
    const what = `${list(forbids.map(checkName))} ${forbids.length === 1 ? "needs" : "need"}`;
    throw new EnsureRefused(
      `Nothing ${done.length === 0 ? "" : `after ${list(done)} `}was changed: ${what} a decision. Mode ensure never removes or recreates anything unasked, and takes nothing back ` +
        `that somebody else set.\n${contractMessage(inputs, refused, { session, observed })}`,
    );
  }
  for (const { does, subject, body } of changes) {
    await session.change({ subject, body, what: `to ${does}` }, deadline);
    done.push(does);
  }
}
