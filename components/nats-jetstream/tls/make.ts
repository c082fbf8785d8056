/** Makes authorities and the certificates that they sign. */
import { generateKeyPairSync, randomBytes } from "node:crypto";
import * as net from "node:net";
import forge from "node-forge";

/** A certificate with its key, both PEM. */
export interface Made {
  readonly cert: string;
  readonly key: string;
}

/** From when to when something is valid. */
interface Validity {
  readonly from: Date;
  readonly to: Date;
}

/** Clocks differ: what is made now is valid on machines whose clock is behind. */
const BACKDATED = 3_600_000;

/** Bits of an RSA key. */
const BITS = { authority: 3072, certificate: 2048 } as const;

function started(commonName: string, bits: number, { from, to }: Validity) {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", {
    modulusLength: bits,
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(publicKey);
  // A number of a certificate is positive, and of 20 bytes at most.
  certificate.serialNumber = `01${randomBytes(15).toString("hex")}`;
  certificate.validity.notBefore = new Date(from.getTime() - BACKDATED);
  certificate.validity.notAfter = to;
  certificate.setSubject([{ name: "commonName", value: commonName }]);
  return { certificate, key: privateKey };
}

/** The library ends lines as Windows does. */
const pem = (certificate: forge.pki.Certificate): string =>
  forge.pki.certificateToPem(certificate).replaceAll("\r", "");

/** An authority, which signs itself. */
export function makeAuthority(commonName: string, validity: Validity): Made {
  const { certificate, key } = started(commonName, BITS.authority, validity);
  certificate.setIssuer(certificate.subject.attributes);
  certificate.setExtensions([
    { name: "basicConstraints", cA: true, critical: true },
    { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true },
    { name: "subjectKeyIdentifier" },
  ]);
  certificate.sign(forge.pki.privateKeyFromPem(key), forge.md.sha256.create());
  return { cert: pem(certificate), key };
}

/** A certificate of servers, who show it to one another as well. The first of `names` is its common name. */
export function makeCertificate(names: readonly string[], signer: Made, validity: Validity): Made {
  const authority = forge.pki.certificateFromPem(signer.cert);
  const { certificate, key } = started(names[0] ?? "", BITS.certificate, validity);
  certificate.setIssuer(authority.subject.attributes);
  certificate.setExtensions([
    { name: "basicConstraints", cA: false, critical: true },
    { name: "keyUsage", digitalSignature: true, keyEncipherment: true, critical: true },
    { name: "extKeyUsage", serverAuth: true, clientAuth: true },
    {
      name: "subjectAltName",
      altNames: names.map((name) => (net.isIP(name) ? { type: 7, ip: name } : { type: 2, value: name })),
    },
    { name: "subjectKeyIdentifier" },
    // Python 3.13 wants it.
    { name: "authorityKeyIdentifier", keyIdentifier: authority.generateSubjectKeyIdentifier().getBytes() },
  ]);
  certificate.sign(forge.pki.privateKeyFromPem(signer.key), forge.md.sha256.create());
  return { cert: pem(certificate), key };
}
