/** NoETL at a leaf node without JetStream, whose hub has the stream in a domain. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { checkContract, type ContractReport } from "../../contract";
import { CONSUMER, STREAM } from "../../contract/facts";
import { freePorts } from "../../embedded/cluster/ports";
import { ADMIN } from "./probe-cases";
import { inputsFor, natsClient, startNatsServer, startNoetl, until, type NatsServer } from "../support/nats";

const USERS = "users: [{user: noetl, password: noetl}, {user: admin, password: admin}]";

let hub: NatsServer;
let leaf: NatsServer;
let leafConfig: (more?: string) => string;

beforeAll(async () => {
  const [port = 0] = await freePorts(1);
  hub = await startNatsServer({
    config: `
      leafnodes: {listen: "127.0.0.1:${port}"}
      jetstream: {store_dir: "DIR/jetstream", domain: hub, max_memory_store: 64MB, max_file_store: 64MB}
      accounts: {NOETL: {jetstream: enabled, ${USERS}}}`,
  });
  leafConfig = (more = "") => `
    ${more}
    leafnodes: {reconnect: "100ms", remotes: [{url: "nats-leaf://admin:admin@127.0.0.1:${port}", account: NOETL}]}
    accounts: {NOETL: {${USERS}}}`;
  leaf = await startNatsServer({ config: leafConfig() });
  await startNoetl(hub, {}, ADMIN);
});
afterAll(() => Promise.all([leaf.stop(), hub.stop()]));

const check = (): Promise<ContractReport> =>
  checkContract(inputsFor(leaf, { user: "noetl", password: "noetl", timeoutSeconds: 20 }), false);

it("is told to name the hub's domain, with which the contract holds and a worker gets a command", async () => {
  await expect(check()).rejects.toThrow(
    /JetStream is off at .* leaf node, .* name the hub's domain instead \(`default_js_domain`\)/,
  );

  await leaf.restart(leafConfig("default_js_domain: {NOETL: hub}"));
  // The leaf node connects to its hub once it runs.
  const { holds, report } = await until("the hub's answers", () => check().catch(() => undefined));
  expect({ holds, report }).toEqual({ holds: true, report: "" });

  const noetl = await natsClient(leaf, { user: "noetl", pass: "noetl" });
  try {
    const jetstream = noetl.jetstream();
    await jetstream.publish(STREAM.subject, "command");
    const consumer = await jetstream.consumers.get(STREAM.name, CONSUMER.name);
    expect(await (await consumer.next({ expires: 5_000 }))?.ackAck()).toBe(true);
  } finally {
    await noetl.close();
  }
});
