/** TLS of NATS: where the certificate comes from. */
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { LOCATIONS } from "../../../contract/facts";
import { derived } from "../../arguments";
import type { ClusterArgs } from "../users/resource";
import { NatsCertificate } from "./resource";
import { clientNames, checkedNames, routeNames } from "./values";

/** Where the certificate of NATS comes from. */
export interface NatsTlsArgs {
  /**
   * `generated`: the program makes an authority and a certificate, and renews them. `secret`: somebody keeps a Secret. `cert-manager`:
   * the program asks cert-manager, which has to be in the cluster, for one.
   */
  from: "generated" | "secret" | "cert-manager";
  /** Name of the Secret, with `tls.crt`, `tls.key` and `ca.crt`, in the namespace of NATS. Of `from` `secret`. */
  secret?: pulumi.Input<string>;
  /** Issuer of cert-manager. Of `from` `cert-manager`. */
  issuer?: { kind: pulumi.Input<"Issuer" | "ClusterIssuer">; name: pulumi.Input<string> };
}

/** Secret that the program, or cert-manager, writes; below the name of the release. */
const CERTIFICATE_SECRET = `${LOCATIONS.nats.service}-tls`;
/** Secret with the authorities alone. */
const AUTHORITY_SECRET = `${LOCATIONS.nats.service}-ca`;

interface Place {
  readonly tls: NatsTlsArgs;
  readonly cluster: ClusterArgs;
  readonly namespace: pulumi.Output<string>;
  readonly replicas: pulumi.Input<number>;
}

/** The certificate, once it is in its Secret. */
export function certificateOf(
  name: string,
  { tls, cluster, namespace, replicas }: Place,
  opts: pulumi.CustomResourceOptions,
): NatsCertificate {
  const isGenerated = tls.from === "generated";
  const asked = tls.from === "cert-manager" ? [certificateRequest(name, { tls, namespace, replicas }, opts)] : [];
  return new NatsCertificate(
    `${name}-certificate`,
    {
      source: isGenerated ? "generated" : "secret",
      cluster,
      namespace,
      secretName: tls.secret ?? CERTIFICATE_SECRET,
      authorityName: AUTHORITY_SECRET,
      names: namespace.apply(isGenerated ? clientNames : checkedNames),
      routeNames: derived(replicas, routeNames),
    },
    { ...opts, dependsOn: asked },
  );
}

/** What cert-manager is asked for. It renews by itself. */
function certificateRequest(
  name: string,
  { tls, namespace, replicas }: Omit<Place, "cluster">,
  opts: pulumi.CustomResourceOptions,
): k8s.apiextensions.CustomResource {
  return new k8s.apiextensions.CustomResource(
    `${name}-certificate-request`,
    {
      apiVersion: "cert-manager.io/v1",
      kind: "Certificate",
      metadata: { name: CERTIFICATE_SECRET, namespace },
      spec: {
        secretName: CERTIFICATE_SECRET,
        issuerRef: { group: "cert-manager.io", ...tls.issuer },
        dnsNames: pulumi
          .all([namespace, replicas])
          .apply(([place, servers]) => [
            ...clientNames(place).filter((each) => !/^[\d.]+$/.test(each)),
            ...routeNames(servers),
          ]),
        ipAddresses: ["127.0.0.1"],
        usages: ["digital signature", "key encipherment", "server auth", "client auth"],
        privateKey: { algorithm: "ECDSA", size: 256, rotationPolicy: "Always" },
      },
    },
    opts,
  );
}
