/** What is said where TLS with a NATS server fails: which of the two sides is how, and what to do. */
import type { NatsError } from "nats";
import { ConnectError } from "../errors";
import type { TlsSettings } from "../inputs";
import { certificateBehind, dayOf, type CertificateFacts } from "./certificate";
import { asksForTls, certifiedName } from "./login";
import type { Transport } from "./transport";

export const demandsTls = (server: string): ConnectError =>
  new ConnectError("tls", `NATS at ${server} demands TLS: set connection.tls, of a stack natsTls`);

export const offersNoTls = (server: string): ConnectError =>
  new ConnectError(
    "tls",
    `NATS at ${server} offers no TLS, which connection.tls or tls:// asks for (natsTls of a stack); the password was not sent`,
  );

/** Node's codes for what is wrong with a certificate, and OpenSSL's. */
const OF_TLS = /CERT|TLS|SSL|SIGNED|VERIFY|HOSTNAME_MISMATCH|INVALID_(CA|PURPOSE)|EPROTO/i;

/** A certificate that is refused, by Node's code. */
const REFUSALS: readonly { readonly code: RegExp; says(of: Refused): string }[] = [
  {
    code: /^CERT_HAS_EXPIRED$/,
    says: ({ seen }) =>
      `has expired${seen ? ` on ${dayOf(seen.to)}` : ""}: let the server have a new one, which it reads without a restart`,
  },
  {
    code: /^CERT_NOT_YET_VALID$/,
    says: ({ seen }) => `is not valid yet${seen ? `, but from ${dayOf(seen.from)}` : ""}: is the clock right?`,
  },
  {
    code: /^(ERR_TLS_CERT_ALTNAME_INVALID|HOSTNAME_MISMATCH)$/,
    says: ({ seen, name, words }) =>
      `is for another name: ${seen ? `it is for ${seen.names.join(", ") || "no name"}, and not for ${name}` : words}`,
  },
  {
    code: /SIGNED|ISSUER|VERIFY_LEAF|UNTRUSTED|CERT_SIGNATURE|INVALID_CA/,
    says: ({ seen, words, settings }) =>
      `is from an authority that is not trusted${seen ? `: ${seen.issuer} has signed it` : ""} (${words}); trusted ` +
      `${settings?.ca === undefined ? "are those that Node knows" : "is what connection.tls.ca holds"}`,
  },
];

interface Refused {
  /** What the certificate says; undefined where it could not be read. */
  readonly seen: CertificateFacts | undefined;
  /** Name that was connected to. */
  readonly name: string;
  /** The library's own. */
  readonly words: string;
  readonly settings: TlsSettings | undefined;
}

interface Failed {
  readonly way: Transport;
  readonly settings: TlsSettings | undefined;
  /** Another way to the same server, to look at its certificate. */
  dial(this: void): Promise<Transport>;
  /** How long that may take. */
  readonly milliseconds: number;
}

/** What an error says of TLS, with what the server's certificate says; undefined where it is of something else. */
export async function tlsError(
  error: NatsError,
  { way, settings, dial, milliseconds }: Failed,
): Promise<ConnectError | undefined> {
  const code = String(error.code);
  const { server } = way;
  // nats.js' own codes, which are said by whether TLS was asked for.
  if (code === "TLS" || code === "SERVER_OPT_NA" || !OF_TLS.test(code) || !asksForTls(way, settings)) return undefined;
  const refusal = REFUSALS.find((each) => each.code.test(code));
  if (!refusal) return new ConnectError("tls", `TLS with NATS at ${server} failed: ${error.message}`);
  const options = { milliseconds, isFirst: settings?.handshakeFirst ?? false };
  const seen = await dial().then(
    ({ stream }) => certificateBehind(stream, options),
    () => undefined,
  );
  const name = certifiedName(way, settings);
  const says = refusal.says({ seen, name, words: error.message, settings });
  return new ConnectError("tls", `the certificate of NATS at ${server} ${says}`);
}
