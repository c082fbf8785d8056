import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { credsAuthenticator, nkeyAuthenticator, nkeys, type ConnectionOptions } from "nats";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import {
  checkContract,
  ConnectError,
  withDefaults,
  type ConnectProblem,
  type ContractArguments,
  type ContractInputs,
} from "../../../contract";
import { Deadline } from "../../../contract/deadline";
import { servedCertificate } from "../../../contract/nats/served";
import { certificate, type Certificate } from "../../support/certificates";
import { inputProblems } from "../../../contract/input-problems";
import {
  closedPort,
  JETSTREAM,
  proxy,
  rejection,
  startNatsServer,
  startNoetl,
  type NatsServer,
} from "../../support/nats";

let dir: string;
beforeAll(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "contract-login-"));
});
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function started(config: string): Promise<NatsServer> {
  const server = await startNatsServer({ config });
  cleanups.push(() => server.stop());
  return server;
}

async function problemOf(problem: ConnectProblem, inputs: ContractInputs, ...secrets: string[]): Promise<string> {
  const error = await rejection(checkContract(inputs));
  expect(error).toBeInstanceOf(ConnectError);
  expect({ problem: (error as ConnectError).problem, message: error.message }).toMatchObject({ problem });
  for (const secret of secrets) expect(JSON.stringify([error.message, error.stack, error])).not.toContain(secret);
  return error.message;
}

const file = (name: string, text: string): string => {
  const target = path.join(dir, name);
  fs.writeFileSync(target, text);
  return target;
};

