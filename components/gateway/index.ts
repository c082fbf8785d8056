import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { HELM_TIMEOUT_SECONDS, DEFAULTS } from "../../contract/defaults";
import { GATEWAY, LOCATIONS, serviceHost } from "../../contract/facts";
import { natsUrlOf } from "../noetl/values";
import { ArgumentChecks } from "../arguments";
import { chartArgs, credentialsRevision, namespace, releaseRevision, resolveChart } from "../shared";
import { type GatewayArgs, TERMS } from "./arguments";
import { gatewayValues } from "./values";

export type { GatewaySubjects } from "../../contract/env";
export type { GatewayArgs } from "./arguments";

/**
 * The gateway for browsers, installed by Helm with the NATS credentials wired in.
 *
 * @throws pulumi.ResourceError for origins a browser would never send, and for names and numbers that Kubernetes or NATS would
 *   refuse; of an output when it is known.
 */
export class Gateway extends pulumi.ComponentResource {
  /** Namespace of the gateway. */
  readonly namespace: pulumi.Output<string>;
  /** URL of the gateway inside the cluster. */
  readonly url: pulumi.Output<string>;
  /** Revision of the Helm release. */
  readonly revision: pulumi.Output<number>;

  constructor(name: string, asked: GatewayArgs, opts?: pulumi.ComponentResourceOptions) {
    super("noetl-nats:index:Gateway", name, {}, opts);
    const { place, ...args } = this.checked(asked);
    const child = { parent: this };
    const { source, isOwn, digest, podSecurity } = resolveChart("gateway", args.chart);
    const ns = namespace(`${name}-namespace`, { name: place, podSecurity, policies: args.networkPolicies }, child);
    const release: k8s.helm.v3.ReleaseArgs = {
      ...chartArgs(source),
      name: "gateway",
      namespace: ns,
      timeout: args.timeoutSeconds ?? HELM_TIMEOUT_SECONDS.kubernetes,
      values: gatewayValues({
        ...args,
        namespace: ns,
        noetlUrl:
          args.noetlUrl ??
          `http://${serviceHost(LOCATIONS.noetl.service, LOCATIONS.noetl.namespace)}:${LOCATIONS.noetl.port}`,
        authBypass: args.authBypass ?? false,
        credentialsRevision: credentialsRevision(`${name}-credentials`, { nats: natsUrlOf(args.nats) }, child),
        chartDigest: digest,
      }),
    };
    const installed = new k8s.helm.v3.Release(`${name}-release`, args.transform?.(release) ?? release, child);
    this.namespace = ns;
    this.revision = releaseRevision(installed);
    // Another chart may let the Service listen elsewhere, whatever its values say; upstream's takes port 80.
    const port = isOwn
      ? LOCATIONS.gateway.port
      : k8s.core.v1.Service.get(
          `${name}-service`,
          installed.status.apply((status) => `${status.namespace}/${LOCATIONS.gateway.service}`),
          child,
        ).spec.ports[0]?.port;
    this.url = pulumi.all([ns, port]).apply(([where, number]) => {
      const host = serviceHost(LOCATIONS.gateway.service, where);
      return number === undefined ? `http://${host}` : `http://${host}:${number}`;
    });
    this.registerOutputs({ namespace: this.namespace, url: this.url, revision: this.revision });
  }

  /** The arguments as they are to be used, with defaults. */
  private checked(asked: GatewayArgs | undefined) {
    const checks = new ArgumentChecks(this);
    const args = checks.all(asked, TERMS);
    checks.done();
    return {
      ...args,
      place: args.namespace ?? LOCATIONS.gateway.namespace,
      image: args.image ?? DEFAULTS.gatewayImage,
      replicas: args.replicas ?? DEFAULTS.gatewayReplicas,
      subjects: { ...GATEWAY, ...args.subjects },
    };
  }
}
