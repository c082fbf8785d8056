import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { idleWarnings } from "../../config/idle";
import { isChanged, parseSettings, SETTING_KEYS, shownDefault } from "../../config/parse";
import { PROJECT, projectRoot } from "../../contract/project";
import { FRESH, INGRESS, ONTO_EXISTING } from "../support/gke/configurations";

type Raw = Readonly<Record<string, string>>;

const said = (raw: Raw): string[] => idleWarnings(parseSettings(raw), (key) => isChanged(key, raw));

function stackFile(name: string): Raw {
  const text = fs.readFileSync(path.join(projectRoot(), `Pulumi.${name}.yaml`), "utf8");
  const { config } = parse(text) as { config: Record<string, string> };
  return Object.fromEntries(Object.entries(config).map(([key, value]) => [key.replace(`${PROJECT}:`, ""), value]));
}

const PASSWORD = "k3Wq-9zLr_82Xv";
const NATS_ELSEWHERE = { deployNats: "false", natsHost: "nats.example.org", natsPassword: PASSWORD };
const ORDERS = { contractMode: "ensure", natsStreams: '[{"name":"ORDERS","subjects":["orders.>"]}]' };

describe("a setting that is read", () => {
  it.each<[string, Raw]>([
    ["nothing", {}],
    [
      "what the engine hands over where nothing is set",
      Object.fromEntries(SETTING_KEYS.map((key) => [key, shownDefault(key)])),
    ],
    ["Pulumi.kind.yaml", stackFile("kind")],
    [
      "Pulumi.kind.yaml without NoETL and its database",
      { ...stackFile("kind"), deployNoetl: "false", deployPostgres: "false", ...ORDERS },
    ],
    ["Pulumi.gke.yaml", stackFile("gke")],
    ["a fresh stack on GKE", FRESH],
    ["one with an ingress", INGRESS],
    ["one onto a cluster that is there", ONTO_EXISTING],
    ["NATS for a NoETL elsewhere (docs/lines.md)", { deployNoetl: "false", deployPostgres: "false", ...ORDERS }],
    ["a NATS elsewhere", { ...NATS_ELSEWHERE, natsUser: "app", natsPort: "4333", natsTls: "provided" }],
    ["what is switched off with its part", { deployNoetl: "false", contractGuard: "off", playbookJobs: "off" }],
  ])("is not spoken of: %s", (_, raw) => expect(said(raw)).toEqual([]));
});

describe("a setting that nothing reads", () => {
  it.each<[string, Raw, string[]]>([
    [
      "of a gateway that is not there",
      { gatewayReplicas: "2", gatewayNodePort: "30090", corsAllowedDomains: "acme.dev" },
      [
        "gatewayReplicas, corsAllowedDomains: no effect while deployGateway is false; for example pulumi config rm gatewayReplicas",
      ],
    ],
    [
      "of NATS and of Postgres elsewhere, but for ports that a cluster maps",
      {
        ...NATS_ELSEWHERE,
        natsBox: "true",
        natsNodePort: "30422",
        deployPostgres: "false",
        postgresHost: "10.1.2.3",
        postgresPassword: PASSWORD,
        postgresStorageSize: "20Gi",
      },
      [
        "natsBox: no effect while deployNats is false; for example pulumi config rm natsBox",
        "postgresStorageSize: no effect while deployPostgres is false; for example pulumi config rm postgresStorageSize",
      ],
    ],
    [
      "without NoETL, each key once",
      {
        deployNoetl: "false",
        deployPostgres: "false",
        postgresNodePort: "30432",
        workerReplicas: "3",
        contractStrict: "true",
      },
      [
        "workerReplicas: no effect while deployNoetl is false; for example pulumi config rm workerReplicas",
        "contractStrict: no effect while deployNoetl is false and nothing is declared (docs/declared.md); for example pulumi config rm contractStrict",
      ],
    ],
    [
      "of the guard, and risks where none is refused",
      { contractGuard: "off", contractGuardImage: "node:22", acceptedRisks: "weak-passwords" },
      [
        "contractGuardImage: no effect while contractGuard is off; for example pulumi config rm contractGuardImage",
        "acceptedRisks: no effect while platform is kubernetes, where no risk is refused; for example pulumi config rm acceptedRisks",
      ],
    ],
    [
      "of an entry that a stack on GKE does not have",
      {
        ...ONTO_EXISTING,
        exposure: "internal",
        deployGateway: "false",
        acceptedRisks: "",
        corsIncludeLocalhost: "false",
        gatewayImage: "",
        tlsProfile: "restricted",
        gatewayTimeoutSeconds: "60",
      },
      [
        "gatewayTimeoutSeconds: no effect while exposure is internal; for example pulumi config rm gatewayTimeoutSeconds",
        "tlsProfile: no effect while exposure is internal; for example pulumi config rm tlsProfile",
      ],
    ],
  ])("is named with the reason: %s", (_, raw, warnings) => expect(said(raw)).toEqual(warnings));
});
