/** Until when the certificate that NATS shows is valid, for the guard's metrics. */
import type { CertificateFacts } from "../nats/certificate";

/** A server takes a renewed certificate while connections stay: it is looked at again after so many milliseconds. */
const AGAIN_MILLISECONDS = 600_000;

export class CertificateWatch {
  private ends: Date | undefined;
  private lookedAt = 0;
  private looking: Promise<void> | undefined;

  /**
   * @param read Looks at the certificate; undefined where there is none to see.
   * @param now The time, in milliseconds since 1970.
   */
  constructor(
    private readonly read: () => Promise<CertificateFacts | undefined>,
    private readonly now: () => number = Date.now,
  ) {}

  /** Seconds until it ends, negative where it has; undefined where that is not known. */
  secondsLeft(): number | undefined {
    return this.ends && Math.round((this.ends.getTime() - this.now()) / 1000);
  }

  /** Looks where nothing is known, or where it is time to look again. One look at a time; none fails. */
  look(): Promise<void> {
    const isKnown = this.ends !== undefined && Math.abs(this.now() - this.lookedAt) < AGAIN_MILLISECONDS;
    if (isKnown) return Promise.resolve();
    this.looking ??= this.lookNow().finally(() => (this.looking = undefined));
    return this.looking;
  }

  /** What was seen belongs to servers that are away. */
  forget(): void {
    this.ends = undefined;
  }

  private async lookNow(): Promise<void> {
    const seen = await this.read().catch(() => undefined);
    this.lookedAt = this.now();
    this.ends = seen?.to;
  }
}
