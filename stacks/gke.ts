/** Google Kubernetes Engine: everything a stack needs there, from APIs to public addresses. */
import * as iap from "@pulumi/gcp/iap";
import * as organizations from "@pulumi/gcp/organizations";
import { Provider as GoogleProvider } from "@pulumi/gcp/provider";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Resources } from "../components/shared";
import { generatedPassword } from "../components/shared";
import {
  addressAnnotations,
  ArtifactRegistry,
  AutopilotCluster,
  CloudSql,
  CloudSqlPooler,
  execKubeconfig,
  ingressAnnotations,
  LoadBalancing,
  Network,
  ProjectServices,
  PublicAddress,
  serviceAnnotations,
} from "../components/gcp";
import { checkQuotas, type Facts, type GkeSettings, GoogleApi, preflight } from "../components/gcp/preflight";
import { fitPod, mayBurst, resourcesOf } from "../components/gcp/rules/autopilot";
import { type PodName, podsOf } from "../components/gcp/rules/pods";
import { ConfigError } from "../config/parse";
import { gkeDoubts } from "../config/gke";
import type { Settings } from "../config/schema";
import { HELM_TIMEOUT_SECONDS } from "../config/timeouts";
import { PLACES } from "../contract/noetl";
import type { Platform } from "./platform";

/** How long newly enabled APIs may take to answer, in milliseconds. */
const ENABLED_DEADLINE_MS = 300_000;

/** Names that the objects of each public part bear. */
const PUBLIC = {
  gateway: { object: "noetl-gateway", health: "/health", port: PLACES.gateway.port },
  noetl: { object: "noetl-api", health: "/api/health", port: PLACES.noetl.port },
} as const;

/**
 * Prepares a stack on GKE: looks at what is there, then declares the platform.
 *
 * @throws ConfigError with everything that Google Cloud would refuse later, before anything is declared.
 */
export async function gkePlatform(settings: Settings): Promise<Platform> {
  const { projectId = "", region } = settings;
  const provider = new GoogleProvider("gcp", { project: projectId, region });
  const { accessToken } = await organizations.getClientConfig({ provider });
  const api = new GoogleApi(accessToken);
  const facts = accessToken ? await preflight({ ...settings, projectId }, api) : UNASKED;
  for (const warning of [...facts.warnings, ...gkeDoubts(settings)]) await pulumi.log.warn(warning);
  const services = enabledServices(settings, provider);
  if (!facts.quotasRead && services && !pulumi.runtime.isDryRun())
    await quotasOnceEnabled({ ...settings, projectId }, services, api);
  return declare({ ...settings, projectId }, provider, facts, services);
}

/**
 * Without a login there is nobody to ask. The engine never comes that far, since the provider refuses; but a comparison
 * of two revisions runs the program without engine and login, and takes the project for an empty one on both sides.
 */
const UNASKED: Facts = { cluster: undefined, quotasRead: true, warnings: [] };

/** The APIs that the stack needs, where it is to enable them. */
export function enabledServices(settings: Settings, cloud: GoogleProvider): ProjectServices | undefined {
  if (!settings.enableApis) return undefined;
  const { projectId: project = "" } = settings;
  return new ProjectServices("apis", { project, services: servicesOf(settings) }, { provider: cloud });
}

