/** Certificates of NATS servers: what one says, and whether clients can use it. Without a way to a server, and without Pulumi. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import type { Duplex } from "node:stream";
import * as tls from "node:tls";
import { within } from "../deadline";
import { plural } from "../wording";

/** What a certificate says of itself. */
export interface CertificateFacts {
  /** Host names and addresses that it is for. */
  readonly names: readonly string[];
  /** Name of who has signed it. */
  readonly issuer: string;
  readonly from: Date;
  readonly to: Date;
}

/** Keys of a Secret with a certificate, as cert-manager and `kubectl create secret tls` name them. */
export const TLS_FILES = { certificate: "tls.crt", key: "tls.key", authority: "ca.crt" } as const;

const PEM = /-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g;

/** The certificates of a PEM text. @throws Error where one of them cannot be read. */
export const certificatesIn = (pem: string): X509Certificate[] =>
  (pem.match(PEM) ?? []).map((text) => new X509Certificate(text));

/** Certificates of authorities: that each can be read, and that there is one. */
export function authorities(pem: string): string | undefined {
  if (/PRIVATE KEY/.test(pem)) return "text with a private key in it, which does not belong there";
  return readable(pem).length === 0 ? "not a certificate in PEM" : undefined;
}

/** "CN=noetl-nats" of a name over many lines, or of one without a common name all of it. */
const shortName = (name: string): string => /^CN=(.*)$/m.exec(name)?.[1] ?? name.replace(/\n/g, ", ");

