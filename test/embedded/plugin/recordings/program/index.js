// The program that was recorded. Configuration `stage`: create (default), update, grow, bad, badobj, rename.
const k8s = require("@pulumi/kubernetes");
const pulumi = require("@pulumi/pulumi");

const stage = new pulumi.Config().get("stage") ?? "create";
const updated = stage === "update";
const version = "4.29.0";
const provider = new k8s.Provider(
  "p",
  { kubeconfig: process.env.KUBECONFIG, enableServerSideApply: true },
  { version },
);
const options = { provider, version };

const ns = new k8s.core.v1.Namespace("ns", { metadata: { name: "rec" } }, options);
const namespace = ns.metadata.name;
const password = pulumi.secret(updated ? "canary-two" : "canary-one");
const secret = new k8s.core.v1.Secret(
  "creds",
  { metadata: { name: "creds", namespace }, stringData: { password } },
  options,
);
new k8s.core.v1.Service(
  "svc",
  {
    metadata: { name: "svc", namespace },
    spec: { type: "NodePort", selector: { app: "sample" }, ports: [{ port: 80, nodePort: updated ? 30081 : 30080 }] },
  },
  options,
);
new k8s.core.v1.ConfigMap("cm", { metadata: { namespace }, data: { a: updated ? "2" : "1" } }, options);
new k8s.batch.v1.Job(
  "job",
  {
    metadata: { name: "job", namespace },
    spec: {
      backoffLimit: 0,
      template: {
        spec: { restartPolicy: "Never", containers: [{ name: "c", image: updated ? "sample:2" : "sample:1" }] },
      },
    },
  },
  { ...options, customTimeouts: { create: "60s" } },
);
const values = {
  replicas: updated ? 2 : 1,
  setting: updated ? "b" : "a",
  secretSetting: password,
  claim: stage === "grow" ? "2Gi" : "1Gi",
};
const release = new k8s.helm.v3.Release(
  "rel",
  { name: stage === "rename" ? "sample2" : "sample", chart: "./chart", namespace, timeout: 60, values },
  { ...options, dependsOn: [secret] },
);
if (stage === "bad") new k8s.helm.v3.Release("missing", { chart: "./nochart", namespace }, options);
if (stage === "badobj") {
  new k8s.core.v1.Service("badsvc", { metadata: { name: "Bad_Name", namespace }, spec: { ports: [] } }, options);
}
exports.status = release.status.status;
exports.names = release.resourceNames;
exports.relName = release.name;
