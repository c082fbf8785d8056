/** The kubeconfig of a cluster, and the first question that is asked with it. */
import * as https from "node:https";
import { KubeConfig } from "@kubernetes/client-node";

export function kubeconfigText(port: number, token: string, certificate: Buffer): string {
  return JSON.stringify({
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
  });
}

/** Asks for readiness without credentials. Another API server on the port has another certificate. */
export function isReady(kubeconfigContent: string): Promise<boolean> {
  const kubeconfig = new KubeConfig();
  kubeconfig.loadFromString(kubeconfigContent);
  const cluster = kubeconfig.getCurrentCluster();
  return new Promise((resolve) => {
    const request = https.get(
      new URL("/readyz", cluster?.server),
      { ca: Buffer.from(cluster?.caData ?? "", "base64"), timeout: 2000 },
      (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      },
    );
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(false));
  });
}