const namesIn = (alternatives: string | undefined): string[] =>
  [...(alternatives ?? "").matchAll(/(?:DNS|IP Address):([^,\s"]+)/g)].map(([, name = ""]) => name);

export function certificateFacts(certificate: X509Certificate): CertificateFacts {
  const { subjectAltName, issuer, validFrom, validTo } = certificate;
  return {
    names: namesIn(subjectAltName),
    issuer: shortName(issuer),
    from: new Date(validFrom),
    to: new Date(validTo),
  };
}

/** The content of a Secret for a server, and what its clients need of it. */
export interface ServedCertificate {
  readonly files: Readonly<Record<string, string>>;
  /** Names that clients connect by; each must be one of the certificate's. */
  readonly names: readonly string[];
  /** Whether the servers show it to one another, too, as clients of their routes. */
  readonly isForRoutes: boolean;
  readonly now: Date;
}

/** Everything that keeps a Secret from being used, each as the end of "the Secret ..."; empty where nothing does. */
export function certificateProblems({ files, names, isForRoutes, now }: ServedCertificate): string[] {
  const missing = Object.values(TLS_FILES).filter((key) => (files[key] ?? "").trim() === "");
  if (missing.length > 0) return [`has no ${missing.join(", no ")}`];
  const { certificate: crt, key, authority } = TLS_FILES;
  const chain = readable(files[crt]);
  const authorities = readable(files[authority]);
  const [leaf] = chain;
  if (!leaf || authorities.length === 0) {
    const bad = [leaf ? undefined : crt, authorities.length === 0 ? authority : undefined].filter(Boolean);
    return [`has a ${bad.join(" and a ")} that is not a certificate in PEM`];
  }
  const { from, to, names: own } = certificateFacts(leaf);
  const others = names.filter((name) => !isFor(leaf, name));
  return [
    ...(isKeyOf(leaf, files[key] ?? "") ? [] : [`has a ${key} that is not the key of its ${crt}`]),
    ...(to <= now ? [`has a certificate that has expired on ${dayOf(to)}`] : []),
    ...(from > now ? [`has a certificate that is not valid before ${dayOf(from)}`] : []),
    ...(others.length > 0
      ? [`has a certificate for ${own.join(", ") || "no name"}, and clients connect by ${others.join(", ")}`]
      : []),
    ...(isIssuedBy(chain, authorities)
      ? []
      : [`has a certificate that none of the authorities in its ${authority} has signed`]),
    ...(isForRoutes && !isForClients(leaf)
      ? ["has a certificate without the extended key usage for clients, which servers of a cluster are of one another"]
      : []),
  ];
}

/** So many days before its end a certificate is reported: by the guard's alert, by `verify` and by `doctor`. */
export const SOON_DAYS = 30;

const DAY = 24 * 3_600_000;

/** How a certificate stands whose end is given, both in milliseconds since 1970. */
export function endOfCertificate(
  ends: number,
  now: number,
): { readonly state: "ended" | "soon" | "fine"; readonly says: string } {
  const day = dayOf(new Date(ends));
  if (ends <= now) return { state: "ended", says: `has ended on ${day}` };
  const left = Math.floor((ends - now) / DAY);
  const says = `ends on ${day}, in ${left === 0 ? "less than a day" : plural(left, "day")}`;
  return { state: left < SOON_DAYS ? "soon" : "fine", says };
}

/** The day of a date, in UTC. */
export const dayOf = (date: Date): string => date.toISOString().slice(0, 10);

function readable(pem: string | undefined): X509Certificate[] {
  try {
    return certificatesIn(pem ?? "");
  } catch {
    return [];
  }
}

const isFor = (certificate: X509Certificate, name: string): boolean =>
  (/^[\d.]+$|:/.test(name) ? certificate.checkIP(name) : certificate.checkHost(name, { subject: "never" })) !==
  undefined;

function isKeyOf(certificate: X509Certificate, key: string): boolean {
  try {
    return certificate.checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}

/** OpenSSL's number of `id-kp-clientAuth`. */
const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";

/** A certificate without such a list is for everything. */
const isForClients = ({ keyUsage }: X509Certificate): boolean =>
  (keyUsage as string[] | undefined)?.includes(CLIENT_AUTH) ?? true;

/** Whether the first of a chain leads to one of the authorities. */
function isIssuedBy([leaf, ...between]: readonly X509Certificate[], authorities: readonly X509Certificate[]): boolean {
  let last = leaf;
  for (let step = 0; last && step <= between.length; step++) {
    const of = last;
    const signs = (by: X509Certificate): boolean => of.checkIssued(by) && of.verify(by.publicKey);
    if (authorities.some((each) => signs(each) || each.fingerprint256 === of.fingerprint256)) return true;
    last = between.find((each) => signs(each) && each.fingerprint256 !== of.fingerprint256);
  }
  return false;
}

/**
 * The certificate that a NATS server shows, whoever has signed it; undefined where it shows none. The way is used up by it.
 *
 * @param options `milliseconds` that it may take; `isFirst` where the server expects TLS before it greets.
 */
export async function certificateBehind(
  stream: Duplex,
  { milliseconds, isFirst = false }: { readonly milliseconds: number; readonly isFirst?: boolean },
): Promise<CertificateFacts | undefined> {
  try {
    return await within(milliseconds, "the server's certificate", async () => {
      if (!isFirst && !offersTls(await greeting(stream))) return undefined;
      return new Promise<CertificateFacts | undefined>((resolve) => {
        const secured = tls.connect({ socket: stream, rejectUnauthorized: false }, () => {
          const { raw } = secured.getPeerCertificate() as { raw?: Buffer };
          resolve(raw && certificateFacts(new X509Certificate(raw)));
        });
        secured.on("error", () => resolve(undefined));
        secured.on("close", () => resolve(undefined));
      });
    });
  } catch {
    return undefined;
  } finally {
    stream.destroy();
  }
}

/** Whether a server's first line says that it takes TLS. One that does not would take a handshake for a broken client. */
const offersTls = (line: string): boolean => /"tls_(required|available)":\s*true/.test(line);

/** Reads the server's first line, after which it waits for TLS. */
function greeting(stream: Duplex): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const more = (chunk: Buffer): void => {
      text += chunk.toString();
      if (!text.includes("\r\n")) return;
      stream.off("data", more);
      stream.pause();
      resolve(text);
    };
    stream.on("data", more);
    stream.once("close", reject);
    stream.once("error", reject);
  });
}
