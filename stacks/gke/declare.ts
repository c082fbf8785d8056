import type { Provider as GoogleProvider } from "@pulumi/gcp/provider";
import * as pulumi from "@pulumi/pulumi";
import type { ProjectServices } from "../../components/gcp";
import type { Facts, GkeSettings } from "./preflight";
import type { Platform } from "../platform";
import { clusterFor } from "./cluster";
import { cloudDatabase } from "./database";
import { addressesFor, expose, gatewayEntry, noetlEntry, tlsFor } from "./exposure";
import { resourcesFor } from "./resources";

/** What is known of the project, and what it is reached with. */
export interface GkeProject {
  readonly facts: Facts;
  readonly cloud: GoogleProvider;
  /** APIs that the stack itself enables. */
  readonly services: ProjectServices | undefined;
}

/** The stack's platform, for what is known about the project. */
export function declare(settings: GkeSettings, { facts, cloud, services }: GkeProject): Platform {
  const project = pulumi.output(settings.projectId);
  const enabled = services ? [services] : [];
  const onCloud: pulumi.ComponentResourceOptions = { providers: { gcp: cloud }, dependsOn: enabled };

  const cluster = clusterFor(settings, facts, { project, enabled, onCloud });
  const resources = resourcesFor(settings, facts);
  const database = settings.useCloudSql
    ? cloudDatabase(settings, { project, enabled, cluster, resources, onCloud })
    : undefined;
  const addresses = addressesFor(settings, project, onCloud);
  const tls = tlsFor(settings, project, onCloud);
  return {
    provider: cluster.provider,
    access: { kubeconfig: cluster.kubeconfig },
    ...argumentsOnGke(settings, { facts, resources, database, addresses, tls }),
    expose(parts) {
      expose(settings, parts, { project, cloud, enabled, cluster: cluster.provider, tls });
      return {
        kubeconfig: cluster.kubeconfig,
        registry: cluster.registry?.url,
        gatewayAddress: addresses.gateway?.address,
        noetlAddress: addresses.noetl?.address,
      };
    },
  };
}

/** What the parts' arguments follow from beside the settings. */
interface DeclaredOnGke {
  readonly facts: Facts;
  readonly resources: ReturnType<typeof resourcesFor>;
  readonly database: ReturnType<typeof cloudDatabase> | undefined;
  readonly addresses: ReturnType<typeof addressesFor>;
  readonly tls: ReturnType<typeof tlsFor>;
}

/** What GKE adds to the arguments of the parts. */
function argumentsOnGke(
  settings: GkeSettings,
  around: DeclaredOnGke,
): Omit<Platform, "provider" | "access" | "expose"> {
  const { facts, resources, addresses, tls } = around;
  const protect = settings.deletionProtection;
  const [nats, reloader] = resources("nats");
  const [box] = resources("nats-box");
  const [postgres] = resources("postgres");
  const [schema] = resources("noetl-schema");
  const [server] = resources("noetl-server");
  const [worker] = resources("noetl-worker");
  const [gateway] = resources("gateway");
  const [guard] = resources("contract-guard");
  return {
    nats: {
      protect,
      hostSpread: "required",
      resources: nats,
      reloaderResources: reloader,
      boxResources: box,
    },
    postgres: {
      protect,
      resources: postgres,
      schemaResources: schema,
      ...around.database,
    },
    noetl: {
      serverResources: server,
      workerResources: worker,
      // Autopilot gives an init container what its pod has; less would be raised behind the engine's back.
      workerInitResources: facts.cluster?.autopilot === false ? undefined : worker,
      spreadZones: true,
      ...noetlEntry(settings, { address: addresses.noetl, tls }),
    },
    gateway: {
      resources: gateway,
      spreadZones: true,
      ...gatewayEntry(settings, { address: addresses.gateway, tls }),
    },
    guard: { resources: guard },
  };
}
