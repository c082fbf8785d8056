import type { Settings } from "./schema";
import { quantityBytes } from "./validate";

const MEBIBYTE = 1024 ** 2;

/** Memory limit of the NATS container: the memory store plus what the server itself and bursts need. */
export function natsMemoryLimit(settings: Pick<Settings, "natsMemoryLimit" | "natsJetstreamMemSize">): string {
  if (settings.natsMemoryLimit !== undefined) return settings.natsMemoryLimit;
  const store = quantityBytes(settings.natsJetstreamMemSize) ?? 0;
  return `${Math.ceil((store * 1.5) / MEBIBYTE) + 256}Mi`;
}
