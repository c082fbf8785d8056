import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from "node:crypto";
import forge from "node-forge";
import { describe, expect, it } from "vitest";
import {
  authorities,
  certificateFacts,
  certificateProblems,
  certificatesIn,
  TLS_FILES,
} from "../../../contract/nats/certificate";
import { makeAuthority, makeCertificate } from "../../../components/nats-jetstream/tls/make";
import { generated } from "../../../components/nats-jetstream/tls/provider";
import { DAY, due, endOf, LIVES, type Kept } from "../../../components/nats-jetstream/tls/renewal";

const NAMES = ["nats.nats.svc.cluster.local", "nats", "127.0.0.1"];
const START = new Date("2026-01-01T00:00:00Z");
const after = (days: number): Date => new Date(START.getTime() + days * DAY);
const life = (from: number, days: number) => ({
  from: after(from).toISOString(),
  to: after(from + days).toISOString(),
});
const kept = (certificate: number, authorities: readonly number[] = [0]): Kept => ({
  authorities: authorities.map((from) => life(from, LIVES.authority)),
  certificate: {
    ...life(certificate, LIVES.certificate),
    names: NAMES,
    signedBy: after(authorities[0] ?? 0).toISOString(),
  },
});

describe("what is due", () => {
  it("is everything where there is nothing", () => {
    expect(due({ authorities: [] }, START, NAMES)).toEqual({
      stay: [],
      newAuthority: true,
      signer: undefined,
      newCertificate: true,
      why: ["there is no authority", "there is no certificate"],
    });
  });

  it.each([
    [0, []],
    [LIVES.certificate - LIVES.certificateLeft, []],
    [LIVES.certificate - LIVES.certificateLeft + 1, ["the certificate ends on 2027-01-01"]],
    [LIVES.certificate + 400, ["the certificate ends on 2027-01-01"]],
  ])("of a certificate after %d days is %j", (days, why) => {
    const { newAuthority, newCertificate, ...rest } = due(kept(0), after(days), NAMES);
    expect(rest.why).toEqual(why);
    expect(newCertificate).toBe(why.length > 0);
    expect(newAuthority).toBe(false);
    expect(rest.signer).toBe(START.toISOString());
  });

  it("is a certificate where a name is missing, and nothing where there is one too many", () => {
    expect(due(kept(0), START, [...NAMES, "nats-0.nats-headless"]).why).toEqual([
      "the certificate lacks nats-0.nats-headless",
    ]);
    expect(due(kept(0), START, ["nats"]).why).toEqual([]);
  });

  it("is the next authority long before the end of the first, which goes on signing until the next is known", () => {
    const last = LIVES.authority - LIVES.authorityLeft;
    expect(due(kept(last), after(last), NAMES).why).toEqual([]);
    expect(due(kept(last), after(last + 1), NAMES)).toMatchObject({
      newAuthority: true,
      newCertificate: false,
      signer: START.toISOString(),
    });
    const both = kept(last, [0, last + 1]);
    expect(due(both, after(last + LIVES.trusted), NAMES).why).toEqual([]);
    expect(due(both, after(last + 1 + LIVES.trusted), NAMES)).toMatchObject({
      newAuthority: false,
      newCertificate: true,
      signer: after(last + 1).toISOString(),
      why: expect.arrayContaining(["another authority signs from now on"]) as string[],
    });
  });

  it("drops an authority that has ended, and starts again where all have", () => {
    const next = LIVES.authority - 100;
    expect(due(kept(next, [0, next]), after(LIVES.authority + 1), NAMES)).toMatchObject({
      stay: [after(next).toISOString()],
      signer: after(next).toISOString(),
      newCertificate: true,
    });
    expect(due(kept(0), after(LIVES.authority + 1), NAMES)).toMatchObject({ stay: [], newAuthority: true });
  });

  it("hurries where years have passed without an update: the new authority signs at once, and the certificate lives", () => {
    expect(due(kept(LIVES.authority - 400), after(LIVES.authority - 20), NAMES)).toMatchObject({
      newAuthority: true,
      signer: undefined,
      newCertificate: true,
    });
  });

  it("over thirty years of an update every half year: nothing ends before it is renewed, or is signed by who is not known yet", () => {
    let state: Kept = { authorities: [] };
    let trusted: readonly string[] = [];
    for (let day = 0; day <= 30 * 365; day += 182) {
      const now = after(day);
      if (day > 0) expect(Date.parse(state.certificate?.to ?? ""), `day ${day}`).toBeGreaterThan(now.getTime());
      const { stay, newAuthority, signer, newCertificate } = due(state, now, NAMES);
      const authorities = [
        ...state.authorities.filter(({ from }) => stay.includes(from)),
        ...(newAuthority ? [life(day, LIVES.authority)] : []),
      ];
      const by = authorities.find(({ from }) => from === signer) ?? authorities.at(-1);
      if (day > 0) expect(trusted, `day ${day}`).toContain(by?.from);
      const end = { from: now.toISOString(), to: endOf(now, LIVES.certificate, by).toISOString() };
      const certificate = newCertificate ? { ...end, names: NAMES, signedBy: by?.from ?? "" } : state.certificate;
      state = { authorities, ...(certificate ? { certificate } : {}) };
      trusted = authorities.map(({ from }) => from);
    }
    expect(trusted).not.toContain(START.toISOString());
  });

  it("nothing outlives who has signed it", () => {
    expect(endOf(after(100), 365, life(0, 200))).toEqual(after(200));
    expect(endOf(after(100), 365, life(0, 3650))).toEqual(after(465));
  });
});

