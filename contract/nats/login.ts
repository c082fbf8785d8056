/** Who logs in to NATS, and how: credentials and TLS, as nats.js takes them. */
import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import { credsAuthenticator, nkeyAuthenticator, type ConnectionOptions } from "nats";
import { ConnectError } from "../errors";
import type { ContractInputs, TlsSettings } from "../inputs";
import type { Transport } from "./transport";

/** Who logs in, in words that follow "does not accept" or "for". */
export function loginOf({ user, credentials, nkeySeed }: ContractInputs): string {
  if (credentials !== undefined) return "the user of the credentials file";
  if (nkeySeed !== undefined) return "the user of the NKey";
  return user === undefined ? "a login without user" : `user ${user}`;
}

/** How nats.js logs in. @throws ConnectError `bad-credentials`, without any of their content. */
export function login(inputs: ContractInputs): ConnectionOptions {
  const { user, password = "", credentials, nkeySeed } = inputs;
  if (credentials !== undefined) return { authenticator: credsAuthenticator(credentialsContent(credentials)) };
  if (nkeySeed !== undefined) return { authenticator: nkeyAuthenticator(Buffer.from(nkeySeed)) };
  return user === undefined ? {} : { user, pass: password };
}

function credentialsContent(credentials: string): Buffer {
  const isContent = credentials.includes("\n");
  let content = credentials;
  if (!isContent) {
    const file = credentials.replace(/^~(?=\/|$)/, os.homedir());
    try {
      content = fs.readFileSync(file, "utf8");
    } catch (error) {
      const why = (error as NodeJS.ErrnoException).code === "ENOENT" ? "no such file" : "it cannot be read";
      throw new ConnectError("bad-credentials", `credentials file ${credentials}: ${why}`);
    }
  }
  if (!/BEGIN NATS USER JWT[^]*BEGIN USER NKEY SEED/.test(content)) {
    const which = isContent ? "the credentials given" : `credentials file ${credentials}`;
    throw new ConnectError("bad-credentials", `${which}: no user's JWT with its seed in it`);
  }
  return Buffer.from(content);
}

/** True where TLS is asked for, by the address or by the settings. */
export const asksForTls = (way: Transport, settings: TlsSettings | undefined): boolean =>
  way.tls || settings !== undefined;

/** The name that the server's certificate must have. */
export const certifiedName = (way: Transport, settings: TlsSettings | undefined): string =>
  settings?.serverName ?? way.host;

/** TLS options of nats.js, which passes on to Node what it does not know itself. Null forbids TLS where none is asked. */
export function tlsOptions(way: Transport, settings: TlsSettings | undefined): ConnectionOptions["tls"] {
  if (!asksForTls(way, settings)) return null;
  const { serverName: _serverName, asOffered, ...pem } = settings ?? {};
  const serverName = certifiedName(way, settings);
  // The cluster's API has led to the pod; what its certificate says is not asked for.
  if (asOffered) return { rejectUnauthorized: false } as ConnectionOptions["tls"];
  // Node refuses an address as a server name but checks the certificate against `host` in that case.
  const identity = net.isIP(serverName) ? { host: serverName } : { servername: serverName };
  return { ...pem, ...identity };
}
