/** How the parts of a stack connect where NATS has TLS. */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { targetOf } from "../../commands/doctor/target";
import { parseSettings } from "../../config/parse";
import { deploy } from "../../program";
import { certificate } from "../support/certificates";
import { type Declared, recordResources, settled, unwrap } from "../support/mocks";

const { cert } = certificate("authority");
let dir: string;
let file: string;
let declared: Declared[];
beforeAll(async () => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "stack-tls-"));
  file = path.join(dir, "ca.crt");
  fs.writeFileSync(file, cert);
  declared = await recordResources();
});
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

/** What a stack with these settings declares, by name. */
async function stack(config: Record<string, string>): Promise<(name: string) => Record<string, never>> {
  declared.length = 0;
  deploy(parseSettings(config));
  await settled(declared);
  return (name) => unwrap(declared.find((each) => each.name === name)?.inputs) as Record<string, never>;
}

const SERVER = {
  deployNats: "false",
  natsHost: "nats.example.org",
  natsPassword: "a-long.random_Word-42",
  deployGateway: "true",
};

describe("a stack that uses a NATS with TLS", () => {
  it("has everything connect with it, and trust the file's authorities", async () => {
    const of = await stack({ ...SERVER, natsTls: "provided", natsTlsCa: file });
    const url = "tls://noetl:a-long.random_Word-42@nats.example.org:4222";
    expect(of("noetl-release").values).toMatchObject({
      natsCa: cert,
      config: { server: { NATS_URL: url }, worker: { NATS_URL: url } },
    });
    expect(of("gateway-release").values).toMatchObject({ natsCa: cert, env: { natsUrl: url } });
    expect(of("stream-contract").connection).toEqual({ servers: ["nats.example.org:4222"], tls: { ca: cert } });
    const { data } = of("contract-guard-config") as unknown as { data: Record<string, string> };
    expect(JSON.parse(data["contract.json"] ?? "")).toMatchObject({
      contract: { connection: { servers: ["nats.example.org:4222"], tls: { ca: cert } } },
    });
  });

  it("trusts those that everybody knows where no file is set, and speaks none where it is off", async () => {
    const known = await stack({ ...SERVER, natsTls: "provided" });
    expect(known("stream-contract").connection).toEqual({ servers: ["nats.example.org:4222"], tls: {} });
    expect(known("noetl-release").values).not.toHaveProperty("natsCa");
    const off = await stack(SERVER);
    expect(off("stream-contract").connection).toEqual({ servers: ["nats.example.org:4222"] });
    expect(off("noetl-release").values).toMatchObject({
      config: { server: { NATS_URL: expect.stringMatching(/^nats:/) as string } },
    });
  });

  it("is asked so by verify and doctor: by its outputs, and by its settings before its first update", () => {
    const config = { ...SERVER, natsTls: "provided", natsTlsCa: file };
    const connection = { servers: ["nats.example.org:4222"], tls: { ca: cert } };
    expect(targetOf("dev", { config, outputs: {} }).nats.connection).toEqual(connection);
    expect(targetOf("dev", { config: SERVER, outputs: {} }).nats.connection).toEqual({
      servers: ["nats.example.org:4222"],
    });
    // What was deployed counts, not what the next update will do.
    const generated = { natsTls: "generated" };
    const before = targetOf("dev", { config: generated, outputs: { natsUrl: "nats://a:b@nats:4222" } });
    expect(before.nats.connection.tls).toBeUndefined();
    const after = targetOf("dev", { config: {}, outputs: { natsUrl: "tls://a:b@nats:4222", natsCa: cert } });
    expect(after.nats.connection).toMatchObject({ namespace: "nats", tls: { ca: cert } });
  });
});

describe("a stack that installs NATS with TLS", () => {
  it("mounts the Secrets of the certificate, which is for the names of Service and pods", async () => {
    const of = await stack({ natsTls: "generated", natsReplicas: "3" });
    expect(of("nats-certificate")).toMatchObject({
      source: "generated",
      namespace: "nats",
      names: ["nats.nats.svc.cluster.local", "nats", "nats.nats", "nats.nats.svc", "localhost", "127.0.0.1"],
      routeNames: ["nats-0.nats-headless", "nats-1.nats-headless", "nats-2.nats-headless"],
    });
    const mounted = { tls: { enabled: true, secretName: "nats-tls", cert: "tls.crt", key: "tls.key" } };
    expect(of("nats-release").values).toMatchObject({
      config: { nats: mounted, cluster: mounted },
      tlsCA: { enabled: true, secretName: "nats-ca", key: "ca.crt" },
    });
    expect(JSON.stringify(of("nats-routes"))).toContain("tls://route:");
    expect(of("noetl-release").values).toMatchObject({
      config: { worker: { NATS_URL: expect.stringMatching(/^tls:/) as string } },
    });
  });

  it("has a Secret of its own, or one that cert-manager is asked for", async () => {
    const provided = await stack({ natsTls: "provided", natsTlsSecret: "mine" });
    expect(provided("nats-certificate")).toMatchObject({ source: "secret", secretName: "mine", routeNames: [] });
    expect(provided("nats-release").values).toMatchObject({ config: { nats: { tls: { secretName: "mine" } } } });
    const asked = await stack({
      natsTls: "cert-manager",
      natsTlsIssuer: "ClusterIssuer/internal-ca",
      natsReplicas: "3",
    });
    expect(asked("nats-certificate-request")).toMatchObject({
      apiVersion: "cert-manager.io/v1",
      kind: "Certificate",
      metadata: { name: "nats-tls", namespace: "nats" },
      spec: {
        secretName: "nats-tls",
        issuerRef: { kind: "ClusterIssuer", name: "internal-ca", group: "cert-manager.io" },
        dnsNames: expect.arrayContaining(["nats.nats.svc.cluster.local", "nats-2.nats-headless"]) as string[],
        ipAddresses: ["127.0.0.1"],
        usages: expect.arrayContaining(["server auth", "client auth"]) as string[],
      },
    });
    expect(asked("nats-certificate")).toMatchObject({ source: "secret", secretName: "nats-tls" });
  });

  it("is as it was where TLS is off", async () => {
    const of = await stack({});
    expect(of("nats-certificate")).toBeUndefined();
    expect(JSON.stringify(of("nats-release").values)).not.toMatch(/tls/i);
  });
});
