/** The certificate that NATS shows, at its end or near it. */
import { LOCATIONS } from "../../../contract/facts";
import { endOfCertificate } from "../../../contract/nats/certificate";
import type { Evidence } from "../evidence";
import { quoted } from "../text";
import { finding, run, say, type DiagnosisRule, type Step } from "./finding";
import { update } from "./update";

/** What the connection says of one that has ended. */
export const SAYS_ENDED = /has expired/;

/** Files of a new certificate, as the Secret of one's own takes them. */
const FILES = "--from-file=tls.crt --from-file=tls.key --from-file=ca.crt";

/** What has NATS show a new certificate, by who keeps it. */
export function renewal(evidence: Evidence): readonly Step[] {
  const { namespaces, kubectl, tls } = evidence;
  const at = `${kubectl} -n ${LOCATIONS.nats.namespace}`;
  if (namespaces.nats === undefined)
    return [
      say("Renew it. With the new one in place of the old, the server takes it without a restart:"),
      run("nats-server --signal reload"),
    ];
  if (tls?.natsTls === "generated")
    return [
      say("The program made it and renews it with an update; the servers read the new one without a restart:"),
      update(evidence),
    ];
  if (tls?.natsTls === "provided" && tls.secret !== undefined)
    return [
      say(
        "It is in a Secret of yours (`natsTlsSecret`). Replace that; running servers keep what they have until they read the new one, " +
          "without a restart. Where ca.crt changes, let it hold the old and the new authority, and update before the certificate changes:",
      ),
      run(`${at} delete secret ${quoted(tls.secret)}`),
      run(`${at} create secret generic ${quoted(tls.secret)} ${FILES}`),
      update(evidence),
    ];
  if (tls?.natsTls === "cert-manager")
    return [
      say("cert-manager renews it by itself. Why it has not is said by the Certificate and its requests:"),
      run(`${at} describe certificate.cert-manager.io ${LOCATIONS.nats.service}-tls`),
      run(`${at} get certificaterequests.cert-manager.io`),
    ];
  return [
    say(
      "One that the program made (`natsTls` generated) is renewed by an update; the servers read it without a restart:",
    ),
    update(evidence),
    say("One of a Secret (`natsTls` provided) is for whoever keeps that Secret to renew."),
  ];
}

/** One that has ended keeps everybody out, which the connection's own finding says; one that ends soon is worth knowing. */
export const certificateEnds: DiagnosisRule = (evidence) => {
  const { tls, nats, now } = evidence;
  if (tls?.ends === undefined || (!nats.ok && SAYS_ENDED.test(nats.message))) return [];
  const { state, says } = endOfCertificate(tls.ends, now);
  if (state === "fine") return [];
  return [
    finding(
      "certificate-ends",
      state === "ended"
        ? "The certificate of the NATS server has expired"
        : "The certificate of the NATS server ends soon",
      {
        severity: state === "ended" ? "cause" : "note",
        evidence: [`the certificate that NATS shows ${says}; from then on no client connects`],
        remedy: renewal(evidence),
      },
    ),
  ];
};
