/** The certificate that NATS shows to whoever connects: what it serves, not what a Secret or a state says. */
import type { Deadline } from "../deadline";
import { isServersConnection, type ContractInputs } from "../inputs";
import { certificateBehind, type CertificateFacts } from "./certificate";
import { asksForTls } from "./login";
import { dialPortForward, dialServer, type Transport } from "./transport";

/** How long the look itself may take once there is a way, in milliseconds. */
const LOOK_MILLISECONDS = 5000;

/**
 * Looks at the certificate of the first server that can be reached, whoever has signed it and whether it has ended, without
 * logging in. Undefined where the connection asks for no TLS, the server offers none, or it could not be looked at.
 */
export async function servedCertificate(
  { connection }: Pick<ContractInputs, "connection">,
  deadline: Deadline,
): Promise<CertificateFacts | undefined> {
  const { tls } = connection;
  const ways: readonly (() => Promise<Transport>)[] = isServersConnection(connection)
    ? connection.servers.map((address) => () => dialServer(address, deadline))
    : [() => dialPortForward(connection, deadline)];
  for (const dial of ways) {
    const way = await dial().catch(() => undefined);
    if (way === undefined) continue;
    if (asksForTls(way, tls)) {
      const options = { milliseconds: deadline.step(LOOK_MILLISECONDS), isFirst: tls?.handshakeFirst ?? false };
      return certificateBehind(way.stream, options);
    }
    way.stream.destroy();
  }
  return undefined;
}
