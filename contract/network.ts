/**
 * Which pods of a stack open connections to whom: the one table from which its NetworkPolicies are made, the picture in README.md and
 * the list in docs/security.md. What is not in it is closed. Why it is as it is: docs/decisions/0021-network-policies.md.
 */
import { LOCATIONS } from "./facts";
import { GUARD_PORT } from "./guard/settings";

/** Selects pods, as Kubernetes writes it. */
export interface PodSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: "NotIn";
    readonly values: string[];
  }[];
}

interface Pods {
  readonly title: string;
  readonly namespace: string;
  readonly selector: PodSelector;
}

const labelled = (title: string, namespace: string, matchLabels: Readonly<Record<string, string>>): Pods => ({
  title,
  namespace,
  selector: { matchLabels },
});
const app = (title: string, namespace: string, name: string) => labelled(title, namespace, { app: name });
const ofChartNats = (title: string, component: string) =>
  labelled(title, LOCATIONS.nats.namespace, {
    "app.kubernetes.io/name": "nats",
    "app.kubernetes.io/component": component,
  });

const { noetl, pgbouncer, postgres } = LOCATIONS;

/** Pods of a stack by what they are, and how they are distinguished. */
export const PODS = {
  gateway: app("gateway", LOCATIONS.gateway.namespace, LOCATIONS.gateway.deployment),
  server: app("noetl-server", noetl.namespace, noetl.serverDeployment),
  worker: app("noetl-worker", noetl.namespace, noetl.workerDeployment),
  job: {
    title: "jobs of playbooks",
    namespace: noetl.namespace,
    // Their labels are NoETL's and may change; whatever runs there besides server and workers was started by a playbook.
    selector: {
      matchExpressions: [{ key: "app", operator: "NotIn", values: [noetl.serverDeployment, noetl.workerDeployment] }],
    },
  },
  nats: ofChartNats("nats", "nats"),
  natsBox: ofChartNats("nats-box", "nats-box"),
  guard: app("contract-guard", LOCATIONS.guard.namespace, LOCATIONS.guard.deployment),
  postgres: app("postgres", postgres.namespace, "postgres"),
  schema: app("noetl-schema", postgres.namespace, "noetl-schema"),
  logins: app("noetl-logins", postgres.namespace, "noetl-logins"),
  pgbouncer: app("pgbouncer", pgbouncer.namespace, "pgbouncer"),
} satisfies Record<string, Pods>;

export type PodName = keyof typeof PODS;

/** Whom pods talk to that are not of the stack, in words. */
export const OUTSIDE = {
  anyone: "anyone",
  googleFrontEnds: "Google's load balancers",
  clusterPods: "every pod of the cluster",
  dns: "DNS of the cluster",
  apiServer: "the cluster's API server",
  playbookTargets: "whatever playbooks name, but no namespace of the stack and no metadata server",
  web: "the internet",
  metadata: "Google's metadata server",
  cloudSql: "Cloud SQL",
  node: "the pod's node",
} as const;

export type OutsideName = keyof typeof OUTSIDE;

/** A server that the stack does not install: in a namespace of the cluster, or at a host. */
export interface Elsewhere {
  readonly namespace?: string;
  readonly host: string;
  readonly port: number;
}

/** Who is let in from outside of the cluster: everybody (NodePort, load balancer), or Google's load balancers. */
type Entry = "anyone" | "googleFrontEnds";

/** Parts of a stack that pods of other namespaces can be let in to, with the pods and the port behind them. */
export const CLIENT_PARTS = {
  nats: { to: "nats", port: LOCATIONS.nats.port },
  api: { to: "server", port: noetl.port },
  gateway: { to: "gateway", port: LOCATIONS.gateway.port },
  postgres: { to: "database", port: postgres.port },
} as const;

export type ClientPart = keyof typeof CLIENT_PARTS;

