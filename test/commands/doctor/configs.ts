/** Configurations as a server shows them of what NoETL makes. */

export const STREAM_CONFIG = {
  name: "NOETL_COMMANDS",
  subjects: ["noetl.commands"],
  retention: "limits",
  storage: "memory",
  max_age: 3600e9,
  max_msgs: -1,
  max_bytes: -1,
  max_msgs_per_subject: -1,
  max_msg_size: -1,
  num_replicas: 1,
  duplicate_window: 120e9,
  discard: "old",
};

export const CONSUMER_CONFIG = {
  durable_name: "noetl_worker_pool",
  ack_policy: "explicit",
  deliver_policy: "new",
  replay_policy: "instant",
  ack_wait: 30e9,
  max_deliver: 1000,
  max_ack_pending: 64,
};

/** Where a consumer stands that has nothing to do. */
export const IDLE = {
  num_pending: 0,
  num_ack_pending: 0,
  delivered: { stream_seq: 0 },
  ack_floor: { stream_seq: 0 },
};
