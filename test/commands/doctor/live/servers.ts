import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { forwardPort } from "../../../../contract/nats/port-forward";
import { LOCATIONS } from "../../../../contract/facts";
import { exitOf } from "../../../../commands/doctor/checklist";
import { diagnose } from "../../../../commands/doctor/diagnosis";
import type { Target } from "../../../../commands/doctor/target";
import { certificate, type Certificate } from "../../../support/certificates";
import { JETSTREAM, startNatsServer } from "../../../support/nats";
import { healthy, NOW } from "../evidence";
import { commandsOf, kubectlOf } from "./shell";
import { Deployment, examine, remedyText, verified } from "./support";

// NATS servers that the stack does not install.

let deployment: Deployment;
const cleanups: (() => unknown)[] = [];
const dir = fs.mkdtempSync(path.join(os.tmpdir(), "doctor-servers-"));
beforeAll(async () => {
  deployment = await Deployment.attach();
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

describe("a stack with deployNats: false", () => {
  /** A loopback port that leads to the deployed NATS: the same server, as one that the stack only knows the address of. */
  async function outside(): Promise<{ port: number; close: () => Promise<void> }> {
    const sockets = new Set<net.Socket>();
    const listener = net.createServer((socket) => {
      sockets.add(socket.on("error", () => socket.destroy()));
      const signal = AbortSignal.timeout(60_000);
      const at = { namespace: LOCATIONS.nats.namespace, pod: LOCATIONS.nats.pod, port: LOCATIONS.nats.port };
      forwardPort(deployment.config, at, { milliseconds: 30_000, signal }).then(
        (stream) => {
          socket.pipe(stream).pipe(socket);
          socket.on("close", () => stream.destroy());
        },
        () => socket.destroy(),
      );
    });
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    const close = async (): Promise<void> => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => listener.close(resolve));
    };
    cleanups.push(close);
    return { port: (listener.address() as net.AddressInfo).port, close };
  }

  it("is in order where the server is; where it is not, no pods of NATS are spoken of", async () => {
    const { port, close } = await outside();
    const natsPassword = String(deployment.content.outputs.natsPassword);
    const target = deployment.changed({
      config: { deployNats: "false", natsHost: "127.0.0.1", natsPort: String(port), natsPassword },
    });
    expect(target.configProblem).toBeUndefined();
    expect(target.namespaces.nats).toBeUndefined();
    expect((await examine(target)).findings).toEqual([]);
    const checked = await verified(target);
    expect({ holds: checked.holds, sections: checked.lines.map(({ section }) => section) }).toMatchObject({
      holds: true,
      sections: expect.not.arrayContaining(["NATS pods"]) as string[],
    });

    await close();
    const { findings } = await examine(target);
    expect(findings.map(({ id }) => id)).toEqual(["refused"]);
    expect(findings[0]?.evidence[0]).toContain(`127.0.0.1:${port} refuses the connection`);
    const remedy = findings[0] && remedyText(findings[0]);
    expect(remedy).toContain("`natsHost` and `natsPort`");
    expect(remedy).not.toContain("kubectl");
    expect(exitOf(await verified(target))).toBe("unknown");
  });
});