const INPUTS = {
  source: "generated",
  namespace: "nats",
  secretName: "nats-tls",
  authorityName: "nats-ca",
  names: NAMES,
  routeNames: ["nats-0.nats-headless"],
  timeoutSeconds: 1,
} as const;
const filesOf = (settled: ReturnType<typeof generated>) => settled.files ?? {};
const problems = (files: Readonly<Record<string, string>>, now: Date) =>
  certificateProblems({ files, names: [...INPUTS.names, ...INPUTS.routeNames], isForRoutes: true, now });

describe("certificates that are made", () => {
  const first = generated(INPUTS, undefined, START);

  it("can be used by clients, and by servers for one another", () => {
    expect(problems(filesOf(first), after(1))).toEqual([]);
    expect(first.state.ca).toBe(filesOf(first)[TLS_FILES.authority]);
    expect(Date.parse(first.state.ends)).toBe(after(LIVES.certificate).getTime());
    const [leaf] = certificatesIn(filesOf(first)[TLS_FILES.certificate] ?? "");
    expect(leaf && certificateFacts(leaf).to).toEqual(after(LIVES.certificate));
    expect(JSON.stringify({ ...first.state, stored: undefined })).not.toContain("PRIVATE KEY");
  });

  it("stay as they are until something is due", () => {
    expect(generated(INPUTS, first.state.stored, after(100))).toEqual(first);
  });

  it("are trusted by who has not been replaced yet when another authority takes over", () => {
    const last = LIVES.authority - LIVES.authorityLeft + 1;
    const announced = generated(INPUTS, first.state.stored, after(last));
    expect(announced.state.stored?.authorities).toHaveLength(2);
    const taken = generated(INPUTS, announced.state.stored, after(last + LIVES.trusted));
    expect(taken.state.stored?.certificate.signedBy).toBe(after(last).toISOString());
    for (const [now, settled, trusted] of [
      [last, announced, first.state.ca],
      [last + LIVES.trusted, taken, announced.state.ca],
    ] as const) {
      expect(problems({ ...filesOf(settled), [TLS_FILES.authority]: trusted }, after(now))).toEqual([]);
    }
    expect(problems({ ...filesOf(taken), [TLS_FILES.authority]: first.state.ca }, after(last + LIVES.trusted))).toEqual(
      ["has a certificate that none of the authorities in its ca.crt has signed"],
    );
  });
});

/** A certificate that `signer` has signed, with the extensions that it is given. */
function signed(commonName: string, signer: { cert: string; key: string }, { from, to, extensions, key }: Extended) {
  const privateKey = (
    key === undefined ? generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey : createPrivateKey(key)
  )
    .export({ type: "pkcs8", format: "pem" })
    .toString();
  const publicKey = createPublicKey(privateKey).export({ type: "spki", format: "pem" }).toString();
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(publicKey);
  certificate.serialNumber = `01${randomBytes(8).toString("hex")}`;
  certificate.validity.notBefore = from;
  certificate.validity.notAfter = to;
  certificate.setSubject([{ name: "commonName", value: commonName }]);
  certificate.setIssuer(forge.pki.certificateFromPem(signer.cert).subject.attributes);
  certificate.setExtensions([...extensions]);
  certificate.sign(forge.pki.privateKeyFromPem(signer.key), forge.md.sha256.create());
  return { cert: forge.pki.certificateToPem(certificate).replaceAll("\r", ""), key: privateKey };
}

interface Extended {
  readonly from: Date;
  readonly to: Date;
  readonly extensions: readonly object[];
  /** Of a certificate that is there already; a new one where it is left out. */
  readonly key?: string;
}

