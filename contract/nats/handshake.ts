/** Has OpenSSL try a certificate, as a client of NATS does: what authorities allow, and which algorithms are too weak, nobody else knows as well. */
import { Duplex } from "node:stream";
import * as tls from "node:tls";

/** Two streams, each of which reads what is written to the other. */
function duplexPair(): readonly [Duplex, Duplex] {
  const ends: Duplex[] = [0, 1].map(
    (index) =>
      new Duplex({
        read: () => undefined,
        write: (chunk: Buffer, _encoding, done) => {
          ends[1 - index]?.push(chunk);
          done();
        },
        final: (done) => {
          ends[1 - index]?.push(null);
          done();
        },
      }),
  );
  return ends as unknown as readonly [Duplex, Duplex];
}

/** A pair of certificate and key, and whom its reader trusts; PEM. */
export interface Shown {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/** What Python and Debian's OpenSSL ask for: RSA from 2048 bits on, no SHA-1. Node's own asks for less. */
const AS_CLIENTS = "DEFAULT@SECLEVEL=2";
/** A server shows whatever it has. */
const AS_SHOWN = "DEFAULT@SECLEVEL=0";
/** What has a check of its own, by the time that is asked for. */
const OF_TIME = new Set(["CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID"]);

/** An error of OpenSSL's, which has its reason apart from where in its source it was. */
interface Refusal {
  readonly code?: string;
  readonly message: string;
  readonly reason?: string;
}

/** Why a client refuses what a server shows, in one handshake within this process; undefined where it does not. */
export function refusedByClients({ cert, key, ca }: Shown): Promise<string | undefined> {
  const [ours, theirs] = duplexPair();
  return new Promise((resolve) => {
    const settle = (error?: Refusal): void => {
      // Node may add what one could do with Node.
      const [words] = (error?.reason ?? error?.message ?? "").split(";");
      resolve(error === undefined || OF_TIME.has(error.code ?? "") ? undefined : words);
      ours.destroy();
      theirs.destroy();
    };
    try {
      const secureContext = tls.createSecureContext({ cert, key, ciphers: AS_SHOWN });
      const server = new tls.TLSSocket(theirs, { isServer: true, secureContext });
      const client = tls.connect({
        socket: ours,
        ca,
        ciphers: AS_CLIENTS,
        // Whether it is for a name is looked at by itself.
        checkServerIdentity: () => undefined,
        // Whatever this process' own environment says.
        rejectUnauthorized: true,
      });
      client.once("secureConnect", () => settle());
      for (const side of [server, client]) side.on("error", settle);
    } catch (error) {
      settle(error as Error);
    }
  });
}