describe("TLS", () => {
  const authority = certificate("authority");
  const names = ["127.0.0.1"];
  const file = (name: string, text: string): string => {
    const target = path.join(dir, name);
    fs.writeFileSync(target, text);
    return target;
  };

  /** What the doctor says of NoETL with a server of this certificate, asked with an authority, or without TLS. */
  async function said({ cert, key }: Certificate, ca?: Certificate) {
    const config = `${JETSTREAM}\ntls {cert_file: "${file("cert.pem", cert)}", key_file: "${file("key.pem", key)}"}`;
    const server = await startNatsServer({ config });
    cleanups.push(() => server.stop());
    const target: Target = {
      ...deployment.target,
      namespaces: { noetl: LOCATIONS.noetl.namespace },
      nats: {
        connection: { servers: [server.address], ...(ca ? { tls: { ca: ca.cert } } : {}) },
        user: "noetl",
        password: "any",
        port: server.port,
        ...(ca ? { tls: true } : {}),
      },
    };
    const { findings } = await examine(target);
    const [finding] = findings;
    expect(findings.map(({ severity }) => severity)).toEqual(["cause"]);
    expect(finding?.evidence).toHaveLength(1);
    /** What is found after the server has got another certificate in place of its own, by the signal that is told. */
    const renewed = async (other: Certificate): Promise<string[]> => {
      file("cert.pem", other.cert);
      file("key.pem", other.key);
      await server.reload(config);
      return (await examine(target)).findings.map(({ id }) => id);
    };
    const line = (await verified(target)).lines.find(({ section }) => section === "NATS TLS");
    const { id, title, evidence } = finding ?? {};
    return { id, title, line, evidence: evidence?.[0], remedy: finding && remedyText(finding), renewed };
  }

  it("that has an expired certificate: renew it", async () => {
    const found = await said(certificate("expired", { issuer: authority, names, expired: true }), authority);
    expect(found.title).toBe("The certificate of the NATS server has expired");
    expect(found.evidence).toContain("has expired on");
    expect(found.id).toBe("certificate-ends");
    expect(found.line).toMatchObject({ status: "wrong", found: expect.stringContaining("has ended on") as string });
    expect(found.remedy).toContain("nats-server --signal reload");
    // By what NATS shows then: the password is not its user's.
    const ends = async (days: number) => found.renewed(certificate("renewed", { issuer: authority, names, days }));
    expect(await ends(20)).toEqual(expect.arrayContaining(["certificate-ends"]));
    const after = await ends(365);
    expect(after).not.toContain("certificate-ends");
    expect(after).not.toContain("tls");
  });

  it("of the stack's NATS, a Secret of one's own with a certificate that ends soon: replace it", async () => {
    const name = "own-certificate";
    const namespace = LOCATIONS.nats.namespace;
    const secret = { namespace, body: { metadata: { name }, stringData: { "tls.crt": "the old one" } } };
    await deployment.core.createNamespacedSecret(secret);
    cleanups.push(() => deployment.core.deleteNamespacedSecret({ namespace, name }));
    const renewed = certificate("renewed", { issuer: authority, names, days: 365 });
    const files = { "tls.crt": renewed.cert, "tls.key": renewed.key, "ca.crt": authority.cert };
    for (const [file, text] of Object.entries(files)) {
      fs.writeFileSync(path.join(deployment.dir, file), text);
      cleanups.push(() => fs.rmSync(path.join(deployment.dir, file)));
    }
    const tls = { natsTls: "provided", secret: name, ends: NOW + 20 * 24 * 3_600_000 };
    const [found] = diagnose(healthy({ tls })).findings;
    expect(found).toMatchObject({ id: "certificate-ends", severity: "note" });
    for (const command of commandsOf(found).filter((each) => each.startsWith("kubectl"))) {
      await kubectlOf(deployment, command);
    }
    const { data = {} } = await deployment.core.readNamespacedSecret({ namespace, name });
    const read = Object.entries(data).map(([file, text]) => [file, Buffer.from(text, "base64").toString()]);
    expect(Object.fromEntries(read)).toEqual(files);
  });

  it("that has a certificate for another host name", async () => {
    const found = await said(
      certificate("other", { issuer: authority, names: ["other.example"], days: 365 }),
      authority,
    );
    expect([found.id, found.title]).toEqual(["tls", "The certificate of the NATS server is for another host name"]);
  });

  it("that has a certificate of an authority that is not trusted", async () => {
    const found = await said(certificate("server", { issuer: authority, names, days: 365 }), certificate("stranger"));
    expect(found.id).toBe("tls");
    expect(found.title).toContain("comes from an authority that is not trusted here");
  });

  it("that is demanded, which a stack's connections do not speak", async () => {
    const found = await said(certificate("server", { issuer: authority, names }));
    expect([found.id, found.line]).toEqual(["tls", undefined]);
    expect(found.title).toContain("demands TLS");
    expect(found.remedy).toContain("natsHost");
  });
});
