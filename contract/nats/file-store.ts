/** Files of a NATS server. */
import { MEBIBYTE, quantityBytes } from "../validate";

/** Share of a volume that JetStream may fill: a filesystem's usable space is smaller, and JetStream stops where the disk is full. */
const USABLE = 0.9;

/** `max_file_store` for a volume. */
export const fileStoreLimit = (volumeSize: string): string =>
  `${Math.floor(((quantityBytes(volumeSize) ?? 0) * USABLE) / MEBIBYTE)}Mi`;

/** The smallest volume whose `max_file_store` is so many bytes. */
export const volumeFor = (bytes: number): string => `${Math.ceil(bytes / USABLE / MEBIBYTE)}Mi`;
