/** Accounts whose limits are in tiers, one for each number of replicas, as accounts with JWTs may have them. */
import { jwtAuthenticator, nkeys as library, type ConnectionOptions, type JetStreamManager } from "nats";
import { afterEach, describe, expect, it } from "vitest";
import { checkContract } from "../../contract";
import { addConsumer, addStream, inputsFor, startNatsServer, withManager, type NatsServer } from "../support/nats";

interface KeyPair {
  getPublicKey(): string;
  getSeed(): Uint8Array;
  sign(text: Uint8Array): Uint8Array;
}

/** The client's types for it lead nowhere. */
const nkeys = library as unknown as Record<"createOperator" | "createAccount" | "createUser", () => KeyPair>;

const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

function jwt(issuer: KeyPair, subject: KeyPair, nats: object): string {
  const claims = {
    jti: "test",
    iat: Math.floor(Date.now() / 1000),
    iss: issuer.getPublicKey(),
    sub: subject.getPublicKey(),
  };
  const text = `${encoded({ typ: "JWT", alg: "ed25519-nkey" })}.${encoded({ ...claims, nats: { version: 2, ...nats } })}`;
  return `${text}.${Buffer.from(issuer.sign(new TextEncoder().encode(text))).toString("base64url")}`;
}

const UNLIMITED = { subs: -1, data: -1, payload: -1 };

/** A server with one account, whose limits for a stream without copies are these. */
async function startTiered(
  tier: object,
): Promise<{ server: NatsServer; credentials: string; options: ConnectionOptions }> {
  const [operator, system, account, user] = [
    nkeys.createOperator(),
    nkeys.createAccount(),
    nkeys.createAccount(),
    nkeys.createUser(),
  ];
  const limits = { ...UNLIMITED, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };
  const R1 = {
    mem_storage: 1_000_000,
    disk_storage: 1_000_000,
    streams: 10,
    consumer: 10,
    max_ack_pending: 1000,
    ...tier,
  };
  const token = jwt(account, user, { type: "user", pub: {}, sub: {}, ...UNLIMITED });
  const server = await startNatsServer({
    config: `
      jetstream {store_dir: "DIR/jetstream", max_memory_store: 64MB, max_file_store: 64MB}
      operator: ${jwt(operator, operator, { type: "operator" })}
      system_account: ${system.getPublicKey()}
      resolver: MEMORY
      resolver_preload: {
        ${system.getPublicKey()}: ${jwt(operator, system, { type: "account", limits })}
        ${account.getPublicKey()}: ${jwt(operator, account, { type: "account", limits: { ...limits, tiered_limits: { R1 } } })}
      }`,
  });
  const seed = new TextDecoder().decode(user.getSeed());
  const part = (name: string, text: string): string => `-----BEGIN ${name}-----\n${text}\n------END ${name}------\n`;
  return {
    server,
    credentials: part("NATS USER JWT", token) + part("USER NKEY SEED", seed),
    options: { authenticator: jwtAuthenticator(token, user.getSeed()) },
  };
}

describe("limits in tiers", () => {
  let server: NatsServer | undefined;
  afterEach(() => server?.stop());

  const broken = async (tier: object, arrange: (manager: JetStreamManager) => Promise<unknown>): Promise<object> => {
    const { credentials, options, ...started } = await startTiered(tier);
    server = started.server;
    await withManager(server, arrange, options);
    const { checks } = await checkContract(inputsFor(server, { credentials }), false);
    return Object.fromEntries(checks.flatMap(({ id, ok, found }) => (ok ? [] : [[id, found]])));
  };

  it("with room hold", async () => {
    const arrange = async (manager: JetStreamManager) => {
      await addStream(manager);
      await addConsumer(manager);
    };
    expect(await broken({}, arrange)).toEqual({});
  });

  it("of messages in flight are seen while there is not even a stream", async () => {
    expect(await broken({ max_ack_pending: 10 }, () => Promise.resolve())).toEqual({
      "stream-exists": "no such stream",
      "consumer-creatable": "consumer max ack pending exceeds system limit of 10 (10121)",
    });
  });

  it("of consumers are seen where another has taken the place", async () => {
    const arrange = async (manager: JetStreamManager) => {
      await addStream(manager);
      await addConsumer(manager, { durable_name: "other" });
    };
    expect(await broken({ consumer: 1 }, arrange)).toEqual({
      "stream-max-consumers": "1 of 1 consumers, all others",
      "consumer-exists": "no such consumer",
    });
  });
});
