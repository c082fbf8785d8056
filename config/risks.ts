/**
 * What a stack may do and hardly ever means to: refused on GKE, where the internet or a company's network is around it, unless
 * `acceptedRisks` says that it is known. What is known is said again at every update.
 */
import { servicePlace } from "../contract/service-host";
import { declaredOf } from "./declared";
import { SHORTEST_PASSWORD, weakPassword } from "./passwords";
import { NODE_PORT_KEYS, type Risk, type SettingKey, type Settings } from "./schema";
import { isLoopback } from "./validate";

/** A risk that a setting takes. */
interface Taken {
  readonly risk: Risk;
  readonly key: SettingKey;
  /** What follows from it, without a full stop; no value of a secret setting. */
  readonly why: string;
  /** What to set instead, a value or more, in words that follow "allowed:". */
  readonly instead: string;
}

const PASSWORDS = [
  ["natsPassword", "natsUser"],
  ["postgresPassword", "postgresUser"],
  ["noetlPassword", "noetlDatabaseUser"],
] as const;

const weakPasswords = (settings: Settings): Taken[] =>
  PASSWORDS.flatMap(([key, user]): Taken[] => {
    const password = settings[key];
    const weakness = password === undefined ? undefined : weakPassword(password, settings[user]);
    return weakness === undefined
      ? []
      : [
          {
            risk: "weak-passwords",
            key,
            why: `is ${weakness}, and whoever reaches the port can guess it`,
            instead: `${SHORTEST_PASSWORD} characters or more that nobody knows, or unset where the part is installed, which generates it`,
          },
        ];
  });

/** What the gateway's log tells where the chart does not mask it. */
const loggedPasswords = ({ deployGateway, gatewayMaskLogs }: Settings): Taken[] =>
  deployGateway && !gatewayMaskLogs
    ? [
        {
          risk: "logged-passwords",
          key: "gatewayMaskLogs",
          why: "false has the gateway write NATS_URL with its password into its log at every start, for whoever reads logs",
          instead: "true, with an image that has a shell (docs/security.md)",
        },
      ]
    : [];

/** Where charts come from: a repository, or a chart by its own URL. */
const CHARTS = [
  ...(["natsChartRepository", "noetlChartRepository", "gatewayChartRepository"] as const),
  ...(["natsChart", "noetlChart", "gatewayChart"] as const),
];

const isPlain = (url: string): boolean => /^http:/i.test(url);
/** Whether a URL leads to the machine of whoever opens it, with nobody on the way. */
const isOwnMachine = (url: string): boolean => isLoopback(new URL(url).hostname);

/** Pages over plain HTTP that may call the gateway with the login of whoever looks at them. */
function plainOrigins({
  deployGateway,
  corsAllowedOrigins,
  corsAllowedDomains,
  corsIncludeHttp,
  corsIncludeLocalhost,
}: Settings): Taken[] {
  // That pages of a user's own machine are meant is said by a setting of its own.
  const plain = corsAllowedOrigins.filter((each) => isPlain(each) && !(corsIncludeLocalhost && isOwnMachine(each)));
  const byDomain = corsIncludeHttp ? corsAllowedDomains.map((domain) => `http://${domain}`) : [];
  const given = plain.filter((each) => !byDomain.includes(each));
  const why = "pages over plain HTTP call the gateway with their user's login, and anybody on the way can be the page";
  const taken = (key: SettingKey, value: string): Taken => ({
    risk: "http-origins",
    key,
    why: `${value} lets ${why}`,
    instead: "https:// origins; pages of a developer's machine by corsIncludeLocalhost",
  });
  if (!deployGateway) return [];
  return [
    ...(given.length > 0 ? [taken("corsAllowedOrigins", given.join(","))] : []),
    ...(given.length < plain.length ? [taken("corsIncludeHttp", "true")] : []),
  ];
}

/** A NATS elsewhere that clients talk to in clear; one in the same cluster is as near as the stack's own. */
function plainNats(settings: Settings): Taken[] {
  const { deployNats, natsTls, natsHost, deployNoetl, deployGateway } = settings;
  const isUsed = deployNoetl || deployGateway || declaredOf(settings) !== undefined;
  if (deployNats || natsTls !== "off" || natsHost === undefined || !isUsed) return [];
  if (servicePlace(natsHost) !== undefined || isLoopback(natsHost)) return [];
  return [
    {
      risk: "plain-nats",
      key: "natsTls",
      why: `off sends logins, commands and results to ${natsHost} in clear, for everybody on the way to read and change`,
      instead:
        "provided, with natsTlsCa where not everybody knows its authority (docs/tls.md); of one in this cluster, its Service's name as natsHost, " +
        "with the namespace (nats.shop.svc)",
    },
  ];
}