/** The stack's platform, for what is known about the project. Exported for tests. */
export function declare(
  settings: GkeSettings,
  cloud: GoogleProvider,
  facts: Facts,
  services: ProjectServices | undefined,
): Platform {
  const { region, clusterName, deletionProtection: protect } = settings;
  const onCloud: pulumi.ComponentResourceOptions = {
    providers: { gcp: cloud },
    ...(services ? { dependsOn: [services] } : {}),
  };
  const project = pulumi.output(settings.projectId);

  const network = facts.cluster
    ? undefined
    : new Network(
        "network",
        {
          project,
          region,
          networkName: clusterName,
          ...(settings.network
            ? { existing: { network: settings.network, subnetwork: settings.subnetwork ?? "default" } }
            : {}),
          nodeCidr: settings.nodeCidr,
          podCidr: settings.podCidr,
          serviceCidr: settings.serviceCidr,
          nat: settings.privateNodes && settings.createNat,
        },
        onCloud,
      );
  const created = network
    ? new AutopilotCluster(
        "gke",
        {
          project,
          region,
          clusterName,
          releaseChannel: settings.releaseChannel,
          network: network.networkId,
          subnetwork: network.subnetwork,
          ...(network.ranges ? { ranges: network.ranges } : {}),
          privateNodes: settings.privateNodes,
          deletionProtection: protect,
        },
        // Nodes without the NAT could pull no image.
        { ...onCloud, dependsOn: [network, ...(services ? [services] : [])] },
      )
    : undefined;
  const registry = settings.createArtifactRegistry
    ? new ArtifactRegistry(
        "registry",
        {
          project,
          region,
          repositoryId: settings.repositoryId,
          ...(created ? { readers: { nodes: created.nodeMember } } : {}),
          protect,
        },
        onCloud,
      )
    : undefined;

  const kubeconfig =
    created?.kubeconfig ?? pulumi.output(facts.cluster ? execKubeconfig({ name: clusterName, ...facts.cluster }) : "");
  const cluster = new k8s.Provider("cluster", {
    kubeconfig,
    // Tells clusters apart while the kubeconfig is not known yet; otherwise its first value would replace everything.
    clusterIdentifier: `${settings.projectId}/${region}/${clusterName}`,
    enableServerSideApply: true,
  });

  const resources = resourcesFor(settings, facts);
  const networkId =
    network?.networkId ??
    pulumi.interpolate`projects/${project}/global/networks/${facts.cluster?.network ?? "default"}`;
  const workloadPool = created?.workloadPool ?? pulumi.output(facts.cluster?.workloadPool ?? "");
  const database = settings.useCloudSql
    ? cloudDatabase(settings, { project, networkId, workloadPool, resources, cluster, onCloud })
    : undefined;
  const addresses = addressesFor(settings, project, onCloud);

  const [nats, box] = [resources("nats"), resources("nats-box")];
  return {
    provider: cluster,
    access: { kubeconfig },
    nats: {
      protect,
      storageClass: settings.natsStorageClass ?? STORAGE_CLASS,
      ...optional("resources", nats[0]),
      ...optional("reloaderResources", nats[1]),
      ...optional("boxResources", box[0]),
      timeoutSeconds: HELM_TIMEOUT_SECONDS.gke,
    },
    postgres: {
      protect,
      storageClass: settings.postgresStorageClass ?? STORAGE_CLASS,
      ...optional("resources", resources("postgres")[0]),
      ...database,
      timeoutSeconds: HELM_TIMEOUT_SECONDS.gke,
    },
    noetl: {
      ...optional("serverResources", resources("noetl-server")[0]),
      ...optional("workerResources", resources("noetl-worker")[0]),
      spreadZones: true,
      timeoutSeconds: HELM_TIMEOUT_SECONDS.gke,
      ...(addresses.noetl && settings.noetlHost
        ? {
            serviceAnnotations: serviceAnnotations(PUBLIC.noetl.object),
            ingress: {
              host: settings.noetlHost,
              certificateName: PUBLIC.noetl.object,
              annotations: ingressAnnotations(PUBLIC.noetl.object, addresses.noetl.addressName),
            },
          }
        : {}),
    },
    gateway: {
      ...optional("resources", resources("gateway")[0]),
      spreadZones: true,
      timeoutSeconds: HELM_TIMEOUT_SECONDS.gke,
      ...gatewayEntry(settings, addresses.gateway),
    },
    expose({ noetl, gateway }) {
      const balanceLoad = (part: keyof typeof PUBLIC, namespace: pulumi.Output<string>) =>
        new LoadBalancing(
          `${part}-load-balancing`,
          {
            namespace,
            objectName: PUBLIC[part].object,
            health: { path: PUBLIC[part].health, port: PUBLIC[part].port },
            timeoutSeconds: settings.gatewayTimeoutSeconds,
            ...(settings.iap
              ? {
                  iap: {
                    clientId: settings.iapClientId ?? "",
                    clientSecret: pulumi.secret(settings.iapClientSecret ?? ""),
                  },
                }
              : {}),
          },
          { providers: { kubernetes: cluster } },
        );
      if (settings.exposure === "ingress") {
        if (gateway) balanceLoad("gateway", gateway.namespace);
        if (noetl && settings.noetlHost) balanceLoad("noetl", noetl.namespace);
      }
      for (const [index, member] of (settings.iap ? settings.iapMembers : []).entries()) {
        new iap.WebIamMember(
          `iap-${index}`,
          { project, role: "roles/iap.httpsResourceAccessor", member },
          { provider: cloud, ...(services ? { dependsOn: [services] } : {}) },
        );
      }
      return {
        kubeconfig,
        registry: registry?.url,
        gatewayAddress: addresses.gateway?.address,
        noetlAddress: addresses.noetl?.address,
      };
    },
  };
}

