/**
 * Stand-ins for values that only the engine, a provider or a key knows: decrypted configuration, generated passwords,
 * names with a random part. They are made with a key that lives as long as one run, so equal sources give equal
 * stand-ins on both sides, and nothing can be learnt from one; reports show a word in their place.
 */
import * as crypto from "node:crypto";
import { stableJson } from "../stable-json";

/** What a stand-in stands for; the word in a report. */
export type PlaceholderKind = "secret" | "generated";

/** The engine's sign for a value that is known only after the deployment. Source: pulumi sdk/go/common/resource/plugin. */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** Words that reports show instead of a value. */
export const SHOWN = {
  secret: "(secret)",
  generated: "(generated)",
  unknown: "(known after deployment)",
  checksum: "(checksum)",
  code: "(code of the provider)",
  drawn: "(another at every rendering)",
} as const;

/** Makes stand-ins and remembers which ones it made. */
export class Placeholders {
  /** Every stand-in that was handed out. */
  readonly issued = new Map<string, PlaceholderKind>();

  /** @param key random, the same for both sides of one run */
  constructor(private readonly key: string) {}

  /**
   * A stand-in for what `sources` determine: letters and digits that begin with a letter, so it passes as password,
   * Kubernetes name or label.
   */
  text(kind: PlaceholderKind, ...sources: unknown[]): string {
    return this.issue(kind, `x${this.digest(sources).slice(0, kind === "secret" ? 27 : 11)}`);
  }

  /** A stand-in where a number is needed, ten digits long. */
  number(kind: PlaceholderKind, ...sources: unknown[]): number {
    const value = 1_000_000_000 + (Number.parseInt(this.digest(sources).slice(0, 12), 16) % 8_000_000_000);
    this.issue(kind, String(value));
    return value;
  }

  private issue(kind: PlaceholderKind, value: string): string {
    // The same source may be secret in one place and public in another: secret wins.
    if (this.issued.get(value) !== "secret") this.issued.set(value, kind);
    return value;
  }

  private digest(sources: readonly unknown[]): string {
    return crypto.createHmac("sha256", this.key).update(stableJson(sources)).digest("hex");
  }
}