describe("a Secret whose chain or files are odd", () => {
  const HOSTS = NAMES.filter((name) => !/^[\d.]+$/.test(name));
  const validity = { from: after(-1), to: after(100) };
  const ALTERNATIVES = { name: "subjectAltName", altNames: HOSTS.map((value) => ({ type: 2, value })) };
  const CA = { name: "basicConstraints", cA: true, critical: true };
  const root = makeAuthority("root", validity);
  const middle = signed("middle", root, { ...validity, extensions: [CA] });
  const leaf = signed("leaf", middle, { ...validity, extensions: [ALTERNATIVES] });
  const right = { "tls.crt": leaf.cert + middle.cert, "tls.key": leaf.key, "ca.crt": root.cert };
  const judged = (files: Record<string, string>, now = after(1)) =>
    certificateProblems({ files, names: HOSTS, isForRoutes: false, now });
  const each = (change: (text: string) => string) =>
    Object.fromEntries(Object.entries(right).map(([name, text]) => [name, change(text)]));
  const encrypted = createPrivateKey(leaf.key)
    .export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "canary" })
    .toString();
  const short = makeAuthority("short", { from: after(-1), to: after(5) });
  const ofShort = signed("leaf", short, { ...validity, extensions: [ALTERNATIVES] });
  const nameless = signed(HOSTS[0] ?? "", root, { ...validity, extensions: [] });
  const client = signed("leaf", root, {
    ...validity,
    extensions: [ALTERNATIVES, { name: "extKeyUsage", clientAuth: true }],
  });

  it("can be used with a certificate between, the lines of Windows, and words beside the PEM", () => {
    expect(judged(right)).toEqual([]);
    expect(judged(each((text) => text.replaceAll("\n", "\r\n")))).toEqual([]);
    expect(judged(each((text) => `subject=leaf\n${text}\n\n`))).toEqual([]);
  });

  it.each<[string, Record<string, string>, RegExp[], Date?]>([
    ["nothing between", { ...right, "tls.crt": leaf.cert }, [/none of the authorities in its ca\.crt has signed$/]],
    [
      "the order turned",
      { ...right, "tls.crt": middle.cert + leaf.cert },
      [/tls\.crt in another order: .* number 2/, /no name/],
    ],
    ["an encrypted key", { ...right, "tls.key": encrypted }, [/tls\.key that is encrypted/]],
    [
      "a common name alone",
      { "tls.crt": nameless.cert, "tls.key": nameless.key, "ca.crt": root.cert },
      [/for no name \(a common name does not count\)/],
    ],
    [
      "an authority that has expired",
      { "tls.crt": ofShort.cert, "tls.key": ofShort.key, "ca.crt": short.cert },
      [/that short has signed, whose own has expired on /],
      after(6),
    ],
    [
      "an authority that is none's own",
      { ...right, "ca.crt": middle.cert },
      [/^has in its ca\.crt middle, which root has signed, and clients go on/],
    ],
    [
      "itself for an authority",
      { ...right, "tls.crt": leaf.cert, "ca.crt": leaf.cert },
      [/^has in its ca\.crt leaf, which middle has signed/],
    ],
    [
      "a certificate for clients alone",
      { "tls.crt": client.cert, "tls.key": client.key, "ca.crt": root.cert },
      [/without the extended key usage for servers/],
    ],
    [
      "a byte order mark in each",
      each((text) => `\ufeff${text}`),
      [/^has a tls\.crt with a byte order mark/, /^has a tls\.key with/, /^has a ca\.crt with/],
    ],
    [
      "two files on one line",
      { ...right, "tls.crt": leaf.cert.trim() + middle.cert },
      [/^has a tls\.crt with a BEGIN or END that has no line of its own/],
    ],
    [
      "lines moved in",
      { ...right, "ca.crt": root.cert.replace(/^-----BEGIN/gm, "  -----BEGIN") },
      [/^has a ca\.crt with a BEGIN or END/],
    ],
  ])("is refused with %s", (_what, files, says, now) => {
    const said = judged(files, now);
    for (const [index, pattern] of says.entries()) expect(said[index]).toMatch(pattern);
    expect(said).toHaveLength(says.length);
    expect(said.join()).not.toContain("canary");
  });

  describe("whose authority another has signed, too,", () => {
    const crossed = signed("root", short, { ...validity, extensions: [CA], key: root.key });
    const ended = signed("root", short, { from: after(-1), to: after(0.5), extensions: [CA], key: root.key });
    const direct = signed("leaf", root, { ...validity, extensions: [ALTERNATIVES] });
    const files = (chain: readonly { cert: string }[], known: readonly { cert: string }[]) => ({
      "tls.crt": [direct, ...chain].map(({ cert }) => cert).join(""),
      "tls.key": direct.key,
      "ca.crt": known.map(({ cert }) => cert).join(""),
    });
    it.each([
      ["is known by its own certificate", [crossed], [root]],
      ["is known by both", [], [root, crossed]],
      ["is not known, and is there itself behind the other", [crossed, root], [short]],
      ["is known by its own, and the other's has ended", [ended], [root]],
      ["is known by both, and the other's has ended", [], [ended, root]],
      ["is not known, and the other is", [crossed], [short]],
      ["is known beside the other", [crossed], [short, root]],
    ])("can be used where it %s", (_what, chain, known) => expect(judged(files(chain, known))).toEqual([]));

    it.each([
      // Node and OpenSSL take the first of a name, and go on to where it leads.
      [
        "the other's stands first, and it is not known",
        [],
        [crossed, root],
        /^has in its ca\.crt root, which short has/,
      ],
      ["it stands before the other's, and is not known", [root, crossed], [short], /it leads to root$/],
      ["the other is not known either", [], [crossed], /^has in its ca\.crt root, which short has signed/],
      ["what the other has signed has ended", [ended], [short], /that root has signed, whose own has expired/],
    ])("is refused where %s", (_what, chain, known, says) => {
      const said = judged(files(chain, known));
      expect(said).toHaveLength(1);
      expect(said[0]).toMatch(says);
    });
  });

  it("is told of the authority that is trusted anew, not of its former certificate", () => {
    expect(judged({ "tls.crt": ofShort.cert, "tls.key": ofShort.key, "ca.crt": short.cert }, after(1))).toEqual([]);
  });

  it.each<[string, string, RegExp]>([
    ["byte order mark", `\ufeff${root.cert}`, /^PEM with a byte order mark/],
    ["line that two share", root.cert.trim() + short.cert, /^PEM with a BEGIN or END/],
    ["end that has come", short.cert, /^of authorities that have expired, the last on /],
  ])("a file of authorities is refused for its %s", (_what, file, says) =>
    expect(authorities(file, after(6))).toMatch(says),
  );

  it("a file of authorities may hold one that has expired, beside another", () =>
    expect(authorities(short.cert + root.cert, after(6))).toBeUndefined());
});

