/** TLS of NATS: settings that contradict each other, and parts of a stack that could not speak it. */
import * as fs from "node:fs";
import { authorities } from "../contract/nats/certificate";
import { stackLine } from "./lines";
import { SETTINGS, type SettingKey, type Settings } from "./schema";

/** Whether clients of the stack's NATS speak TLS. */
export const hasNatsTls = ({ natsTls }: Pick<Settings, "natsTls">): boolean => natsTls !== "off";

/** An issuer of cert-manager, from its setting. */
export function issuerOf(text: string): { kind: "Issuer" | "ClusterIssuer"; name: string } {
  const [kind = "", name = ""] = text.split("/");
  return { kind: kind === "Issuer" ? "Issuer" : "ClusterIssuer", name };
}

/** The authorities in a file, PEM, or what keeps them from being used, in words that follow its name. */
export function readAuthorities(file: string): { readonly ca: string } | { readonly problem: string } {
  let ca: string;
  try {
    ca = fs.readFileSync(file, "utf8");
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    return { problem: `is ${missing ? "no file that is there" : "a file that cannot be read"}` };
  }
  const problem = authorities(ca);
  return problem === undefined ? { ca } : { problem: `is a file that is ${problem}` };
}

export function tlsConflicts(settings: Settings): string[] {
  return [...sourceConflicts(settings), ...idle(settings), ...(hasNatsTls(settings) ? clientConflicts(settings) : [])];
}

/** What a source of the certificate needs, and where it cannot be used. */
function sourceConflicts({ natsTls, natsTlsSecret, natsTlsIssuer, deployNats }: Settings): string[] {
  if (!deployNats) {
    return natsTls === "generated" || natsTls === "cert-manager"
      ? [
          `natsTls: "${natsTls}" makes a certificate for the NATS that the stack installs, and deployNats is false; allowed: off, or ` +
            "provided where the server at natsHost demands TLS; for example provided",
        ]
      : [];
  }
  const needed = [
    ["provided", "natsTlsSecret", natsTlsSecret],
    ["cert-manager", "natsTlsIssuer", natsTlsIssuer],
  ] as const;
  return needed.flatMap(([source, key, value]) =>
    natsTls === source && value === undefined
      ? [
          `${key}: must be set because natsTls is ${source}; allowed: ${SETTINGS[key].allowed}; for example ${SETTINGS[key].example}`,
        ]
      : [],
  );
}

/** Settings that nothing would read. */
function idle({ natsTls, natsTlsSecret, natsTlsIssuer, natsTlsCa, deployNats }: Settings): string[] {
  const of = deployNats ? "installs NATS" : "uses the server at natsHost";
  const given: readonly (readonly [SettingKey, string | undefined, boolean, string])[] = [
    ["natsTlsSecret", natsTlsSecret, deployNats && natsTls === "provided", "natsTls provided with deployNats true"],
    [
      "natsTlsIssuer",
      natsTlsIssuer,
      deployNats && natsTls === "cert-manager",
      "natsTls cert-manager with deployNats true",
    ],
    ["natsTlsCa", natsTlsCa, !deployNats && natsTls === "provided", "natsTls provided with deployNats false"],
  ];
  return given.flatMap(([key, value, isRead, where]) =>
    value === undefined || isRead
      ? []
      : [
          `${key}: is of no use to a stack that ${of} with natsTls ${natsTls}; allowed: unset it, or ${where}; for example pulumi config rm ${key}`,
        ],
  );
}

/** Clients that could not be given the authorities. */
function clientConflicts(settings: Settings): string[] {
  const { deployNoetl, deployGateway, noetlChart, gatewayChart, gatewayMaskLogs, noetlLine, noetlImage } = settings;
  const { line } = stackLine({ noetlLine, noetlImage });
  const own = (key: "noetlChart" | "gatewayChart", value: string): string[] =>
    value === SETTINGS[key].default
      ? []
      : [
          `${key}: "${value}" is a chart that does not hand its pods the authorities of NATS, which natsTls ${settings.natsTls} needs; allowed: ` +
            `${SETTINGS[key].default}, or natsTls off; for example ${SETTINGS[key].default}`,
        ];
  return [
    ...(deployNoetl ? own("noetlChart", noetlChart) : []),
    ...(deployNoetl && line === "rust"
      ? [
          `natsTls: "${settings.natsTls}" cannot be used with NoETL's Rust server and workers (line rust): whether their client takes an ` +
            "authority that the image does not know was not tried; allowed: off, or a noetlImage of the Python lines 2.8, 2.10 and 4.7; for example off",
        ]
      : []),
    ...(deployGateway ? own("gatewayChart", gatewayChart) : []),
    ...(deployGateway && gatewayMaskLogs === false
      ? [
          `gatewayMaskLogs: false starts the gateway without the script that has it trust the authorities of NATS, which natsTls ` +
            `${settings.natsTls} needs; allowed: true, or natsTls off; for example true`,
        ]
      : []),
  ];
}
