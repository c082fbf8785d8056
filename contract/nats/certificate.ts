/** Certificates of NATS servers: what one says, and whether clients can use it. Without a way to a server, and without Pulumi. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import type { Duplex } from "node:stream";
import * as tls from "node:tls";
import { within } from "../deadline";
import { plural } from "../wording";
import { refusedByClients } from "./handshake";

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

/** Without empty lines, which Node's reader does not take within PEM, and nats-server does. Of authorities clients are the readers. */
const withoutEmptyLines = (pem: string): string => pem.replace(/(?:\r?\n[ \t]*)+/g, "\n");

/** The certificates of a PEM text. @throws Error where one of them cannot be read. */
export const certificatesIn = (pem: string): X509Certificate[] =>
  (pem.match(PEM) ?? []).map((text) => new X509Certificate(withoutEmptyLines(text)));

/** Certificates of authorities: that each can be read, that there is one, and that not all have come to their end. */
export function authorities(pem: string, now = new Date()): string | undefined {
  if (/PRIVATE KEY/.test(pem)) return "text with a private key in it, which does not belong there";
  const found = authoritiesIn(pem);
  if (found.length === 0) return "not a certificate in PEM";
  const fault = faultOfPem(pem);
  if (fault !== undefined) return `PEM with ${fault}`;
  const last = Math.max(...found.map(({ validTo }) => Date.parse(validTo)));
  return last <= now.getTime() ? `of authorities that have expired, the last on ${dayOf(new Date(last))}` : undefined;
}

/** What keeps nats-server, or another program in Go, from reading PEM that others read. */
function faultOfPem(pem: string): string | undefined {
  if (pem.startsWith("\ufeff"))
    return "a byte order mark before its first line, which nats-server does not read: save it as UTF-8 without one";
  const marks = pem.match(/-----(?:BEGIN|END) [A-Z0-9 ]+-----/g) ?? [];
  const lines = pem.match(/^-----(?:BEGIN|END) [A-Z0-9 ]+-----[ \t\r]*$/gm) ?? [];
  return marks.length === lines.length
    ? undefined
    : "a BEGIN or END that has no line of its own, which nats-server does not read: two files were put together, or lines moved in";
}

/** "CN=noetl-nats" of a name over many lines, or of one without a common name all of it. */
const shortName = (name = ""): string => /^CN=(.*)$/m.exec(name)?.[1] ?? (name.replace(/\n/g, ", ") || "(no name)");

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
  const authorities = authoritiesIn(files[authority]);
  const [leaf] = chain;
  if (!leaf || authorities.length === 0) {
    const bad = [leaf ? undefined : crt, authorities.length === 0 ? authority : undefined].filter(Boolean);
    return [`has a ${bad.join(" and a ")} that is not a certificate in PEM`];
  }
  const { from, to, names: own } = certificateFacts(leaf);
  const others = names.filter((name) => !isFor(leaf, name));
  return [
    ...Object.values(TLS_FILES).flatMap((name) => {
      const fault = faultOfPem(files[name] ?? "");
      return fault === undefined ? [] : [`has a ${name} with ${fault}`];
    }),
    ...keyProblems(chain, files[key] ?? ""),
    ...chain.flatMap(unusual),
    ...(to <= now ? [`has a certificate that has expired on ${dayOf(to)}`] : []),
    ...(from > now ? [`has a certificate that is not valid before ${dayOf(from)}`] : []),
    ...(others.length > 0
      ? [
          `has a certificate for ${own.join(", ") || "no name (a common name does not count)"}, and clients connect by ${others.join(", ")}`,
        ]
      : []),
    ...pathProblems(chain, authorities, now),
    ...(mayBe(leaf, SERVER_AUTH) ? [] : ["has a certificate without the extended key usage for servers"]),
    ...(isForRoutes && !mayBe(leaf, CLIENT_AUTH)
      ? ["has a certificate without the extended key usage for clients, which servers of a cluster are of one another"]
      : []),
    ...(isForRoutes
      ? chain
          .slice(1)
          .filter((each) => !mayBe(each, CLIENT_AUTH))
          .map(
            ({ subject }) =>
              `has a certificate that ${shortName(subject)} has signed, which may sign none for clients (its extended key usage), ` +
              "and servers of a cluster are clients of one another",
          )
      : []),
  ];
}

/** Curves that programs in Go and Rust speak in TLS. */
const CURVES = new Set(["prime256v1", "secp384r1", "secp521r1"]);
/** Smallest RSA key that Python's clients take, in bits. */
const SMALLEST_RSA = 2048;

/** What OpenSSL takes of a certificate, and nats-server or a client does not. */
function unusual({ publicKey, serialNumber, subject }: X509Certificate): string[] {
  const { asymmetricKeyType: type = "?", asymmetricKeyDetails: details } = publicKey;
  const { modulusLength: bits = 0, namedCurve: curve = "?" } = details ?? {};
  const isTaken = type === "rsa" ? bits >= SMALLEST_RSA : type === "ec" ? CURVES.has(curve) : type === "ed25519";
  const kind = type === "rsa" ? `RSA of ${bits} bits` : type === "ec" ? `of the curve ${curve}` : type;
  return [
    ...(isTaken
      ? []
      : [
          `has a certificate of ${shortName(subject)} with a key (${kind}) that nats-server or its clients do not take: ` +
            `RSA of ${SMALLEST_RSA} bits or more, P-256, P-384, P-521 and Ed25519 are taken`,
        ]),
    ...(serialNumber.startsWith("-")
      ? [`has a certificate of ${shortName(subject)} with a serial number below zero, which nats-server does not read`]
      : []),
  ];
}

