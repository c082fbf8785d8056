/** Host names of Services inside a cluster, told apart from those that any machine can resolve. */

/** A Service of the cluster, or one pod behind it. */
export interface ServicePlace {
  readonly namespace: string;
  readonly service: string;
  readonly pod?: string;
}

const LABEL = "[a-z0-9](?:[-a-z0-9]*[a-z0-9])?";

/** `service.namespace.svc`, with the cluster's domain or without it, and with a pod of a StatefulSet before it. */
const SERVICE_HOST = new RegExp(`^(?:(${LABEL})\\.)?(${LABEL})\\.(${LABEL})\\.svc(?:\\.${LABEL})*\\.?$`);

/**
 * The Service that a host name means inside the cluster; undefined for every other name. `service.namespace` alone is not
 * taken for one, because names of the internet look the same.
 */
export function servicePlace(host: string): ServicePlace | undefined {
  const [, pod, service, namespace] = SERVICE_HOST.exec(host.toLowerCase()) ?? [];
  if (service === undefined || namespace === undefined) return undefined;
  return { namespace, service, ...(pod === undefined ? {} : { pod }) };
}
