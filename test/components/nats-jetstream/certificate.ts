import { clientNames, routeNames } from "../../../components/nats-jetstream/tls/values";
import type { CertificateInputs } from "../../../components/nats-jetstream/tls/provider";

/** A certificate that the program makes, for the servers of a cluster of three and their clients. */
export const GENERATED: CertificateInputs = {
  source: "generated",
  namespace: "nats",
  secretName: "nats-tls",
  authorityName: "nats-ca",
  names: clientNames("nats"),
  routeNames: routeNames(3),
  timeoutSeconds: 1,
};
