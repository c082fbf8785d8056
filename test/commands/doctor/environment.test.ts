import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Cluster } from "../../../commands/doctor/kubernetes";
import { readEnvironment } from "../../../commands/doctor/environment";
import { expectedEnvironment } from "../../../commands/doctor/gather";
import { targetOf } from "../../../commands/doctor/target";

/** Answers of the API server, by path. */
const OBJECTS: Readonly<Record<string, unknown>> = {
  "/apis/apps/v1/namespaces/noetl/deployments/noetl-worker": {
    spec: {
      selector: {},
      template: {
        spec: {
          containers: [
            {
              name: "worker",
              envFrom: [
                { configMapRef: { name: "plain" } },
                { prefix: "NATS_", configMapRef: { name: "nats" } },
                { prefix: "NATS_", secretRef: { name: "login" } },
              ],
              env: [
                { name: "LOG_LEVEL", value: "DEBUG" },
                { name: "PREFIX", value: "$(NATS_STREAM).$$(LOG_LEVEL).a$$b.$(ABSENT)" },
                { name: "SHORT", value: "$(NATS_PASSWORD)" },
                { name: "AGAIN", value: "a.$(SHORT)" },
                { name: "SHORT", value: "now $(LOG_LEVEL)" },
                { name: "LAST", value: "$(SHORT), $$(NATS_PASSWORD)" },
              ],
            },
          ],
        },
      },
    },
  },
  "/api/v1/namespaces/noetl/configmaps/plain": { data: { LOG_LEVEL: "INFO", STREAM: "not this one" } },
  "/api/v1/namespaces/noetl/configmaps/nats": { data: { STREAM: "NOETL_COMMANDS" } },
  "/api/v1/namespaces/noetl/secrets/login": { data: { PASSWORD: Buffer.from("canary").toString("base64") } },
};

let server: http.Server;
let cluster: Cluster;

beforeAll(async () => {
  server = http.createServer((request, response) => {
    const found = OBJECTS[request.url ?? ""];
    response.writeHead(found ? 200 : 404, { "Content-Type": "application/json" }).end(JSON.stringify(found ?? {}));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const kubeconfig = JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "c", cluster: { server: `http://127.0.0.1:${port}`, "insecure-skip-tls-verify": true } }],
    contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
    users: [{ name: "u", user: {} }],
    "current-context": "c",
  });
  cluster = await Cluster.open({ kubeconfig });
});

afterAll(() => server.close());

it("reads a container's variables as the pod gets them: prefixes of whole ConfigMaps and Secrets, what comes later, and what a literal takes of a Secret", async () => {
  const found = await readEnvironment(cluster, {
    namespace: "noetl",
    deployment: "noetl-worker",
    expected: { NATS_STREAM: "NOETL_COMMANDS", PREFIX: "NOETL_COMMANDS.$(LOG_LEVEL).a$b.$(ABSENT)" },
  });
  expect(found).toEqual([
    { name: "LOG_LEVEL", value: "DEBUG", source: "literal" },
    { name: "STREAM", value: "not this one", source: "ConfigMap plain, key STREAM" },
    { name: "NATS_STREAM", value: "NOETL_COMMANDS", source: "ConfigMap nats, key STREAM", asDeployed: true },
    { name: "NATS_PASSWORD", value: "***", source: "Secret login, key PASSWORD" },
    {
      name: "PREFIX",
      value: "NOETL_COMMANDS.$(LOG_LEVEL).a$b.$(ABSENT)",
      source: "literal",
      asDeployed: true,
    },
    { name: "SHORT", value: "now DEBUG", source: "literal" },
    { name: "AGAIN", value: "***", source: "literal" },
    { name: "LAST", value: "now DEBUG, $(NATS_PASSWORD)", source: "literal" },
  ]);
});

it("expects of the pods what decides which consumers they make, too", () => {
  const config = {
    noetlLine: "rust",
    natsConsumer: "worker-pool",
    workerEnv: '{"NATS_FILTER_SUBJECT":"noetl.commands.gpu.>"}',
    serverEnv: '{"NOETL_COMMAND_ROUTING_ENABLED":"true"}',
  };
  const expected = expectedEnvironment(targetOf("kind", { config, outputs: {} }));
  expect(expected["noetl-worker"]).toMatchObject({
    NATS_CONSUMER: "worker-pool",
    NATS_FILTER_SUBJECT: "noetl.commands.gpu.>",
  });
  expect(expected["noetl-server"]).toMatchObject({ NOETL_COMMAND_ROUTING_ENABLED: "true" });
});
