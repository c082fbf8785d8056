/** What is made of answers that a Kubernetes API does not give: of proxies, of servers that restart, of addresses that are none. */
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, it } from "vitest";
import { Cluster } from "../../../commands/doctor/kubernetes";
import { ConnectError } from "../../../contract";
import { secretBytes } from "../../../contract/kubernetes/objects";
import { rejection } from "../../support/nats";

let server: http.Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
  server = undefined;
});

const clusterAt = (address: string): Promise<Cluster> =>
  Cluster.open({
    kubeconfig: JSON.stringify({
      clusters: [{ name: "a", cluster: { server: address } }],
      users: [{ name: "a", user: { token: "Right-Token.7" } }],
      contexts: [{ name: "a", context: { cluster: "a", user: "a" } }],
      "current-context": "a",
    }),
  });

async function answering(answer: http.RequestListener): Promise<Cluster> {
  const started = http.createServer(answer);
  server = started;
  await new Promise<void>((resolve) => started.listen(0, "127.0.0.1", resolve));
  return clusterAt(`http://127.0.0.1:${(started.address() as AddressInfo).port}`);
}

it.each<[string, http.RequestListener, RegExp]>([
  [
    "breaks off",
    (_, response) => {
      response.writeHead(200, { "content-length": 100 });
      response.write('{"items":', () => response.destroy());
    },
    /cannot be reached: its answer broke off$/,
  ],
  ["is a page", (_, response) => response.end("<html>Log in</html>"), /is not a Kubernetes API: no JSON$/],
  ["is nothing", (_, response) => response.end("null"), /is not a Kubernetes API: no JSON$/],
])("an answer that %s fails as what it is", async (_how, answer, words) => {
  const cluster = await answering(answer);
  for (const question of [cluster.list("pods", "nats"), cluster.read("secrets", { namespace: "nats", name: "a" })]) {
    const error = await rejection(question);
    expect(error).toBeInstanceOf(ConnectError);
    expect(error.message).toMatch(words);
  }
});

it("a list without items is empty, and what is not there is undefined", async () => {
  const cluster = await answering(({ url }, response) => {
    response.statusCode = url?.endsWith("/gone") === true ? 404 : 200;
    response.end('{"items":null}');
  });
  expect(await cluster.list("events", "nats")).toEqual([]);
  expect(await cluster.read("secrets", { namespace: "nats", name: "gone" })).toBeUndefined();
});

it.each(["127.0.0.1:6443", "localhost:6443", "ftp://127.0.0.1", "Right-Token.7"])(
  "the server %s is not an address, and is not repeated",
  async (address) => {
    const error = await rejection((await clusterAt(address)).list("pods", "nats"));
    expect(error).toMatchObject({ problem: "bad-kubeconfig" });
    expect(error.message).toMatch(
      /is not an address; allowed: a URL that begins with https:\/\/ or http:\/\/, for example/,
    );
    expect(error.message).not.toContain(address);
  },
);

it("a connection that the server has closed while it waited is no failure", async () => {
  const cluster = await answering((_, response) => response.end('{"items":[]}'));
  for (let i = 0; i < 3; i++) {
    await cluster.list("pods", "nats");
    // Closed, and not seen as closed yet: nothing else is done before the next question.
    await new Promise((resolve) => setImmediate(resolve));
    server?.closeAllConnections();
    expect(await cluster.list("pods", "nats")).toEqual([]);
  }
});

it("of a Secret, what is no text is told apart, so that its base64 is known to the mask", () => {
  const key = Buffer.from([200, 201, 2, 3, 255, 1]).toString("base64");
  expect(secretBytes({ key, text: Buffer.from("schön").toString("base64") })).toEqual([key]);
  expect(secretBytes(null)).toEqual([]);
});