describe("TLS", () => {
  const authority = certificate("authority");
  const stranger = certificate("stranger");
  // nats.js itself, which the tests use to set up, takes an address for localhost.
  const names = ["127.0.0.1", "localhost", "nats.example"];
  const right = certificate("server", { issuer: authority, names });
  const expired = certificate("expired", { issuer: authority, names, expired: true });
  const elsewhere = certificate("elsewhere", { issuer: authority, names: ["other.example"] });
  const client = certificate("checker", { issuer: authority });

  const tls = ({ cert, key }: Certificate, more = ""): string =>
    `${JETSTREAM}
     tls {cert_file: "${file("cert.pem", cert)}", key_file: "${file("key.pem", key)}", ${more}}`;
  const options = (more: object = {}): ConnectionOptions => ({ tls: { ca: authority.cert, ...more } });
  const inputs = (
    server: Pick<NatsServer, "address">,
    settings: Extract<ContractArguments["connection"], { servers: unknown }>["tls"],
    scheme = "",
  ): ContractInputs =>
    withDefaults({
      connection: { servers: [`${scheme}${server.address}`], ...(settings ? { tls: settings } : {}) },
      timeoutSeconds: 2,
    });

  it("with the right certificate is checked, also by a name that the certificate carries", async () => {
    const server = await started(tls(right));
    await startNoetl(server, {}, options());
    for (const settings of [{ ca: authority.cert }, { ca: authority.cert, serverName: "nats.example" }]) {
      expect(await checkContract(inputs(server, settings))).toMatchObject({ holds: true, report: "" });
    }
    expect(await problemOf("tls", inputs(server, { ca: authority.cert, serverName: "other.example" }))).toBe(
      `the certificate of NATS at ${server.address} is for another name: it is for 127.0.0.1, localhost, nats.example, and not for ` +
        "other.example",
    );
    const untrusted = `the certificate of NATS at ${server.address} is from an authority that is not trusted: authority has signed it`;
    expect(await problemOf("tls", inputs(server, { ca: stranger.cert }))).toBe(
      `${untrusted} (unable to verify the first certificate); trusted is what connection.tls.ca holds`,
    );
    expect(await problemOf("tls", inputs(server, undefined, "tls://"))).toBe(
      `${untrusted} (unable to verify the first certificate); trusted are those that Node knows`,
    );
    expect(await problemOf("tls", inputs(server, undefined))).toBe(
      `NATS at ${server.address} demands TLS: set connection.tls, of a stack natsTls`,
    );
  });

  it("with an expired certificate is refused, and that is not tried again", async () => {
    const server = await started(tls(expired));
    const start = performance.now();
    const settings = { ...inputs(server, { ca: authority.cert }), timeoutSeconds: 60 };
    const day = new Date(Date.now() - 24 * 3_600_000).toISOString().slice(0, 10);
    expect(await problemOf("tls", settings)).toBe(
      `the certificate of NATS at ${server.address} has expired on ${day}: let the server have a new one, which it reads without a restart`,
    );
    expect(performance.now() - start).toBeLessThan(40_000);
  });

  it("has its certificate looked at as the server shows it, whoever has signed it, and without a log-in", async () => {
    const seen = (server: Pick<NatsServer, "address">, settings: Parameters<typeof inputs>[1], scheme = "") =>
      servedCertificate(inputs(server, settings, scheme), new Deadline(5000));
    const server = await started(tls(expired));
    expect(await seen(server, { ca: stranger.cert })).toMatchObject({ names, issuer: "authority" });
    expect((await seen(server, undefined, "tls://"))?.to.getTime()).toBeLessThan(Date.now());
    expect(await seen(server, undefined)).toBeUndefined();
    const first = await started(tls(right, "handshake_first: true"));
    expect((await seen(first, { handshakeFirst: true }))?.to.getTime()).toBeGreaterThan(Date.now());
    // One without TLS is not spoken to in it: it would take that for a client that is broken.
    const between = await proxy(await started(JETSTREAM));
    cleanups.push(() => between.close());
    expect(await seen(between, { ca: authority.cert })).toBeUndefined();
    expect(between.sent()).toBe("");
    expect(await seen({ address: `127.0.0.1:${await closedPort()}` }, { ca: authority.cert })).toBeUndefined();
  });

  it("with a certificate for another host is refused", async () => {
    const server = await started(tls(elsewhere));
    expect(await problemOf("tls", inputs(server, { ca: authority.cert }))).toBe(
      `the certificate of NATS at ${server.address} is for another name: it is for other.example, and not for 127.0.0.1`,
    );
  });

  it("is asked of no server that has none, and the password stays here", async () => {
    const server = await started(`${JETSTREAM}\nauthorization {users: [{user: noetl, password: "Wrong-Horse.8"}]}`);
    const between = await proxy(server);
    cleanups.push(() => between.close());
    const login = { user: "noetl", password: "Wrong-Horse.8" };
    const message = await problemOf("tls", { ...inputs(between, { ca: authority.cert }), ...login }, login.password);
    expect(message).toBe(
      `NATS at ${between.address} offers no TLS, which connection.tls or tls:// asks for (natsTls of a stack); the password was not sent`,
    );
    expect(between.sent()).not.toContain(login.password);
  });

  it.each(["text", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", client.key])(
    "with an authority that is none is refused, without a word of it: %#",
    (ca) => {
      const problems = inputProblems(withDefaults({ connection: { tls: { ca } } }));
      expect(problems).toEqual([expect.stringMatching(/^connection\.tls\.ca is .*PEM|private key/) as string]);
      expect(problems[0]).not.toContain("AAAA");
      expect(problems[0]).not.toContain(client.key.slice(40, 80));
    },
  );

  it("with a client certificate is checked with it, and not without", async () => {
    const server = await started(tls(right, `ca_file: "${file("ca.pem", authority.cert)}", verify: true`));
    await startNoetl(server, {}, options(client));
    expect(await checkContract(inputs(server, { ca: authority.cert, ...client }))).toMatchObject({ holds: true });
    const { message } = await rejection(checkContract(inputs(server, { ca: authority.cert })));
    expect(message).toMatch(/certificate required|closed the connection/);
  });

  it("before the greeting is spoken where that is asked for, and hinted at where it is not", async () => {
    const server = await started(tls(right, "handshake_first: true, timeout: 20"));
    await startNoetl(server, {}, options({ handshakeFirst: true }));
    const settings = { ca: authority.cert, handshakeFirst: true };
    expect(await checkContract(inputs(server, settings))).toMatchObject({ holds: true });
    expect(await problemOf("no-answer", inputs(server, { ca: authority.cert }))).toContain(
      "set connection.tls.handshakeFirst",
    );
    const impatient = await started(tls(right, "handshake_first: true, timeout: 0.2"));
    expect(await problemOf("closed", inputs(impatient, { ca: authority.cert }))).toContain(
      "before it greeted; where the server expects TLS first, set connection.tls.handshakeFirst",
    );
  });
});

/** What is used of the keys; the library exports them without types. */
interface KeyPair {
  getSeed(): Uint8Array;
  getPublicKey(): string;
  sign(data: Uint8Array): Uint8Array;
}
const { createOperator, createAccount, createUser } = nkeys as Record<
  "createOperator" | "createAccount" | "createUser",
  () => KeyPair
>;

describe("NKeys", () => {
  const seedOf = (key: KeyPair): string => Buffer.from(key.getSeed()).toString();
  const [user, other] = [createUser(), createUser()];

  it("log in, and one that the server does not know does not", async () => {
    const server = await started(`${JETSTREAM}\nauthorization {users: [{nkey: ${user.getPublicKey()}}]}`);
    await startNoetl(server, {}, { authenticator: nkeyAuthenticator(user.getSeed()) });
    const inputs = (nkeySeed: string): ContractInputs =>
      withDefaults({ connection: { servers: [server.address] }, nkeySeed, timeoutSeconds: 2 });
    expect(await checkContract(inputs(seedOf(user)))).toMatchObject({ holds: true, report: "" });
    expect(await problemOf("wrong-password", inputs(seedOf(other)), seedOf(other))).toContain(
      "does not accept the user of the NKey",
    );
  });
});

describe("credentials files", () => {
  const operator = createOperator();
  const [account, plain, system] = [createAccount(), createAccount(), createAccount()];

  /** A JWT as `nsc` makes it. */
  function jwt(issuer: KeyPair, subject: KeyPair, name: string, nats: object, more: object = {}): string {
    const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    const claims = { jti: name, iat: 1, iss: issuer.getPublicKey(), name, sub: subject.getPublicKey(), nats, ...more };
    const signed = `${encode({ typ: "JWT", alg: "ed25519-nkey" })}.${encode(claims)}`;
    return `${signed}.${Buffer.from(issuer.sign(Buffer.from(signed))).toString("base64url")}`;
  }

  const core = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };
  const jetstream = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
  const accountJwt = (key: KeyPair, limits: object): string =>
    jwt(operator, key, "account", { limits: { ...core, ...limits }, type: "account", version: 2 });

  function creds(of: KeyPair, more: object = {}): string {
    const user = createUser();
    const claims = { pub: {}, sub: {}, subs: -1, data: -1, payload: -1, type: "user", version: 2 };
    const token = jwt(of, user, "checker", claims, more);
    const seed = Buffer.from(user.getSeed()).toString();
    return [
      "-----BEGIN NATS USER JWT-----",
      token,
      "------END NATS USER JWT------",
      "",
      "-----BEGIN USER NKEY SEED-----",
      seed,
      "------END USER NKEY SEED------",
      "",
    ].join("\n");
  }

  let server: NatsServer;
  beforeAll(async () => {
    server = await startNatsServer({
      config: `${JETSTREAM}
        operator: ${jwt(operator, operator, "operator", { type: "operator", version: 2 })}
        system_account: ${system.getPublicKey()}
        resolver: MEMORY
        resolver_preload: {
          ${account.getPublicKey()}: ${accountJwt(account, jetstream)}
          ${plain.getPublicKey()}: ${accountJwt(plain, {})}
          ${system.getPublicKey()}: ${accountJwt(system, {})}
        }`,
    });
    await startNoetl(server, {}, { authenticator: credsAuthenticator(Buffer.from(creds(account))) });
  });
  afterAll(() => server.stop());

  const inputs = (credentials: string): ContractInputs =>
    withDefaults({ connection: { servers: [server.address] }, credentials, timeoutSeconds: 2 });

  it("log in by their content and by their path", async () => {
    const content = creds(account);
    expect(await checkContract(inputs(content))).toMatchObject({ holds: true, report: "", skippedRules: [] });
    expect(await checkContract(inputs(file("checker.creds", content)))).toMatchObject({ holds: true });
  });

  it("that are missing, or none, are named and not quoted", async () => {
    const path = file("other.creds", "something else");
    expect(await problemOf("bad-credentials", inputs(`${dir}/none.creds`))).toBe(
      `credentials file ${dir}/none.creds: no such file`,
    );
    expect(await problemOf("bad-credentials", inputs(path), "something else")).toBe(
      `credentials file ${path}: no user's JWT with its seed in it`,
    );
    expect(await problemOf("bad-credentials", inputs("SECRET\nTEXT"), "SECRET")).toBe(
      "the credentials given: no user's JWT with its seed in it",
    );
  });

  it("that have expired are refused", async () => {
    const content = creds(account, { exp: Math.floor(Date.now() / 1000) - 60 });
    expect(await problemOf("wrong-password", inputs(content), content.split("\n")[5] ?? "")).toContain(
      "does not accept the user of the credentials file",
    );
  });

  it("of an account without JetStream say so", async () => {
    expect(await problemOf("jetstream-off", inputs(creds(plain)))).toContain(
      "JetStream is off for the account of the user of the credentials file",
    );
  });
});
