/** TLS with the certificates that the program makes, against real servers. */
import * as fs from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { connect } from "nats";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { checkContract, withDefaults, type ContractInputs } from "../../../contract";
import { Deadline } from "../../../contract/deadline";
import { certificateBehind, TLS_FILES } from "../../../contract/nats/certificate";
import { dialServer } from "../../../contract/nats/transport";
import {
  create,
  diff,
  generated,
  read,
  update,
  type CertificateInputs,
  type CertificateState,
} from "../../../components/nats-jetstream/tls/provider";
import { DAY, LIVES } from "../../../components/nats-jetstream/tls/renewal";
import { GENERATED } from "./certificate";
import { routeSecret } from "../../../components/nats-jetstream/values";
import { freePorts } from "../../../embedded/cluster/ports";
import { certificate } from "../../support/certificates";
import {
  JETSTREAM,
  onceElected,
  rejection,
  startNatsServer,
  startNoetl,
  until,
  type NatsServer,
} from "../../support/nats";

const NOW = new Date();
const later = (days: number): Date => new Date(NOW.getTime() + days * DAY);

/** Made a while ago: what is renewed now begins later. Keys are costly, so that all tests have these. */
const FIRST = generated(GENERATED, undefined, later(-250));
const SECOND = generated(GENERATED, FIRST.state.stored, NOW);

let folder: string;
beforeAll(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), "nats-tls-"))));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

const servers: NatsServer[] = [];
const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
  for (const server of servers.splice(0)) await server.stop();
});

/** The files of a Secret as a pod has them, and a `tls` block with them. */
function mounted(files: Readonly<Record<string, string>> = {}): string {
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(folder, name), text);
  const { certificate, key, authority } = TLS_FILES;
  const at = (name: string): string => JSON.stringify(path.join(folder, name));
  return `tls {cert_file: ${at(certificate)}, key_file: ${at(key)}, ca_file: ${at(authority)}}`;
}

async function started(config: string, env: Record<string, string> = {}): Promise<NatsServer> {
  const server = await startNatsServer({ config, env });
  servers.push(server);
  return server;
}

const inputs = ({ address }: NatsServer, ca: string): ContractInputs =>
  withDefaults({ connection: { servers: [address], tls: { ca } }, timeoutSeconds: 5 });

/** When the certificate that a server shows ends. */
async function shownEnd({ address }: NatsServer): Promise<number | undefined> {
  const { stream } = await dialServer(address, new Deadline(5000));
  return (await certificateBehind(stream, { milliseconds: 5000 }))?.to.getTime();
}

describe("a certificate that the program made", () => {
  it("is read again when it was renewed, without a restart and without a connection lost", async () => {
    const [first, second] = [FIRST, SECOND];
    const server = await started(`${JETSTREAM}\n${mounted(first.files)}`);
    await startNoetl(server, {}, { tls: { ca: first.state.ca } });
    const held = await connect({ servers: server.address, tls: { ca: first.state.ca }, reconnect: false });
    cleanups.push(() => held.close());
    expect(await shownEnd(server)).toBe(later(-250 + LIVES.certificate).setMilliseconds(0));
    expect(await checkContract(inputs(server, first.state.ca))).toMatchObject({ holds: true });
    const { pid } = server;
    expect(second.state.ca).toBe(first.state.ca);
    // What the reloader does when the kubelet has changed the files.
    await server.reload(`${JETSTREAM}\n${mounted(second.files)}`);
    expect(await shownEnd(server)).toBe(later(LIVES.certificate).setMilliseconds(0));
    expect(server.pid).toBe(pid);
    await held.flush();
    expect(held.isClosed()).toBe(false);
    expect(await checkContract(inputs(server, first.state.ca))).toMatchObject({ holds: true });
    expect((await rejection(checkContract(inputs(server, certificate("stranger").cert)))).message).toContain(
      "is from an authority that is not trusted",
    );
  });

  it("is what three servers show one another, and one without is not let in", async () => {
    const { files, state } = SECOND;
    const tls = mounted(files);
    const ports = await freePorts(5);
    const [monitor = 0, ...routes] = ports;
    const keys = routeSecret("s3cretPassword", 3, true);
    expect(keys["routes.conf"]).toContain("tls://route:s3cretPassword@nats-0.nats-headless:6222");
    // The hosts of the pods, which the certificate is for as well as for this address.
    const list = (keys["routes.conf"] ?? "").replace(
      /@nats-(\d)\.nats-headless:6222/g,
      (_, index: string) => `@127.0.0.1:${routes[Number(index)]}`,
    );
    const start = (index: number, block: string) =>
      started(`server_name: nats-${index}${index === 0 ? `, http: "127.0.0.1:${monitor}"` : ""}
        jetstream: {store_dir: "DIR/jetstream", max_memory_store: 64MB, max_file_store: 64MB}
        ${tls}
        cluster { name: nats, listen: "127.0.0.1:${routes[index]}", routes: ${list}
          authorization {user: route, password: ${keys["password.conf"]}}
          ${block} }`);
    await start(3, "");
    const [first] = await Promise.all([0, 1, 2].map((index) => start(index, tls)));
    if (!first) throw new Error("no server");
    const joined = async (): Promise<string[]> => {
      const { routes: found } = (await (await fetch(`http://127.0.0.1:${monitor}/routez`)).json()) as {
        routes: { remote_name: string }[];
      };
      return [...new Set(found.map(({ remote_name: name }) => name))].sort();
    };
    await until("the routes of the other two", async () => ((await joined()).length >= 2 ? true : undefined));
    await onceElected("stream and consumer", () => startNoetl(first, {}, { tls: { ca: state.ca } }));
    expect(await joined()).toEqual(["nats-1", "nats-2"]);
    const patient = { ...inputs(first, state.ca), timeoutSeconds: 60 };
    expect(await checkContract(patient)).toMatchObject({ holds: true });
  }, 180_000);
});

