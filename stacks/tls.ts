/** TLS of NATS in a stack: the component's argument, and how the contract and the other parts connect. */
import type { NatsJetStreamArgs, NoetlArgs } from "../components";
import { ConfigError } from "../config/parse";
import { SETTINGS, type Settings } from "../config/schema";
import { hasNatsTls, issuerOf, readAuthorities } from "../config/tls";

/** Of the NATS that the stack installs. */
export function natsTlsArgs({ natsTls, natsTlsSecret, natsTlsIssuer }: Settings): Pick<NatsJetStreamArgs, "tls"> {
  switch (natsTls) {
    case "generated":
      return { tls: { from: "generated" } };
    case "provided":
      return { tls: { from: "secret", secret: natsTlsSecret } };
    case "cert-manager":
      return {
        tls: { from: "cert-manager", issuer: natsTlsIssuer === undefined ? undefined : issuerOf(natsTlsIssuer) },
      };
    default:
      return {};
  }
}

/** Of the NATS that a stack uses and does not install. @throws ConfigError where the file of its authorities cannot be used. */
export function externalTls(settings: Settings): Pick<NoetlArgs["nats"], "tls" | "ca"> {
  if (!hasNatsTls(settings)) return {};
  const { natsTlsCa: file } = settings;
  return { tls: true, ca: file === undefined ? undefined : authoritiesIn(file) };
}

function authoritiesIn(file: string): string {
  const found = readAuthorities(file);
  if ("ca" in found) return found.ca;
  const { allowed, example } = SETTINGS.natsTlsCa;
  throw new ConfigError([`natsTlsCa: "${file}" ${found.problem}; allowed: ${allowed}; for example ${example}`]);
}