/**
 * The same, and what only a handshake shows: names and depth that an authority allows, its purposes, algorithms that are too weak. Looked for
 * where nothing else is wrong.
 */
export async function problemsInUse(served: ServedCertificate): Promise<string[]> {
  const problems = certificateProblems(served);
  if (problems.length > 0) return problems;
  const { certificate: crt, key, authority } = TLS_FILES;
  const { files } = served;
  const why = await refusedByClients({
    cert: withoutEmptyLines(files[crt] ?? ""),
    key: withoutEmptyLines(files[key] ?? ""),
    ca: files[authority] ?? "",
  });
  return why === undefined ? [] : [`has a certificate that clients refuse: ${why} (OpenSSL's words)`];
}

/** What is wrong with a key beside its certificate. */
function keyProblems(chain: readonly X509Certificate[], key: string): string[] {
  const { certificate: crt, key: name } = TLS_FILES;
  if (/ENCRYPTED/.test(key)) return [`has a ${name} that is encrypted, and nobody gives nats-server its passphrase`];
  const place = chain.findIndex((each) => isKeyOf(each, key));
  if (place === 0) return [];
  return place > 0
    ? [
        `has a ${crt} in another order: the certificate of its ${name} stands there as number ${place + 1}, and has to be the first`,
      ]
    : [`has a ${name} that is not the key of its ${crt}`];
}

/** What keeps clients from following the certificate to an authority that they know. */
function pathProblems(chain: readonly X509Certificate[], known: readonly X509Certificate[], now: Date): string[] {
  const { certificate: crt, authority } = TLS_FILES;
  // Of two certificates of one authority the one that is valid counts, and of two that are the first in the file: OpenSSL takes it so.
  const isValid = ({ validFrom, validTo }: X509Certificate): boolean =>
    Date.parse(validFrom) <= now.getTime() && now.getTime() < Date.parse(validTo);
  const preferred = (all: readonly X509Certificate[]) =>
    [...all].sort((a, b) => Number(isValid(b)) - Number(isValid(a)));
  const { path, isKnown } = pathOf(preferred(known), chain[0], preferred(chain.slice(1)));
  const last = path.at(-1);
  if (!last) return [];
  if (!isKnown) {
    // Whoever signed the last one is in neither file.
    return [
      path.length > 1
        ? `has a certificate that none of the authorities in its ${authority} has signed: it leads to ${shortName(last.issuer)}`
        : `has a certificate that none of the authorities in its ${authority} has signed`,
    ];
  }
  return [
    // One that has ended itself is replaced, by whoever signs then.
    ...(path[0] && isValid(path[0]) ? path.slice(1) : [])
      .filter((each) => !isValid(each))
      .map((each) => {
        const { from, to } = certificateFacts(each);
        const when = from > now ? `is not valid before ${dayOf(from)}` : `has expired on ${dayOf(to)}`;
        return `has a certificate that ${shortName(each.subject)} has signed, whose own ${when}`;
      }),
    ...(last.issuer === last.subject
      ? []
      : [
          `has in its ${authority} ${shortName(last.subject)}, which ${shortName(last.issuer)} has signed, and clients go on to that one: ` +
            `put it into the ${authority}, and what lies between into the ${crt}`,
        ]),
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

function readable(pem = "", read = certificatesIn): X509Certificate[] {
  try {
    return read(pem);
  } catch {
    return [];
  }
}

const authoritiesIn = (pem: string | undefined): X509Certificate[] =>
  readable(pem, (text) => (text.match(PEM) ?? []).map((each) => new X509Certificate(each)));

const isFor = (certificate: X509Certificate, name: string): boolean =>
  (/^[\d.]+$|:/.test(name) ? certificate.checkIP(name) : certificate.checkHost(name, { subject: "never" })) !==
  undefined;

function isKeyOf(certificate: X509Certificate, key: string): boolean {
  try {
    return certificate.checkPrivateKey(createPrivateKey(withoutEmptyLines(key)));
  } catch {
    return false;
  }
}

/** OpenSSL's numbers of `id-kp-serverAuth` and `id-kp-clientAuth`. */
const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";

/** A certificate without such a list is for everything. */
const mayBe = ({ keyUsage }: X509Certificate, what: string): boolean =>
  (keyUsage as string[] | undefined)?.includes(what) ?? true;

const isSame = (one: X509Certificate, other: X509Certificate): boolean => one.fingerprint256 === other.fingerprint256;

const isSignedBy = (certificate: X509Certificate, by: X509Certificate): boolean =>
  certificate.checkIssued(by) && certificate.verify(by.publicKey);

const signsItself = (certificate: X509Certificate): boolean =>
  certificate.issuer === certificate.subject && isSignedBy(certificate, certificate);

/** The way from a certificate to one that signs itself, or as far as it goes, and whether it comes by one that is known. */
function pathOf(
  known: readonly X509Certificate[],
  leaf: X509Certificate | undefined,
  between: readonly X509Certificate[],
): { readonly path: readonly X509Certificate[]; readonly isKnown: boolean } {
  const path = leaf ? [leaf] : [];
  let isKnown = known.some((each) => leaf !== undefined && isSame(each, leaf));
  // Nothing follows one that signs itself, also where another has its name and its key.
  for (let last = leaf; last && !signsItself(last);) {
    const of = last;
    const next = [...known, ...between].find((by) => !path.some((each) => isSame(each, by)) && isSignedBy(of, by));
    if (next) path.push(next);
    isKnown ||= next !== undefined && known.includes(next);
    last = next;
  }
  return { path, isKnown };
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
