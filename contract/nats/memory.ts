/** Memory of a NATS server. */
import { MEBIBYTE, quantityBytes } from "../validate";

/** What nats-server needs beside its memory store: itself, connections, messages under way. MiB. */
const HEADROOM_MIB = 128;

/**
 * Share of the container's limit that Go may use before it collects all the time: the rest is for what Go does not count,
 * and for the moment before it has collected.
 */
const GO_PERCENT = 85;

const exactMebibytes = (quantity: string): number => (quantityBytes(quantity) ?? 0) / MEBIBYTE;

/** Memory of a NATS server, from the same two figures everywhere. */
export interface NatsMemory {
  /** Limit of the container, a Kubernetes quantity. */
  readonly limit: string;
  /** `GOMEMLIMIT` of the container: never less than the memory store and {@link HEADROOM_MIB} where `fits`. */
  readonly goMemoryLimit: string;
  /** `max_memory_store`, as nats.conf takes it. */
  readonly store: string;
  /** The smallest limit that the store fits into, a Kubernetes quantity. */
  readonly leastLimit: string;
  /** The limit of whoever sets none: one and a half times the store plus 256Mi. */
  readonly usualLimit: string;
  /** False where Go would have to collect what the store holds, or the kernel kills the server when the store fills up. */
  readonly fits: boolean;
}

/**
 * A size as nats.conf takes it: a whole number with a unit. One that is written so stays; any other becomes whole Mi, and a
 * fraction of a Mi is left out. Source: nats-server's configuration parser, which reads `1.5Gi` as text and does not start.
 */
const natsSize = (size: string): string =>
  /^\d+([KMGT]i|[MGT])?$/.test(size) ? size : `${Math.floor(exactMebibytes(size))}Mi`;

/** @param limit of the container; unset takes the usual one */
export function natsMemory(storeSize: string, limit?: string): NatsMemory {
  const store = exactMebibytes(storeSize);
  const usualLimit = `${Math.ceil(store * 1.5) + 256}Mi`;
  const chosen = limit ?? usualLimit;
  const goMemory = Math.floor((exactMebibytes(chosen) * GO_PERCENT) / 100);
  return {
    limit: chosen,
    goMemoryLimit: `${goMemory}MiB`,
    store: natsSize(storeSize),
    leastLimit: `${Math.ceil(((Math.ceil(store) + HEADROOM_MIB) * 100) / GO_PERCENT)}Mi`,
    usualLimit,
    fits: goMemory >= store + HEADROOM_MIB,
  };
}