/** What of a stack, in its usual namespaces, decides which connections there are. */
export interface Layout {
  /** NATS servers that the stack installs; 0 where NATS is elsewhere, or none is used. */
  readonly natsServers: number;
  readonly natsElsewhere?: Elsewhere;
  /** Whether nats-box stands beside them. */
  readonly natsBox: boolean;
  readonly noetl: boolean;
  readonly gateway: boolean;
  readonly guard: boolean;
  /** Whether Prometheus reads the guard's metrics. */
  readonly scraped: boolean;
  /** Where NoETL's database is; undefined without NoETL. */
  readonly database?: "postgres" | "pgbouncer" | Elsewhere;
  /** By which parts, and for whom, the stack is open. `monitor` is NATS' monitoring. */
  readonly entries: Readonly<Partial<Record<ClientPart | "monitor", Entry>>>;
  /** Namespaces whose pods are let in, and where. */
  readonly clients: readonly { readonly namespace: string; readonly part: ClientPart }[];
  /** Whether server, workers and jobs may ask the metadata server. */
  readonly metadata: boolean;
  /** Where playbooks' jobs are: with NoETL, in a namespace of their own, or nowhere. Default `noetl`. */
  readonly jobs?: PlaybookJobs;
}

/** Places of the jobs that playbooks start. */
export const PLAYBOOK_JOBS = ["noetl", "own", "off"] as const;
export type PlaybookJobs = (typeof PLAYBOOK_JOBS)[number];

export interface Port {
  readonly port: number;
  readonly protocol: "TCP" | "UDP";
}

/** Where a row of the table leads to: `nats` and `database` are wherever the stack has them. */
type Target = PodName | "database" | OutsideName;

/** A row of the table. */
export interface Flow {
  readonly from: readonly (PodName | OutsideName)[];
  readonly to: Target;
  /** None: all. */
  readonly ports: readonly Port[];
  /** In which stacks it is there, besides having both ends. Default: all. */
  readonly when?: (layout: Layout) => boolean;
  /** When it is there, in words; empty for always. */
  readonly condition?: string;
  readonly why: string;
  /** Its lines in README's picture. An arrow goes as the messages do, whoever opened the connection. */
  readonly drawn?: readonly string[];
  /** True for what Kubernetes never holds back, so that no policy says it. */
  readonly ungoverned?: true;
}

const tcp = (...ports: readonly number[]): Port[] => ports.map((port) => ({ port, protocol: "TCP" }));
const DNS_PORTS: readonly Port[] = [{ port: 53, protocol: "UDP" }, ...tcp(53)];

/** Pods that do what playbooks say; the server fetches the credentials that they name. */
const PLAYBOOKS = ["server", "worker", "job"] as const;

const { port: natsPort, monitorPort } = LOCATIONS.nats;
/** Port at which NATS servers of a cluster reach one another: the chart's. */
export const ROUTE_PORT = 6222;
const API = tcp(noetl.port);
const GATEWAY = tcp(LOCATIONS.gateway.port);

const entry =
  (part: keyof Layout["entries"], who: Entry) =>
  ({ entries }: Layout): boolean =>
    entries[part] === who;