/** Risks of what stands before NoETL and the gateway. */
function takenByEntries(settings: Settings): Taken[] {
  const { noetlHost, iap, deployGateway, deployNoetl, exposure, gatewayPublicUrl, gatewayAuthBypass } = settings;
  return [
    // Without IAP it is refused for good (gke/exposure.ts).
    ...(deployGateway && gatewayAuthBypass && iap
      ? [
          {
            risk: "no-login",
            key: "gatewayAuthBypass",
            why: "true signs in whoever passes Identity-Aware Proxy as anybody, and lets him run playbooks; the policy pack refuses it all the same, until login-required is disabled or advisory",
            instead: "false",
          } as const,
        ]
      : []),
    ...(noetlHost !== undefined && deployNoetl && exposure === "ingress" && !iap
      ? [
          {
            risk: "public-api",
            key: "noetlHost",
            why: `NoETL's API has no login of its own, and everybody on the internet who reaches ${noetlHost} runs code in the cluster`,
            instead: "iap true before it, or unset, with the gateway alone in public",
          } as const,
        ]
      : []),
    ...(deployGateway && exposure === "load-balancer"
      ? [
          {
            risk: "plain-http",
            key: "exposure",
            why: "load-balancer speaks plain HTTP, and sign-ins and sessions cross the internet for everybody on the way to read",
            instead: "ingress, with gatewayHost",
          } as const,
        ]
      : []),
    ...(deployGateway && exposure === "ingress" && isPlain(gatewayPublicUrl ?? "")
      ? [
          {
            risk: "plain-http",
            key: "gatewayPublicUrl",
            why: "sends browsers to the gateway over plain HTTP, and sign-ins and sessions cross the internet for everybody on the way to read",
            instead: "an https:// URL, or unset, which follows from gatewayHost",
          } as const,
        ]
      : []),
  ];
}

function takenOnGke(settings: Settings): Taken[] {
  const { deployNats, deployGateway, deployNoetl } = settings;
  return [
    ...takenByEntries(settings),
    ...plainOrigins(settings),
    ...plainNats(settings),
    ...(!settings.networkPolicies && (deployNats || deployNoetl || deployGateway)
      ? [
          {
            risk: "open-network",
            key: "networkPolicies",
            why: "false lets every pod of the cluster, and on a VPC-native one every machine of the network, call NoETL's API, which asks nobody who it is",
            instead: "unset; networkClients lets single namespaces in",
          } as const,
        ]
      : []),
    ...(settings.createCluster && settings.controlPlaneAccess === "public"
      ? [
          {
            risk: "public-control-plane",
            key: "controlPlaneAccess",
            why: "public lets everybody on the internet try logins and weaknesses of the cluster's API server",
            instead: "dns, or authorized with authorizedNetworks",
          } as const,
        ]
      : []),
    ...NODE_PORT_KEYS.filter((key) => settings[key] !== undefined).map((key): Taken => ({
      risk: "node-ports",
      key,
      why: "opens the port on every node, for all that reach one in the network",
      instead: "unset; a port-forward reaches it (docs/connecting.md)",
    })),
    ...CHARTS.filter((key) => isPlain(settings[key] ?? "")).map((key): Taken => ({
      risk: "http-repositories",
      key,
      why: "is read without TLS, and whoever stands in between decides what is installed",
      instead: "an https:// URL",
    })),
  ];
}

const taken = (settings: Settings): Taken[] => [
  ...(settings.platform === "gke" ? takenOnGke(settings) : []),
  ...weakPasswords(settings),
  ...loggedPasswords(settings),
];

/** Risks on GKE that are not accepted. */
export function riskProblems(settings: Settings): string[] {
  if (settings.platform !== "gke") return [];
  return taken(settings)
    .filter(({ risk }) => !settings.acceptedRisks.includes(risk))
    .map(
      ({ risk, key, why, instead }) =>
        `${key}: ${why}; allowed: ${instead}; or, where that is known and meant, acceptedRisks with ${risk} in it; ` +
        `for example acceptedRisks ${[...settings.acceptedRisks, risk].join(",")}`,
    );
}

/** Risks that a stack takes knowingly, or that are taken where it matters less: said, and no more. */
export const riskWarnings = (settings: Settings): string[] =>
  taken(settings)
    .filter(({ risk }) => settings.platform !== "gke" || settings.acceptedRisks.includes(risk))
    .map(({ key, why, instead }) => `${key}: ${why}: ${instead}.`);
