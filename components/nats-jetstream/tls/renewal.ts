/**
 * When certificates that the program makes are renewed: pure decisions about what is kept, and a clock that is given.
 *
 * Servers have a new certificate before the old one ends. The authority is followed by another one long before its end: both
 * are trusted for a while before the new one signs anything, so that no client meets a certificate that it does not trust.
 */

export const DAY = 24 * 3_600_000;

/** How long things are valid and when they are renewed, in days. */
export const LIVES = {
  /** Of the servers' certificate. */
  certificate: 365,
  /** What is left of it when it is renewed: whoever updates a stack every half year is never late. */
  certificateLeft: 180,
  /** Of an authority. */
  authority: 3650,
  /** What is left of an authority when the next one is made. */
  authorityLeft: 1095,
  /** How long an authority is trusted before it signs, where there is one before it. */
  trusted: 180,
} as const;

/** Something with a beginning and an end, as texts of ISO 8601. */
export interface Lifetime {
  readonly from: string;
  readonly to: string;
}

export interface KeptCertificate extends Lifetime {
  readonly names: readonly string[];
  /** Beginning of the authority that has signed it, which tells it from the others. */
  readonly signedBy: string;
}

/** What a stack keeps: authorities from the oldest to the newest, and the servers' certificate. */
export interface Kept {
  readonly authorities: readonly Lifetime[];
  readonly certificate?: KeptCertificate;
}

/** What is to be done. */
export interface Due {
  /** Authorities that stay, by their beginning; what has ended goes. */
  readonly stay: readonly string[];
  readonly newAuthority: boolean;
  /** Beginning of the authority that signs; undefined: the new one. */
  readonly signer: string | undefined;
  readonly newCertificate: boolean;
  /** Why, for whoever sees the update; empty where nothing is due. */
  readonly why: readonly string[];
}

const at = (text: string): number => Date.parse(text);

/** @param names Names that the certificate must have. */
export function due({ authorities, certificate }: Kept, now: Date, names: readonly string[]): Due {
  const left = (of: Lifetime): number => (at(of.to) - now.getTime()) / DAY;
  const age = (of: Lifetime): number => (now.getTime() - at(of.from)) / DAY;
  const alive = authorities.filter((each) => left(each) > 0);
  const newest = alive.at(-1);
  const newAuthority = newest === undefined || left(newest) < LIVES.authorityLeft;
  // The newest that clients have known for long enough; the first of a stack has nobody before it. Where that one is at its end, as
  // after years without an update, there is no time left.
  const known = alive.filter((each, index) => index === 0 || age(each) >= LIVES.trusted).at(-1);
  const isLate = known !== undefined && left(known) < LIVES.certificateLeft;
  const signer = isLate ? (newAuthority ? undefined : newest) : known;
  const reasons = certificateReasons(certificate, { signer, left, names });
  return {
    stay: alive.map(({ from }) => from),
    newAuthority,
    signer: signer?.from,
    newCertificate: reasons.length > 0,
    why: [
      ...(newAuthority ? [newest ? `the authority ends on ${newest.to.slice(0, 10)}` : "there is no authority"] : []),
      ...reasons,
    ],
  };
}

interface Wanted {
  readonly signer: Lifetime | undefined;
  readonly names: readonly string[];
  left(this: void, of: Lifetime): number;
}

function certificateReasons(certificate: KeptCertificate | undefined, { signer, names, left }: Wanted): string[] {
  if (certificate === undefined) return ["there is no certificate"];
  const missing = names.filter((name) => !certificate.names.includes(name));
  return [
    ...(left(certificate) < LIVES.certificateLeft ? [`the certificate ends on ${certificate.to.slice(0, 10)}`] : []),
    ...(certificate.signedBy === signer?.from ? [] : ["another authority signs from now on"]),
    ...(missing.length > 0 ? [`the certificate lacks ${missing.join(", ")}`] : []),
  ];
}

/** The end of what begins now; nothing outlives who has signed it. */
export function endOf(now: Date, days: number, signer?: Lifetime): Date {
  const end = now.getTime() + days * DAY;
  return new Date(signer ? Math.min(end, at(signer.to)) : end);
}