/** All connections that there are, the browser's first. */
export const FLOWS: readonly Flow[] = [
  {
    from: ["googleFrontEnds"],
    to: "gateway",
    ports: GATEWAY,
    when: entry("gateway", "googleFrontEnds"),
    condition: "exposure ingress",
    why: "requests of browsers, and the load balancer's health check; both come from Google's ranges straight to the pods",
    drawn: ["browser([browser]) -->|HTTP, CORS| gateway"],
  },
  {
    from: ["anyone"],
    to: "gateway",
    ports: GATEWAY,
    when: entry("gateway", "anyone"),
    condition: "exposure load-balancer, or gatewayNodePort",
    why: "requests of browsers, whose addresses a node may have changed into its own",
  },
  {
    from: ["googleFrontEnds"],
    to: "server",
    ports: API,
    when: entry("api", "googleFrontEnds"),
    condition: "noetlHost",
    why: "requests to NoETL's public API, and the load balancer's health check",
  },
  {
    from: ["anyone"],
    to: "server",
    ports: API,
    when: entry("api", "anyone"),
    condition: "noetlNodePort",
    why: "whoever reaches a node",
  },
  {
    from: ["anyone"],
    to: "nats",
    ports: tcp(natsPort),
    when: entry("nats", "anyone"),
    condition: "natsNodePort",
    why: "whoever reaches a node",
  },
  {
    from: ["anyone"],
    to: "nats",
    ports: tcp(monitorPort),
    when: entry("monitor", "anyone"),
    condition: "natsMonitorNodePort",
    why: "whoever reaches a node",
  },
  {
    from: ["anyone"],
    to: "postgres",
    ports: tcp(postgres.port),
    when: entry("postgres", "anyone"),
    condition: "postgresNodePort",
    why: "whoever reaches a node",
  },
  {
    from: ["gateway"],
    to: "server",
    ports: API,
    why: "executions that browsers ask for",
    drawn: ["gateway -->|API| server"],
  },
  {
    from: ["gateway"],
    to: "nats",
    ports: tcp(natsPort),
    why: "updates, callbacks, sessions and requests",
    drawn: ["gateway <-->|updates, callbacks| kv"],
  },
  {
    from: ["gateway"],
    to: "web",
    ports: tcp(443),
    why: "the identity provider's keys and tokens",
  },
  {
    from: PLAYBOOKS,
    to: "database",
    ports: tcp(postgres.port),
    why: "the server's tables; what playbooks keep in this database",
    drawn: ["server & worker -->|commands, queries| db"],
  },
  {
    from: ["schema", "logins"],
    to: "database",
    ports: tcp(postgres.port),
    why: "role, logins, database and tables of NoETL",
  },
  {
    from: ["server", "worker"],
    to: "nats",
    ports: tcp(natsPort),
    why: "commands are announced, and fetched",
    drawn: ['server -->|"noetl.commands"| stream', 'stream -->|"noetl_worker_pool (durable, pull)"| worker'],
  },
  {
    from: PLAYBOOKS,
    to: "server",
    ports: API,
    why: "claims and events; wait-for-api; the server calls its own address, too",
    drawn: ["worker -->|claims, events| server"],
  },
  {
    from: PLAYBOOKS,
    to: "playbookTargets",
    ports: [],
    why: "playbooks call the addresses that they name; the server asks for the credentials of their keychain",
    drawn: ["server & worker -->|what playbooks name| world([internet])"],
  },
  {
    from: PLAYBOOKS,
    to: "metadata",
    ports: tcp(80, 988),
    when: ({ metadata }) => metadata,
    condition: "playbookMetadata",
    why: "Google's credentials of the pods' service accounts",
  },
  {
    from: ["worker"],
    to: "apiServer",
    ports: tcp(443, 6443),
    when: ({ jobs }) => jobs !== "off",
    condition: "playbookJobs noetl or own",
    why: "jobs that playbooks start",
  },
  {
    from: ["nats"],
    to: "nats",
    ports: tcp(ROUTE_PORT, monitorPort),
    when: ({ natsServers }) => natsServers > 1,
    condition: "natsReplicas above 1",
    why: "routes of the cluster; before it stops, a server asks whether the others are in step",
  },
  {
    from: ["guard"],
    to: "nats",
    ports: tcp(natsPort),
    why: "the contract between two updates",
    drawn: ["guard -->|looks, heals| stream"],
  },
  {
    from: ["natsBox"],
    to: "nats",
    ports: tcp(natsPort),
    when: ({ natsBox }) => natsBox,
    condition: "natsBox",
    why: "the command nats, for whoever opens a shell there",
  },
  {
    from: ["clusterPods"],
    to: "guard",
    ports: tcp(GUARD_PORT),
    when: ({ scraped }) => scraped,
    condition: "monitoring",
    why: "Prometheus, wherever it runs, reads the metrics, which hold no credential",
  },
  {
    from: ["pgbouncer"],
    to: "cloudSql",
    ports: tcp(3307),
    why: "the Auth Proxy's connection to the instance, at the private address that Google has picked",
  },
  {
    from: ["pgbouncer"],
    to: "web",
    ports: tcp(443),
    why: "Google's APIs, which give the Auth Proxy its certificate",
  },
  {
    from: ["pgbouncer"],
    to: "metadata",
    ports: tcp(80, 988),
    why: "the Auth Proxy's login, by Workload Identity",
  },
  {
    from: ["gateway", "server", "worker", "job", "nats", "natsBox", "guard", "schema", "logins", "pgbouncer"],
    to: "dns",
    ports: DNS_PORTS,
    why: "names",
  },
  {
    from: ["node"],
    to: "nats",
    ports: [],
    why: "port-forwards (the contract, doctor, verify, kubectl) and probes, of these and of all other pods",
    drawn: ["contract{{StreamContract}} -.->|port-forward: checks| stream"],
    ungoverned: true,
  },
];

