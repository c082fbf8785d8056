import { type JetStreamManager, nanos, StorageType } from "nats";
import { STREAM } from "../../contract/facts";
import { need } from "./pod-environment";

/** Uses the stream of NATS_STREAM as it is; where it cannot be looked up, for whatever reason, it is added. */
export async function ensureStream(manager: JetStreamManager): Promise<"found" | "created"> {
  const name = need("NATS_STREAM", STREAM.name);
  try {
    await manager.streams.info(name);
    return "found";
  } catch {
    await manager.streams.add({
      name,
      subjects: [need("NATS_SUBJECT", STREAM.subject)],
      max_age: nanos(STREAM.maxAgeSeconds * 1000),
      storage: StorageType.Memory,
    });
    return "created";
  }
}
