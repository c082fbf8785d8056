import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { forwardPort } from "../../../../contract/nats/port-forward";
import { LOCATIONS } from "../../../../contract/facts";
import { exitOf } from "../../../../commands/doctor/checklist";
import type { Target } from "../../../../commands/doctor/target";
import { certificate, type Certificate } from "../../../support/certificates";
import { JETSTREAM, startNatsServer } from "../../../support/nats";
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
      const signal = AbortSignal.timeout(10_000);
      const at = { namespace: LOCATIONS.nats.namespace, pod: LOCATIONS.nats.pod, port: LOCATIONS.nats.port };
      forwardPort(deployment.config, at, { milliseconds: 5_000, signal }).then(
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
      },
    };
    const { findings } = await examine(target);
    const [finding] = findings;
    expect(findings.map(({ id, severity }) => [id, severity])).toEqual([["tls", "cause"]]);
    expect(finding?.evidence).toHaveLength(1);
    /** What is found after the server has got another certificate in place of its own, by the signal that is told. */
    const renewed = async (other: Certificate): Promise<string[]> => {
      file("cert.pem", other.cert);
      file("key.pem", other.key);
      await server.reload(config);
      return (await examine(target)).findings.map(({ id }) => id);
    };
    return { title: finding?.title, evidence: finding?.evidence[0], remedy: finding && remedyText(finding), renewed };
  }

  it("that has an expired certificate: renew it", async () => {
    const found = await said(certificate("expired", { issuer: authority, names, expired: true }), authority);
    expect(found.title).toBe("The certificate of the NATS server has expired");
    expect(found.evidence).toContain("has expired on");
    expect(found.remedy).toContain("nats-server --signal reload");
    expect(await found.renewed(certificate("renewed", { issuer: authority, names }))).not.toContain("tls");
  });

  it("that has a certificate for another host name", async () => {
    const found = await said(certificate("other", { issuer: authority, names: ["other.example"] }), authority);
    expect(found.title).toBe("The certificate of the NATS server is for another host name");
  });

  it("that has a certificate of an authority that is not trusted", async () => {
    const found = await said(certificate("server", { issuer: authority, names }), certificate("stranger"));
    expect(found.title).toContain("comes from an authority that is not trusted here");
  });

  it("that is demanded, which a stack's connections do not speak", async () => {
    const found = await said(certificate("server", { issuer: authority, names }));
    expect(found.title).toContain("demands TLS");
    expect(found.remedy).toContain("natsHost");
  });
});
