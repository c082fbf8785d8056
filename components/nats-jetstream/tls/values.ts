/** Values of the chart nats/nats for TLS, and the names that a certificate has. */
import type * as pulumi from "@pulumi/pulumi";
import { LOCATIONS, serviceHost } from "../../../contract/facts";
import { TLS_FILES } from "../../../contract/nats/certificate";

/** Names of the two Secrets. */
export interface TlsSecrets {
  /** With certificate and key. */
  certificate: pulumi.Input<string>;
  /** With the authorities alone: nats-box mounts it, too. */
  authority: pulumi.Input<string>;
}

const files = { cert: TLS_FILES.certificate, key: TLS_FILES.key } as const;

/** Of the server for its clients, and of what nats-box trusts. Mounted below /etc, which the reloader watches. */
export const serverTls = ({ certificate, authority }: TlsSecrets) => ({
  config: { nats: { tls: { enabled: true, secretName: certificate, ...files } } },
  authority: { tlsCA: { enabled: true, secretName: authority, key: TLS_FILES.authority } },
});

/** Of the servers of a cluster for one another: each shows its certificate, and asks for the other's. */
export const clusterTls = ({ certificate }: TlsSecrets) => ({
  tls: { enabled: true, secretName: certificate, ...files },
});

export const routeScheme = (isTls: boolean): "tls" | "nats" => (isTls ? "tls" : "nats");

const { service } = LOCATIONS.nats;

/** Names that clients connect by: the Service's, the shortest of which nats-box uses, and those of a port-forward or NodePort. */
export const clientNames = (namespace: string): string[] => [
  serviceHost(service, namespace),
  service,
  `${service}.${namespace}`,
  `${service}.${namespace}.svc`,
  "localhost",
  "127.0.0.1",
];

/** Names by which a Secret's certificate is checked: pods connect by it, and so does the contract. */
export const checkedNames = (namespace: string): string[] => [serviceHost(service, namespace), service];

/** Names that servers of a cluster connect to one another by: those of the chart's headless Service; none of a lone server. */
export const routeNames = (replicas: number): string[] =>
  replicas === 1 ? [] : Array.from({ length: replicas }, (_, index) => `${service}-${index}.${service}-headless`);
