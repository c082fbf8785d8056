import { generateKeyPairSync } from "node:crypto";
import forge from "node-forge";

/** A certificate and its key, both PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

const HOUR = 3_600_000;

/** Makes a certificate; without `issuer` it signs itself and is an authority. It is valid for `days`, or has ended a day ago. */
export function certificate(
  commonName: string,
  {
    issuer,
    expired = false,
    names = [],
    days = 1,
  }: { issuer?: Certificate; expired?: boolean; names?: readonly string[]; days?: number } = {},
): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
  const made = forge.pki.createCertificate();
  made.publicKey = forge.pki.publicKeyFromPem(publicKey);
  made.serialNumber = `01${Buffer.from(commonName).toString("hex")}`;
  made.validity.notBefore = new Date(Date.now() - 48 * HOUR);
  made.validity.notAfter = new Date(Date.now() + (expired ? -24 : 24 * days) * HOUR);
  const subject = [{ name: "commonName", value: commonName }];
  made.setSubject(subject);
  made.setIssuer(issuer ? forge.pki.certificateFromPem(issuer.cert).subject.attributes : subject);
  made.setExtensions([
    { name: "basicConstraints", cA: !issuer },
    { name: "keyUsage", keyCertSign: !issuer, digitalSignature: true, keyEncipherment: true },
    ...(names.length === 0
      ? []
      : [
          {
            name: "subjectAltName",
            altNames: names.map((name) => (/^[\d.]+$/.test(name) ? { type: 7, ip: name } : { type: 2, value: name })),
          },
        ]),
  ]);
  made.sign(forge.pki.privateKeyFromPem(issuer?.key ?? privateKey), forge.md.sha256.create());
  return { cert: forge.pki.certificateToPem(made).replaceAll("\r", ""), key: privateKey };
}
