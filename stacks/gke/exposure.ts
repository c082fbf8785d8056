/** How a stack on GKE is reached from outside: addresses, load balancers, Identity-Aware Proxy. */
import * as iap from "@pulumi/gcp/iap";
import type { Provider as GoogleProvider } from "@pulumi/gcp/provider";
import type * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Gateway, Noetl } from "../../components";
import {
  addressAnnotations,
  ingressAnnotations,
  LoadBalancing,
  type ProjectServices,
  PublicAddress,
  serviceAnnotations,
  TlsPolicy,
} from "../../components/gcp";
import type { GkeSettings } from "./preflight";
import { LOCATIONS } from "../../contract/facts";
import type { Settings } from "../../config/schema";
import type { Platform } from "../platform";

/** Names that the objects of each public part bear. */
const PUBLIC = {
  gateway: { object: "noetl-gateway", health: "/health", port: LOCATIONS.gateway.port },
  noetl: { object: "noetl-api", health: "/api/health", port: LOCATIONS.noetl.port },
} as const;

/** The static addresses of what is public. */
export function addressesFor(
  settings: GkeSettings,
  project: pulumi.Output<string>,
  onCloud: pulumi.ComponentResourceOptions,
): { gateway?: PublicAddress; noetl?: PublicAddress } {
  const address = (part: "gateway" | "noetl", host: string | undefined, adopted: string | undefined) =>
    new PublicAddress(
      `${part}-address`,
      {
        project,
        region: settings.exposure === "load-balancer" ? settings.region : undefined,
        addressName: adopted ?? `${settings.clusterName}-${part}`,
        existing: adopted !== undefined,
        record: host && settings.dnsZone ? { host, zone: settings.dnsZone } : undefined,
        protect: settings.deletionProtection,
      },
      onCloud,
    );
  return {
    gateway:
      settings.deployGateway && settings.exposure !== "internal"
        ? address("gateway", settings.gatewayHost, settings.gatewayAddressName)
        : undefined,
    noetl:
      settings.deployNoetl && settings.exposure === "ingress" && settings.noetlHost
        ? address("noetl", settings.noetlHost, undefined)
        : undefined,
  };
}

/** What the stack's ingresses speak, where it has one. */
export function tlsFor(
  settings: GkeSettings,
  project: pulumi.Output<string>,
  onCloud: pulumi.ComponentResourceOptions,
): TlsPolicy | undefined {
  const { exposure, deployGateway, deployNoetl, noetlHost, clusterName, tlsProfile: profile } = settings;
  if (exposure !== "ingress" || !(deployGateway || (deployNoetl && noetlHost))) return undefined;
  return new TlsPolicy("tls", { project, policyName: `${clusterName}-tls`, profile }, onCloud);
}

/** What stands before a public part: its address, and the TLS of its ingress. */
export interface EntryMeans {
  readonly address: PublicAddress | undefined;
  readonly tls: TlsPolicy | undefined;
}

/** What the gateway gets for its way in. */
export function gatewayEntry(settings: Settings, { address, tls }: EntryMeans): Platform["gateway"] {
  if (!address) return {};
  if (settings.exposure === "load-balancer")
    return {
      loadBalancer: true,
      serviceAnnotations: addressAnnotations(address.addressName),
      publicUrl:
        settings.gatewayPublicUrl ??
        pulumi.interpolate`http://${settings.gatewayHost ?? address.address}:${LOCATIONS.gateway.port}`,
    };
  return ingressEntry("gateway", settings.gatewayHost ?? "", { address, tls });
}

/** What NoETL gets for its way in, where its API is public. */
export function noetlEntry(settings: Settings, { address, tls }: EntryMeans): Platform["noetl"] {
  return address && settings.noetlHost ? ingressEntry("noetl", settings.noetlHost, { address, tls }) : {};
}

/** A way in by an https ingress of Google's. */
function ingressEntry(
  part: keyof typeof PUBLIC,
  host: string,
  { address, tls }: { address: PublicAddress; tls: TlsPolicy | undefined },
) {
  const { object } = PUBLIC[part];
  // By way of the policy, so that the ingress which uses it goes before it: Google deletes none that is in use.
  const frontend = tls?.policyName.apply(() => object) ?? object;
  return {
    serviceAnnotations: serviceAnnotations(object),
    ingress: { host, certificateName: object, annotations: ingressAnnotations(frontend, address.addressName) },
  };
}

interface GkeContext {
  project: pulumi.Output<string>;
  cloud: GoogleProvider;
  enabled: ProjectServices[];
  cluster: k8s.Provider;
  tls: TlsPolicy | undefined;
}

/** Declares what stands before the deployed parts: settings of their load balancers, and who may pass. */
export function expose(
  settings: GkeSettings,
  { noetl, gateway }: { noetl: Noetl | undefined; gateway: Gateway | undefined },
  { project, cloud, enabled, cluster, tls }: GkeContext,
): void {
  const balanceLoad = (part: keyof typeof PUBLIC, namespace: pulumi.Output<string>) =>
    new LoadBalancing(
      `${part}-load-balancing`,
      {
        namespace,
        objectName: PUBLIC[part].object,
        health: { path: PUBLIC[part].health, port: PUBLIC[part].port },
        timeoutSeconds: settings.gatewayTimeoutSeconds,
        tlsPolicy: tls?.policyName,
        iap: settings.iap
          ? { clientId: settings.iapClientId ?? "", clientSecret: pulumi.secret(settings.iapClientSecret ?? "") }
          : undefined,
      },
      { providers: { kubernetes: cluster } },
    );
  if (settings.exposure === "ingress") {
    if (gateway) balanceLoad("gateway", gateway.namespace);
    if (noetl && settings.noetlHost) balanceLoad("noetl", noetl.namespace);
  }
  if (settings.iap) admit(settings, { project, cloud, enabled });
}

/**
 * Lets members pass Identity-Aware Proxy to this stack's hosts, and to no other of the project. A member's resource bears the
 * member's name: by their places in the list, one that moves up would be granted first and then revoked under the old place.
 */
function admit(
  { iapMembers, gatewayHost, noetlHost }: GkeSettings,
  { project, cloud, enabled }: Omit<GkeContext, "cluster" | "tls">,
): void {
  const hosts = [gatewayHost, noetlHost].filter((host) => host !== undefined);
  const condition = {
    title: `noetl at ${hosts[0] ?? ""}`.slice(0, 100),
    expression: hosts.map((host) => `request.host == "${host}"`).join(" || "),
  };
  const members = [...new Set(iapMembers.map((member) => member.replace(/:.*/, (name) => name.toLowerCase())))];
  for (const member of members) {
    new iap.WebIamMember(
      `iap-${member}`,
      { project, role: "roles/iap.httpsResourceAccessor", member, condition },
      { provider: cloud, dependsOn: enabled },
    );
  }
}
