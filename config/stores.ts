/** What NoETL itself keeps in NATS beside its stream, and whether there is room for it. */
import { fileStoreLimit, volumeFor } from "../contract/nats/file-store";
import { RESULT_OBJECTS_BYTES } from "../contract/rules/store";
import { quantityBytes } from "../contract/validate";
import { natsVolume } from "./derive";
import { stackLine } from "./lines";
import type { Settings } from "./schema";

/** What a preview says of a volume that is too small for them, in a sentence. It is not refused: small results need no room. */
export function storeWarnings(settings: Settings): string[] {
  const { deployNats, deployNoetl } = settings;
  const { line, isKnown } = stackLine(settings);
  if (!deployNats || !deployNoetl || !isKnown || line !== "2.8") return [];
  const { size, sizeSetting } = natsVolume(settings);
  const room = fileStoreLimit(size);
  if ((quantityBytes(room) ?? 0) >= RESULT_OBJECTS_BYTES) return [];
  return [
    `${sizeSetting}: ${size} leaves JetStream's files ${room}, and NoETL's object store noetl_result_objects reserves 1 GiB when it is made: NATS ` +
      "refuses it, and a result of more than 1 MiB stays in the memory of the worker that made it, where no other worker finds it. At least " +
      `${volumeFor(RESULT_OBJECTS_BYTES)}; docs/troubleshooting.md has how a volume grows that exists.`,
  ];
}
