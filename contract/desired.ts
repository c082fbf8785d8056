import type { ConsumerConfig, StreamConfig } from "nats";
import type { ConsumerTerms } from "./lines";
import { consumerTerms, streamSubjects } from "./inputs";
import { bucketStream, bucketSubjects } from "./buckets";
import { duplicateWindowSeconds } from "./rules/stream";
import { toNanoseconds, type Bucket, type Contract } from "./rules/rule";

const firstTerms = (contract: Contract): ConsumerTerms => consumerTerms(contract)[0] ?? { name: contract.consumer };

/** The stream as the contract has it, which is as NoETL's server creates it. */
export function streamConfig(contract: Contract): Partial<StreamConfig> & Pick<StreamConfig, "name"> {
  const { stream, expect } = contract;
  return {
    name: stream,
    subjects: streamSubjects(contract),
    retention: expect.retention as StreamConfig["retention"],
    storage: expect.storage as StreamConfig["storage"],
    max_age: toNanoseconds(expect.maxAgeSeconds),
    duplicate_window: toNanoseconds(duplicateWindowSeconds(contract)),
    num_replicas: expect.replicas,
  };
}

/** A consumer as the contract has it, which is as NoETL's worker adds it; the first where `terms` is left out. */
export function consumerConfig(
  contract: Contract,
  terms: ConsumerTerms = firstTerms(contract),
): Partial<ConsumerConfig> {
  const { expect, worker } = contract;
  const { name, filters = [], ackWaitSeconds, maxDeliver, maxAckPending } = terms;
  return {
    durable_name: name,
    ...(filters.length === 1 ? { filter_subject: filters[0] } : {}),
    ...(filters.length > 1 ? { filter_subjects: [...filters] } : {}),
    ack_policy: expect.ackPolicy as ConsumerConfig["ack_policy"],
    deliver_policy: expect.deliverPolicy as ConsumerConfig["deliver_policy"],
    replay_policy: expect.replayPolicy as ConsumerConfig["replay_policy"],
    ack_wait: toNanoseconds(ackWaitSeconds ?? expect.ackWaitSeconds),
    max_deliver: maxDeliver ?? worker.maxDeliver,
    max_ack_pending: maxAckPending ?? worker.maxAckPending,
    // The server's default is enough for most, and what NoETL's worker gets.
    ...(worker.replicas > 512 ? { max_waiting: worker.replicas } : {}),
  };
}

/** Window in which a bucket's stream looks for duplicates: two minutes, or the life of its entries. */
const BUCKET_WINDOW_SECONDS = 120;

/** The stream behind a bucket, as the gateway's client library (async-nats) makes it. */
export function bucketConfig(bucket: Bucket, replicas: number): Partial<StreamConfig> & Pick<StreamConfig, "name"> {
  return {
    name: bucketStream(bucket.name),
    description: `${bucket.purpose}, of NoETL's gateway`,
    subjects: [bucketSubjects(bucket.name)],
    max_msgs_per_subject: 1,
    max_msg_size: bucket.valueBytes,
    max_age: toNanoseconds(bucket.ttlSeconds),
    duplicate_window: toNanoseconds(Math.min(BUCKET_WINDOW_SECONDS, bucket.ttlSeconds)),
    discard: "new" as StreamConfig["discard"],
    storage: "file" as StreamConfig["storage"],
    num_replicas: replicas,
    allow_rollup_hdrs: true,
    deny_delete: true,
    allow_direct: true,
  };
}