/** Balanced persistent disk; present in every cluster, and it can grow. */
const STORAGE_CLASS = "standard-rwo";

function optional<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return (value === undefined ? {} : { [key]: value }) as { [P in K]?: V };
}

/** APIs that the stack's resources belong to. */
export function servicesOf(settings: Settings): string[] {
  return [
    "cloudresourcemanager",
    "compute",
    "container",
    "iam",
    ...(settings.createArtifactRegistry ? ["artifactregistry"] : []),
    // The Auth Proxy works as a service account through Workload Identity, which asks iamcredentials for its tokens.
    ...(settings.useCloudSql ? ["iamcredentials", "servicenetworking", "sqladmin"] : []),
    ...(settings.dnsZone ? ["dns"] : []),
    ...(settings.iap ? ["iap"] : []),
  ].map((name) => `${name}.googleapis.com`);
}

/**
 * Reads the quotas of a project whose APIs the stack itself has just enabled. Nothing that costs is declared before.
 *
 * @throws ConfigError where they leave no room; Error where the API does not answer in time.
 */
async function quotasOnceEnabled(settings: GkeSettings, services: ProjectServices, api: GoogleApi): Promise<void> {
  const project = await new Promise<string>((resolve) => void services.project.apply(resolve));
  const deadline = Date.now() + ENABLED_DEADLINE_MS;
  for (;;) {
    const quota = await checkQuotas(settings, api);
    if (quota.read) {
      if (quota.problems.length > 0 && settings.enforceQuotas) throw new ConfigError(quota.problems);
      for (const problem of quota.problems) await pulumi.log.warn(problem);
      return;
    }
    if (Date.now() > deadline)
      throw new Error(
        `the Compute Engine API of project ${project} does not answer five minutes after it was enabled; run the update again`,
      );
    await new Promise((resolve) => setTimeout(resolve, 5_000));
  }
}

/** Resources of a workload's containers, by Autopilot's rules where they apply. */
function resourcesFor(settings: Settings, facts: Facts): (name: PodName) => Resources[] {
  const pods = podsOf(settings);
  const autopilot = facts.cluster?.autopilot ?? true;
  const bursting = facts.cluster && autopilot ? mayBurst(facts.cluster.version) : true;
  return (name) => {
    const pod = pods.find((each) => each.name === name);
    if (!pod) return [];
    return (autopilot ? fitPod(pod, bursting) : pod).containers.map(resourcesOf);
  };
}

interface Surroundings {
  project: pulumi.Output<string>;
  networkId: pulumi.Input<string>;
  workloadPool: pulumi.Output<string>;
  resources: (name: PodName) => Resources[];
  cluster: k8s.Provider;
  onCloud: pulumi.ComponentResourceOptions;
}