describe("a Secret that somebody else keeps", () => {
  const validity = { from: START, to: after(100) };
  const authority = makeAuthority("authority", validity);
  const stranger = makeAuthority("stranger", validity);
  const { cert, key } = makeCertificate(NAMES, authority, validity);
  const right = { "tls.crt": cert, "tls.key": key, "ca.crt": authority.cert };
  const judged = (files: Record<string, string>, { names = NAMES, now = after(1) } = {}) =>
    certificateProblems({ files, names, isForRoutes: false, now });

  it("can be used where everything fits, with a chain and with authorities beside", () => {
    expect(judged(right)).toEqual([]);
    expect(judged({ ...right, "ca.crt": stranger.cert + authority.cert, "tls.crt": cert + authority.cert })).toEqual(
      [],
    );
  });

  it.each<[string, Record<string, string>, { names?: string[]; now?: Date }, string]>([
    ["no keys", {}, {}, "has no tls.crt, no tls.key, no ca.crt"],
    ["no authority", { "tls.crt": cert, "tls.key": key }, {}, "has no ca.crt"],
    ["no PEM", { ...right, "tls.crt": "x" }, {}, "has a tls.crt that is not a certificate in PEM"],
    ["an end", right, { now: after(101) }, "has a certificate that has expired on 2026-04-11"],
    ["a beginning", right, { now: after(-1) }, "has a certificate that is not valid before 2025-12-31"],
    [
      "another name",
      right,
      { names: ["nats", "nats.other.svc.cluster.local"] },
      `has a certificate for ${NAMES.join(", ")}, and clients connect by nats.other.svc.cluster.local`,
    ],
    ["another key", { ...right, "tls.key": stranger.key }, {}, "has a tls.key that is not the key of its tls.crt"],
    [
      "another authority",
      { ...right, "ca.crt": stranger.cert },
      {},
      "has a certificate that none of the authorities in its ca.crt has signed",
    ],
  ])("is refused with %s", (_what, files, how, says) => expect(judged(files, how)).toEqual([says]));

  it("is told all that is wrong with it at once", () => {
    expect(judged({ ...right, "tls.key": stranger.key }, { names: ["x"], now: after(101) })).toHaveLength(3);
  });
});
