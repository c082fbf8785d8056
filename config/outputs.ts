/** Outputs of a stack: its program gives them, and commands read them. */
import type { StreamNames } from "../contract/env";
import type { NoetlLogin } from "../contract/inputs";
import type { NatsRole } from "../contract/nats/roles";

/** What the last check of the contract found. */
export interface ContractOutput {
  readonly holds: boolean;
  /** What is wrong and how to fix it; empty where nothing is. */
  readonly report: string;
  /** {@link createdText} of the stream. */
  readonly stream: string;
  readonly subjects?: readonly string[];
  readonly retention?: string;
  readonly storage?: string;
  /** 0 is unlimited. */
  readonly maxAgeSeconds?: number;
  /** {@link createdText} of the consumer. */
  readonly consumer: string;
  readonly serverVersion: string;
}

/** What parts of NoETL log in to NATS with. */
export type NatsLoginsOutput = { readonly [R in NatsRole]?: NoetlLogin };

/** Outputs by name; one of a part that the stack does not deploy is missing. */
export interface StackOutputs {
  /** Where pods reach NATS, and as whom. */
  readonly natsHost: string;
  readonly natsPort: number;
  readonly natsUser: string;
  /** Secret. */
  readonly natsPassword: string;
  /** Secret; what server, workers and gateway log in with, where each has a user of its own. */
  readonly natsLogins?: NatsLoginsOutput;
  /** With user and password in it, a secret; of a NATS that the stack deploys. */
  readonly natsUrl?: string;
  /** Authorities that clients of NATS trust, PEM; of natsTls. */
  readonly natsCa?: string;
  /** When the certificate of a NATS that the stack deploys ends, ISO 8601; of natsTls. */
  readonly natsCertificateEnds?: string;
  /** What NoETL logs in with at its database. */
  readonly databaseUser?: string;
  readonly names: StreamNames;
  /** Namespaces of the parts that the stack deploys. */
  readonly namespaces: { readonly nats?: string; readonly noetl?: string; readonly gateway?: string };
  /** URL of NoETL's API inside the cluster. */
  readonly serverUrl?: string;
  /** URL of the gateway inside the cluster. */
  readonly gatewayUrl?: string;
  readonly contract?: ContractOutput;
  /** Of the cluster that a stack on GKE makes or finds; a secret. */
  readonly kubeconfig?: string;
  /** Address that images are pushed to. */
  readonly registry?: string;
  /** Addresses of a load balancer before NoETL's API and the gateway. */
  readonly noetlAddress?: string;
  readonly gatewayAddress?: string;
}

/** Name of a stream or consumer, and when it was created. */
export const createdText = (name: string, created: string | undefined): string =>
  `${name}, created ${created ?? "never"}`;

/** When that was, from such a text; undefined where it was never, or where it is another text. */
export function createdIn(text: unknown): string | undefined {
  const created = typeof text === "string" ? /, created (\d{4}-\S+)$/.exec(text)?.[1] : undefined;
  return created === undefined || Number.isNaN(Date.parse(created)) ? undefined : created;
}
