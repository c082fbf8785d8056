/** Certificates that look right field by field, and that OpenSSL, Python's clients or nats-server refuse; each was tried with nats-server 2.15.2 and Python. */
import { generateKeyPairSync } from "node:crypto";
import forge from "node-forge";
import { expect, it } from "vitest";
import { problemsInUse } from "../../../contract/nats/certificate";

const NAME = "nats.nats.svc.cluster.local";
// The library writes into what it is given.
const CA = { name: "basicConstraints", cA: true, critical: true };
const SIGNS = { name: "keyUsage", keyCertSign: true, critical: true };
const FOR_NAME = { name: "subjectAltName", altNames: [{ type: 2, value: NAME }] };
const FOR_BOTH = { name: "extKeyUsage", serverAuth: true, clientAuth: true };

interface Made {
  readonly cert: string;
  readonly key: string;
}
interface Wanted {
  readonly by?: Made;
  readonly extensions: readonly object[];
  readonly digest?: "sha1" | "sha256";
  readonly bits?: number;
  readonly serial?: string;
}

const keys = new Map<string, ReturnType<typeof newKeys>>();
const newKeys = (modulusLength: number) =>
  generateKeyPairSync("rsa", {
    modulusLength,
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });

/** A certificate; those of one name have one pair of keys, which takes longer to make than all else. */
function made(commonName: string, { by, extensions, digest = "sha256", bits = 2048, serial = "01ab" }: Wanted): Made {
  const name = `${commonName} ${bits}`;
  const { privateKey, publicKey } = keys.get(name) ?? newKeys(bits);
  keys.set(name, { privateKey, publicKey });
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(publicKey);
  certificate.serialNumber = serial;
  certificate.validity.notBefore = new Date(Date.now() - 3_600_000);
  certificate.validity.notAfter = new Date(Date.now() + 86_400_000);
  const subject = [{ name: "commonName", value: commonName }];
  certificate.setSubject(subject);
  certificate.setIssuer(by ? forge.pki.certificateFromPem(by.cert).subject.attributes : subject);
  certificate.setExtensions(extensions.map((each) => ({ ...each })));
  certificate.sign(forge.pki.privateKeyFromPem(by?.key ?? privateKey), forge.md[digest].create());
  return { cert: forge.pki.certificateToPem(certificate).replaceAll("\r", ""), key: privateKey };
}

const root = made("root", { extensions: [CA, SIGNS] });
const leafOf = (by: Made, more: Partial<Wanted> = {}): Made =>
  made("nats", { by, extensions: [FOR_NAME, FOR_BOTH], ...more });

/** Problems of a leaf, whose chain ends at an authority that clients know. */
const judged = (leaf: Made, { ca = root, between = [] as Made[], isForRoutes = false } = {}): Promise<string[]> =>
  problemsInUse({
    files: {
      "tls.crt": [leaf, ...between].map(({ cert }) => cert).join(""),
      "tls.key": leaf.key,
      "ca.crt": ca.cert,
    },
    names: [NAME],
    isForRoutes,
    now: new Date(),
  });
const between = (extensions: readonly object[]): Made => made("between", { by: root, extensions });

it("takes one that is right, with a certificate between, for the servers of a cluster too, and with empty lines", async () => {
  const middle = between([CA, SIGNS]);
  expect(await judged(leafOf(middle), { between: [middle], isForRoutes: true })).toEqual([]);
  const leaf = leafOf(root);
  const spread = (pem: string): string => pem.replaceAll("\n", "\n\n");
  expect(await judged({ ...leaf, cert: spread(leaf.cert), key: spread(leaf.key) })).toEqual([]);
  // Python's clients read no authority of that form, and Node's skip it.
  expect(await judged(leaf, { ca: { ...root, cert: spread(root.cert) } })).toEqual([
    "has a ca.crt that is not a certificate in PEM",
  ]);
});

it.each<[string, () => Promise<string[]>, RegExp]>([
  [
    "a certificate between that is no authority",
    () => {
      const middle = between([{ ...CA, cA: false }]);
      return judged(leafOf(middle), { between: [middle] });
    },
    /^has a certificate that clients refuse: (?:invalid CA certificate|unsuitable certificate purpose)/,
  ],
  [
    "an authority whose chains have no certificate between",
    () => {
      const ca = made("short", { extensions: [{ ...CA, pathLenConstraint: 0 }, SIGNS] });
      const middle = made("between", { by: ca, extensions: [CA, SIGNS] });
      return judged(leafOf(middle), { ca, between: [middle] });
    },
    /clients refuse: path length constraint exceeded/,
  ],
  [
    "a certificate between whose purpose is clients",
    () => {
      const middle = between([CA, SIGNS, { name: "extKeyUsage", clientAuth: true }]);
      return judged(leafOf(middle), { between: [middle] });
    },
    /clients refuse: unsuitable certificate purpose/,
  ],
  [
    "one whose purpose is servers, between those of a cluster",
    () => {
      const middle = between([CA, SIGNS, { name: "extKeyUsage", serverAuth: true }]);
      return judged(leafOf(middle), { between: [middle], isForRoutes: true });
    },
    /has signed, which may sign none for clients/,
  ],
  ["a signature by SHA-1", () => judged(leafOf(root, { digest: "sha1" })), /clients refuse: CA signature digest/],
  [
    "a critical extension that nobody knows",
    () => judged(leafOf(root, { extensions: [FOR_NAME, { id: "1.2.3.4", critical: true, value: "\u000c\u0001x" }] })),
    /clients refuse: unhandled critical extension/,
  ],
  ["a key that is too short", () => judged(leafOf(root, { bits: 1024 })), /of nats with a key \(RSA of 1024 bits\)/],
  [
    "a serial number below zero, which nats-server does not read",
    () => judged(leafOf(root, { serial: "fb" })),
    /of nats with a serial number below zero/,
  ],
])("says of %s what will be refused", async (_what, problems, says) => {
  const found = await problems();
  expect(found).toEqual([expect.stringMatching(says)]);
  expect(found.join("")).not.toMatch(/PRIVATE KEY|openssl\/ssl/);
});

it.each(["secp256k1", "P-224"])(
  "says of a key of the curve %s that nats-server does not take it",
  async (namedCurve) => {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve });
    // A request that an authority would sign: only the key counts here, so that it stands in the certificate of another one.
    const certificate = forge.pki.certificateFromPem(leafOf(root).cert);
    const asn1 = forge.pki.certificateToAsn1(certificate);
    const body = asn1.value[0] as forge.asn1.Asn1;
    const spki = forge.asn1.fromDer(publicKey.export({ type: "spki", format: "der" }).toString("binary"));
    (body.value as forge.asn1.Asn1[])[6] = spki;
    const digest = forge.md.sha256.create().update(forge.asn1.toDer(body).getBytes());
    const signature = forge.pki.privateKeyFromPem(root.key).sign(digest);
    (asn1.value[2] as forge.asn1.Asn1).value = `\0${signature}`;
    const der = forge.asn1.toDer(asn1).getBytes();
    const cert = forge.pem.encode({ type: "CERTIFICATE", body: der }).replaceAll("\r", "");
    const key = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    expect(await judged({ cert, key })).toEqual([
      expect.stringMatching(/key \(of the curve secp2\w+\) that nats-server/),
    ]);
  },
);