/** An API server that keeps Secrets. */
async function cluster() {
  const secrets: Record<string, Record<string, string>> = {};
  const decoded = (data: Record<string, string>) =>
    Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, "base64").toString()]));
  const encoded = (data: Record<string, string>) =>
    Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString("base64")]));
  const server = http.createServer((request, response) => {
    const name = /\/secrets\/([^?]+)/.exec(request.url ?? "")?.[1] ?? "";
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      if (request.method === "PATCH")
        secrets[name] = decoded((JSON.parse(body) as { data: Record<string, string> }).data);
      const found = secrets[name];
      response.writeHead(found ? 200 : 404).end(JSON.stringify(found ? { data: encoded(found) } : {}));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  const kubeconfig = JSON.stringify({
    "current-context": "c",
    clusters: [{ name: "c", cluster: { server: `http://127.0.0.1:${(server.address() as AddressInfo).port}` } }],
    users: [{ name: "u", user: { token: "t" } }],
    contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
  });
  return { secrets, kubeconfig };
}

describe("the resource of the certificate", () => {
  it("writes certificate and authorities, keeps them, renews them, and writes again what somebody changed", async () => {
    const { secrets, kubeconfig } = await cluster();
    const news = { ...GENERATED, kubeconfig };
    const { outs, id } = await create(news, NOW);
    const state = outs as CertificateState;
    expect(id).toBe("nats/nats-tls");
    expect(Object.keys(secrets["nats-tls"] ?? {}).sort()).toEqual(["ca.crt", "tls.crt", "tls.key"]);
    // Where nats-box looks there is no key.
    expect(secrets["nats-ca"]).toEqual({ "ca.crt": state.ca });
    expect(await diff(state, news, NOW)).toEqual({ changes: false });
    expect(await diff(state, news, later(LIVES.certificate - LIVES.certificateLeft + 1))).toEqual({ changes: true });
    const { outs: renewed = state } = await update(state, news, later(200));
    expect(secrets["nats-tls"]?.["tls.crt"]).toBe(renewed.stored?.certificate.cert);
    expect(renewed.stored?.certificate.cert).not.toBe(state.stored?.certificate.cert);
    expect(renewed.ca).toBe(state.ca);
    // Another name is a new certificate of the same authority.
    const { outs: wider = renewed } = await update(
      renewed,
      { ...news, names: [...news.names, "nats.example"] },
      later(200),
    );
    expect(wider.stored?.certificate.names).toContain("nats.example");
    expect(wider.ca).toBe(state.ca);
    secrets["nats-tls"] = { ...secrets["nats-tls"], "tls.crt": "by hand" };
    expect(await diff(wider, { ...news, names: wider.names }, later(200))).toEqual({ changes: true });
    const refreshed = await read(id, wider);
    expect(refreshed.props).toMatchObject({ drift: "Secret nats-tls holds another certificate" });
    await update(refreshed.props as object, { ...news, names: wider.names }, later(200));
    expect(secrets["nats-tls"]?.["tls.crt"]).toBe(wider.stored?.certificate.cert);
  });

  it("takes the Secret of somebody else, follows it, and says what is wrong with one that clients could not use", async () => {
    const { secrets, kubeconfig } = await cluster();
    const news: CertificateInputs = {
      ...GENERATED,
      source: "secret",
      secretName: "mine",
      routeNames: [],
      kubeconfig,
      context: "c",
    };
    const missing = await rejection(create(news, NOW));
    expect(missing.message).toBe(
      "waited 1 s for Secret nats/mine with the certificate of NATS (natsTlsSecret). Make it, for example kubectl --context c -n nats create secret " +
        "generic mine --from-file=tls.crt --from-file=tls.key --from-file=ca.crt, and run the update again: it goes on from here",
    );
    const first = SECOND;
    secrets.mine = { ...first.files };
    const { outs } = await create(news, NOW);
    const state = outs as CertificateState;
    expect(state).toMatchObject({
      ca: first.state.ca,
      ends: new Date(Date.parse(first.state.ends)).toISOString().replace(/\.\d+Z/, ".000Z"),
    });
    expect(JSON.stringify(state)).not.toContain("PRIVATE KEY");
    expect(secrets.mine).toEqual(first.files);
    expect(await diff(state, news, NOW)).toEqual({ changes: false });
    const second = generated(GENERATED, undefined, NOW);
    secrets.mine = { ...second.files };
    expect(await diff(state, news, NOW)).toEqual({ changes: true });
    expect(((await update(state, news, NOW)).outs as CertificateState).ca).toBe(second.state.ca);
    expect(secrets["nats-ca"]).toEqual({ "ca.crt": second.state.ca });
    secrets.mine = { ...second.files, "ca.crt": first.state.ca };
    expect((await rejection(update(state, news, later(400)))).message).toBe(
      `the Secret nats/mine has a certificate that has expired on ${later(365).toISOString().slice(0, 10)}; it has a certificate that ` +
        "none of the authorities in its ca.crt has signed",
    );
  });
});