/** One end of a connection that a stack has. */
export type End = PodName | OutsideName | { readonly client: string } | { readonly elsewhere: Elsewhere };

/** A connection that a stack has: who opens it to whom. No ports are all ports. */
export interface Connection {
  readonly from: End;
  readonly to: End;
  readonly ports: readonly Port[];
}

/** Pods that a stack has. */
export function podsOf(layout: Layout): PodName[] {
  const present: Record<PodName, boolean> = {
    gateway: layout.gateway,
    server: layout.noetl,
    worker: layout.noetl,
    job: layout.noetl && layout.jobs !== "off",
    nats: layout.natsServers > 0,
    natsBox: layout.natsBox,
    guard: layout.guard,
    postgres: layout.database === "postgres",
    schema: layout.noetl,
    logins: layout.noetl,
    pgbouncer: layout.database === "pgbouncer",
  };
  return (Object.keys(PODS) as PodName[]).filter((name) => present[name]);
}

/** Namespace of pods: the guard's is that of NATS where the stack installs NATS. */
export function namespaceOf(pod: PodName, { natsServers, jobs }: Layout): string {
  if (pod === "guard" && natsServers > 0) return LOCATIONS.nats.namespace;
  return pod === "job" && jobs === "own" ? LOCATIONS.jobs.namespace : PODS[pod].namespace;
}

/** Namespaces that the stack closes. */
export const closedNamespaces = (layout: Layout): string[] => [
  ...new Set(podsOf(layout).map((pod) => namespaceOf(pod, layout))),
];

export const isPod = (end: End): end is PodName => typeof end === "string" && end in PODS;

/** Where a row leads to in this stack; undefined where there is nothing of the kind. */
function targetOf(to: Target, layout: Layout): End | undefined {
  if (to === "nats" && layout.natsServers === 0)
    return layout.natsElsewhere ? { elsewhere: layout.natsElsewhere } : undefined;
  if (to === "database") return typeof layout.database === "object" ? { elsewhere: layout.database } : layout.database;
  // Whose NoETL it is does not matter to the gateway, which finds it by the name of its Service.
  return isPod(to) && to !== "server" && !podsOf(layout).includes(to) ? undefined : to;
}

/** Ports at the other end: of a server elsewhere its own; those of pods behind another's Service are not known. */
const portsAt = (to: End, ports: readonly Port[]): readonly Port[] =>
  typeof to === "object" && "elsewhere" in to
    ? to.elsewhere.namespace === undefined
      ? tcp(to.elsewhere.port)
      : []
    : ports;

/** The connections of a stack: the rows of {@link FLOWS} that it has, and its clients. */
export function connectionsOf(layout: Layout): Connection[] {
  const pods = podsOf(layout);
  const ofClients = layout.clients.map(({ namespace, part }) => {
    const { to, port } = CLIENT_PARTS[part];
    return { from: [{ client: namespace }], to, ports: tcp(port) };
  });
  const rows = [...FLOWS.filter(({ ungoverned, when }) => !ungoverned && (when?.(layout) ?? true)), ...ofClients];
  return rows.flatMap(({ from, to, ports }) => {
    const target = targetOf(to, layout);
    if (target === undefined) return [];
    return from
      .filter((each: End) => !isPod(each) || pods.includes(each))
      .map((each: End) => ({ from: each, to: target, ports: portsAt(target, ports) }));
  });
}

/** README's picture, in mermaid. */
export function picture(): string {
  return [
    "flowchart LR",
    "  subgraph gw [namespace gateway]",
    "    gateway",
    "  end",
    "  subgraph noetl [namespace noetl]",
    "    server[noetl-server]",
    "    worker[noetl-worker]",
    "  end",
    "  subgraph nats [namespace nats]",
    '    stream[("NOETL_COMMANDS<br/>limits, memory, 1 h")]',
    '    kv[("sessions, requests")]',
    "    guard[contract-guard]",
    "  end",
    '  db[("Postgres, or Cloud SQL<br/>behind PgBouncer")]',
    ...FLOWS.flatMap(({ drawn = [] }) => drawn.map((line) => `  ${line}`)),
  ].join("\n");
}
