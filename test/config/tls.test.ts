import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { ConfigError, parseSettings } from "../../config/parse";
import { externalTls } from "../../stacks/tls";
import { certificate } from "../support/certificates";

const AUTHORITY = certificate("authority");
const SERVER = { deployNats: "false", natsHost: "nats.example", natsPassword: "a-long.random_Word-42" };

/** What is said of a configuration; empty where it can be used. */
function problems(config: Record<string, string>): readonly string[] {
  try {
    parseSettings(config);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

describe("TLS of NATS", () => {
  it.each<[string, Record<string, string>]>([
    ["off", {}],
    ["generated, for all lines of Python", { natsTls: "generated", noetlImage: "ghcr.io/noetl/noetl:v4.26.0" }],
    ["generated, for the gateway", { natsTls: "generated", deployGateway: "true" }],
    ["of a Secret", { natsTls: "provided", natsTlsSecret: "nats-server-tls" }],
    ["of cert-manager", { natsTls: "cert-manager", natsTlsIssuer: "ClusterIssuer/internal-ca" }],
    ["of a server elsewhere, by a public authority", { ...SERVER, natsTls: "provided" }],
    ["of a server elsewhere, by one of its own", { ...SERVER, natsTls: "provided", natsTlsCa: "./nats-ca.crt" }],
    [
      "with any chart where NoETL is not deployed",
      { natsTls: "generated", deployNoetl: "false", noetlChart: "./mine" },
    ],
  ])("%s is accepted", (_what, config) => expect(problems(config)).toEqual([]));

  it.each<[Record<string, string>, string]>([
    [
      { natsTls: "on" },
      'natsTls: "on" is none of off, generated, provided, cert-manager; allowed: off, generated, provided or cert-manager; for example generated',
    ],
    [
      { natsTls: "provided" },
      "natsTlsSecret: must be set because natsTls is provided; allowed: the name of a Secret; for example nats-server-tls",
    ],
    [
      { natsTls: "cert-manager" },
      "natsTlsIssuer: must be set because natsTls is cert-manager; allowed: Issuer/NAME or ClusterIssuer/NAME; for example ClusterIssuer/internal-ca",
    ],
    [
      { natsTls: "cert-manager", natsTlsIssuer: "internal-ca" },
      'natsTlsIssuer: "internal-ca" is not an issuer of cert-manager; allowed: Issuer/NAME or ClusterIssuer/NAME; for example ClusterIssuer/internal-ca',
    ],
    [
      { natsTlsSecret: "mine" },
      "natsTlsSecret: is of no use to a stack that installs NATS with natsTls off; allowed: unset it, or natsTls provided with deployNats true; for example pulumi config rm natsTlsSecret",
    ],
    [
      { natsTls: "generated", natsTlsCa: "./nats-ca.crt" },
      "natsTlsCa: is of no use to a stack that installs NATS with natsTls generated; allowed: unset it, or natsTls provided with deployNats false; for example pulumi config rm natsTlsCa",
    ],
    [
      { ...SERVER, natsTls: "generated" },
      'natsTls: "generated" makes a certificate for the NATS that the stack installs, and deployNats is false; allowed: off, or provided where the server at natsHost demands TLS; for example provided',
    ],
    [
      { natsTls: "generated", noetlLine: "rust" },
      'natsTls: "generated" cannot be used with NoETL\'s Rust server and workers (line rust): whether their client takes an authority that the image does not know was not tried; allowed: off, or a noetlImage of the Python lines 2.8, 2.10 and 4.7; for example off',
    ],
    [
      { natsTls: "generated", noetlChart: "./upstream" },
      'noetlChart: "./upstream" is a chart that does not hand its pods the authorities of NATS, which natsTls generated needs; allowed: ./charts/noetl, or natsTls off; for example ./charts/noetl',
    ],
    [
      { natsTls: "generated", deployGateway: "true", gatewayChart: "./upstream" },
      'gatewayChart: "./upstream" is a chart that does not hand its pods the authorities of NATS, which natsTls generated needs; allowed: ./charts/gateway, or natsTls off; for example ./charts/gateway',
    ],
    [
      { natsTls: "generated", deployGateway: "true", gatewayMaskLogs: "false" },
      "gatewayMaskLogs: false starts the gateway without the script that has it trust the authorities of NATS, which natsTls generated needs; allowed: true, or natsTls off; for example true",
    ],
    [
      { ...SERVER, natsTls: "provided", natsTlsCa: AUTHORITY.cert },
      "natsTlsCa: is the text itself, and not the path of a file; allowed: the path of a file with certificates in PEM; for example ./nats-ca.crt",
    ],
  ])("%j is refused, with what is allowed", (config, says) => expect(problems(config)).toEqual([says]));

  it("never repeats a private key that was given as an authority", () => {
    const [said = ""] = problems({ ...SERVER, natsTls: "provided", natsTlsCa: AUTHORITY.key });
    expect(said).toMatch(/^natsTlsCa: is the text itself, and not the path of a file; /);
    expect(said).not.toContain("PRIVATE");
  });

  it("takes authorities from a file, and says what keeps them from being used, without a word of it", () => {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), "authorities-"));
    const file = (name: string, text: string): string => {
      fs.writeFileSync(path.join(dir, name), text);
      return path.join(dir, name);
    };
    const of = (natsTlsCa: string) => () => externalTls(parseSettings({ ...SERVER, natsTls: "provided", natsTlsCa }));
    try {
      expect(of(file("ca.crt", AUTHORITY.cert))()).toEqual({ tls: true, ca: AUTHORITY.cert });
      const end = "; allowed: the path of a file with certificates in PEM; for example ./nats-ca.crt";
      expect(of(path.join(dir, "none"))).toThrow(`natsTlsCa: "${dir}/none" is no file that is there${end}`);
      expect(of(dir)).toThrow(`natsTlsCa: "${dir}" is a file that cannot be read${end}`);
      expect(of(file("text", "x"))).toThrow(
        `natsTlsCa: "${dir}/text" is a file that is not a certificate in PEM${end}`,
      );
      expect(of(file("key", AUTHORITY.cert + AUTHORITY.key))).toThrow(
        `natsTlsCa: "${dir}/key" is a file that is text with a private key in it, which does not belong there${end}`,
      );
    } finally {
      fs.rmSync(dir, { recursive: true, force: true });
    }
  });
});
