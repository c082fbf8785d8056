/** Host names of Services inside a cluster, distinguished from those that any machine can resolve. */

/** A Service of the cluster, or one pod behind it. */
export interface ServicePlace {
  readonly namespace: string;
  readonly service: string;
  readonly pod?: string;
}

const LABEL = "[a-z0-9](?:[-a-z0-9]*[a-z0-9])?";

/** `service.namespace.svc`, with the cluster's domain or without it, and with a pod of a StatefulSet before it. */
const SERVICE_HOST = new RegExp(`^(?:(${LABEL})\\.)?(${LABEL})\\.(${LABEL})\\.svc(?:\\.${LABEL})*\\.?$`);

/** `service.namespace`, which pods resolve as well. */
const SHORT_HOST = new RegExp(`^(${LABEL})\\.(${LABEL})$`);

/**
 * Last labels of two-label names that are taken for names outside of the cluster: countries' (two letters), the usual ones of
 * the internet and of private networks, and numbers. A namespace of such a name (`nats.dev`) is written with `.svc`.
 */
const OUTSIDE = new RegExp(
  "^(?:[a-z]{2}|\\d+|svc|arpa|biz|com|edu|gov|info|int|mil|name|net|org|pro|app|cloud|dev|online|site|tech|" +
    "corp|home|host|internal|intranet|lan|local|localdomain|localhost|private)$",
);

/** The Service that a host name means inside the cluster; undefined for every other name. */
export function servicePlace(host: string): ServicePlace | undefined {
  const name = host.toLowerCase();
  const [, pod, service, namespace] = SERVICE_HOST.exec(name) ?? [];
  if (service !== undefined && namespace !== undefined) {
    return { namespace, service, pod };
  }
  const [, short, last] = SHORT_HOST.exec(name) ?? [];
  return short === undefined || last === undefined || OUTSIDE.test(last)
    ? undefined
    : { namespace: last, service: short };
}
