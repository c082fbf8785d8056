/** The kubeconfig of a cluster, and the first question that is asked with it. */
import * as https from "node:https";

/** The part of a kubeconfig that says where the cluster is. */
interface Kubeconfig {
  readonly clusters: readonly [
    {
      readonly name: string;
      readonly cluster: { readonly server: string; readonly "certificate-authority-data": string };
    },
  ];
}

export function kubeconfigText(port: number, token: string, certificate: Buffer): string {
  const content: Kubeconfig & Record<string, unknown> = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": "embedded",
    clusters: [
      {
        name: "embedded",
        cluster: {
          server: `https://127.0.0.1:${port}`,
          "certificate-authority-data": certificate.toString("base64"),
        },
      },
    ],
    users: [{ name: "admin", user: { token } }],
    contexts: [{ name: "embedded", context: { cluster: "embedded", user: "admin" } }],
  };
  return JSON.stringify(content);
}

/**
 * Asks for readiness without credentials. Another API server on the port has another certificate.
 *
 * @param kubeconfig text that {@link kubeconfigText} gave
 */
export function isReady(kubeconfig: string): Promise<boolean> {
  const [entry] = (JSON.parse(kubeconfig) as Kubeconfig).clusters;
  return new Promise((resolve) => {
    const request = https.get(
      new URL("/readyz", entry.cluster.server),
      { ca: Buffer.from(entry.cluster["certificate-authority-data"], "base64"), timeout: 2000 },
      (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      },
    );
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(false));
  });
}