/** Cloud SQL and the way to it; where NoETL is deployed, as the external server of its database. */
function cloudDatabase(settings: GkeSettings, around: Surroundings) {
  const { project } = around;
  const sql = new CloudSql(
    "cloud-sql",
    {
      project,
      region: settings.region,
      instanceName: settings.cloudSqlInstance,
      network: around.networkId,
      createServiceConnection: settings.createServiceConnection,
      rangePrefix: settings.cloudSqlRangePrefix,
      egressRule: settings.cloudSqlProxyEgressRule,
      version: settings.cloudSqlVersion,
      edition: settings.cloudSqlEdition,
      tier: settings.cloudSqlTier,
      maxConnections: settings.cloudSqlMaxConnections,
      diskSizeGb: settings.cloudSqlDiskSizeGb,
      diskType: settings.cloudSqlDiskType,
      availability: settings.cloudSqlAvailability,
      backups: settings.cloudSqlBackups,
      database: settings.noetlDatabase,
      adminUser: settings.postgresUser,
      ...(settings.postgresPassword ? { adminPassword: pulumi.secret(settings.postgresPassword) } : {}),
      deletionProtection: settings.deletionProtection,
    },
    around.onCloud,
  );
  if (!settings.deployNoetl) return {};
  const noetlPassword = settings.noetlPassword
    ? pulumi.secret(settings.noetlPassword)
    : generatedPassword("noetl-database-password", {});
  const [resources, proxyResources] = around.resources("pgbouncer");
  const pooler = new CloudSqlPooler(
    "pgbouncer",
    {
      project,
      workloadPool: around.workloadPool,
      connectionName: sql.connectionName,
      instanceName: settings.cloudSqlInstance,
      database: settings.noetlDatabase,
      user: settings.noetlDatabaseUser,
      password: noetlPassword,
      adminUser: settings.postgresUser,
      adminPassword: sql.adminPassword,
      replicas: settings.pgbouncerReplicas,
      maxClientConnections: settings.pgbouncerMaxClientConnections,
      poolSize: settings.pgbouncerPoolSize,
      minPoolSize: settings.pgbouncerMinPoolSize,
      reservePoolSize: settings.pgbouncerReservePoolSize,
      maxDbConnections: settings.pgbouncerMaxDbConnections,
      pgbouncerImage: settings.pgbouncerImage,
      proxyImage: settings.cloudSqlProxyImage,
      ...optional("resources", resources),
      ...optional("proxyResources", proxyResources),
    },
    { ...around.onCloud, providers: { ...(around.onCloud.providers as object), kubernetes: around.cluster } },
  );
  return {
    external: { host: pooler.host, port: pooler.port },
    adminPassword: sql.adminPassword,
    noetlPassword,
  };
}

/** The static addresses of what is public. */
function addressesFor(
  settings: GkeSettings,
  project: pulumi.Output<string>,
  onCloud: pulumi.ComponentResourceOptions,
): { gateway?: PublicAddress; noetl?: PublicAddress } {
  const address = (part: "gateway" | "noetl", host: string | undefined, adopted: string | undefined) =>
    new PublicAddress(
      `${part}-address`,
      {
        project,
        ...(settings.exposure === "load-balancer" ? { region: settings.region } : {}),
        addressName: adopted ?? `${settings.clusterName}-${part}`,
        existing: adopted !== undefined,
        ...(host && settings.dnsZone ? { record: { host, zone: settings.dnsZone } } : {}),
        protect: settings.deletionProtection,
      },
      onCloud,
    );
  return {
    ...(settings.deployGateway && settings.exposure !== "internal"
      ? { gateway: address("gateway", settings.gatewayHost, settings.gatewayAddressName) }
      : {}),
    ...(settings.deployNoetl && settings.exposure === "ingress" && settings.noetlHost
      ? { noetl: address("noetl", settings.noetlHost, undefined) }
      : {}),
  };
}

function gatewayEntry(settings: Settings, address: PublicAddress | undefined): Platform["gateway"] {
  if (!address) return {};
  if (settings.exposure === "load-balancer")
    return {
      loadBalancer: true,
      serviceAnnotations: addressAnnotations(address.addressName),
      publicUrl:
        settings.gatewayPublicUrl ??
        pulumi.interpolate`http://${settings.gatewayHost ?? address.address}:${PLACES.gateway.port}`,
    };
  return {
    serviceAnnotations: serviceAnnotations(PUBLIC.gateway.object),
    ingress: {
      host: settings.gatewayHost ?? "",
      certificateName: PUBLIC.gateway.object,
      annotations: ingressAnnotations(PUBLIC.gateway.object, address.addressName),
    },
  };
}
