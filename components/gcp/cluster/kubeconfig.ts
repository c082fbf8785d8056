/** How a cluster is reached. */
export interface ClusterAccess {
  /** Unique name of the cluster, for context and user. */
  readonly name: string;
  /** Host, or host and port, of the control plane. */
  readonly endpoint: string;
  /** Certificate authority of the control plane, PEM in base64; unset for an endpoint with a name, which has a public one. */
  readonly caCertificate?: string;
}

/** The command that gets a token for the Google identity of whoever runs the program. */
export const AUTH_PLUGIN = "gke-gcloud-auth-plugin";

/**
 * A kubeconfig without any credential in it: a token is fetched when one is needed, with Application Default
 * Credentials. Those are a person's login, a service account, or Workload Identity Federation in a workflow; the same
 * that the rest of the program works with, so no second login and no gcloud is needed.
 */
export function execKubeconfig(access: ClusterAccess): string {
  const { name } = access;
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      {
        name,
        cluster: {
          server: `https://${access.endpoint}`,
          "certificate-authority-data": access.caCertificate || undefined,
        },
      },
    ],
    contexts: [{ name, context: { cluster: name, user: name } }],
    "current-context": name,
    users: [
      {
        name,
        user: {
          exec: {
            apiVersion: "client.authentication.k8s.io/v1beta1",
            command: AUTH_PLUGIN,
            args: ["--use_application_default_credentials"],
            installHint: `Install ${AUTH_PLUGIN}: gcloud components install ${AUTH_PLUGIN}, or apt-get install google-cloud-cli-${AUTH_PLUGIN}`,
            provideClusterInfo: true,
            interactiveMode: "Never",
          },
        },
      },
    ],
  });
}
