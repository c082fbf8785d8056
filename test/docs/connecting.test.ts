import * as fs from "node:fs";
import * as path from "node:path";
import { parse } from "yaml";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { variablesOf } from "../../contract/env";
import { GATEWAY, NODE_PORTS, LOCATIONS, serviceHost, STREAM } from "../../contract/facts";
import { projectRoot } from "../../contract/project";
import { NOTIFICATION_BYTES } from "../../contract/rules/rule";
import {
  closedPort,
  natsCommand,
  rejection,
  startGateway,
  startNatsServer,
  startNoetl,
  type NatsServer,
} from "../support/nats";

const page = fs.readFileSync(path.join(projectRoot(), "docs", "connecting.md"), "utf8");
const { nats, noetl } = LOCATIONS;

interface KindCluster {
  readonly nodes: { readonly extraPortMappings: { readonly hostPort: number; readonly containerPort: number }[] }[];
}
const kind = parse(fs.readFileSync(path.join(projectRoot(), "kind", "cluster.yaml"), "utf8")) as KindCluster;
const mappings = kind.nodes.flatMap((node) => node.extraPortMappings);
/** Where kind has a NodePort on this machine. */
const onHost = (nodePort: number): string =>
  `localhost:${mappings.find(({ containerPort }) => containerPort === nodePort)?.hostPort}`;
const inCluster = ({ service, namespace, port }: { service: string; namespace: string; port: number }): string =>
  `${serviceHost(service, namespace)}:${port}`;

/** The port in the port-forward that the page tells of. */
const forwarded = /port-forward service\/nats (\d+):(\d+)/.exec(page);
const NATS = [inCluster(nats), onHost(NODE_PORTS.natsClient), `127.0.0.1:${forwarded?.[1]}`];
const MONITOR = onHost(NODE_PORTS.natsMonitor);
const API = [inCluster(noetl), onHost(NODE_PORTS.noetl)];

const URLS = [...new Set(page.match(/\b(?:nats|https?):\/\/[^\s`"')|]+/g))];
const natsUrls = URLS.filter((url) => url.startsWith("nats:"));
const addressOf = (url: string): string => new URL(url.replace(/^nats:/, "http:")).host;

/** Commands of the page's blocks that `nats` runs, without the way into nats-box, or through this project's own command. */
const commands = [...page.matchAll(/```sh\n([\s\S]*?)```/g)]
  .flatMap(([, block = ""]) => block.split("\n"))
  .map((line) => line.replace(/^kubectl -n nats exec deploy\/nats-box -- |^npm run (?=nats -- --stack kind )/, ""))
  .map((line) => line.replace(/^nats -- --stack kind /, "nats "))
  .filter((line) => line.startsWith("nats "));

const PASSWORD = "a-generated.Password_1~";
/** A server as a stack has it: no login, no way in. */
const withPassword = (password: string, monitor: number): string =>
  `jetstream: {store_dir: "DIR/jetstream", max_memory_store: 64MB, max_file_store: 64MB}\nhttp: "127.0.0.1:${monitor}"\n` +
  `authorization: {users: [{user: "noetl", password: "${password}"}]}`;

describe("the addresses of docs/connecting.md", () => {
  it("are those of the contract, of kind's ports and of the port-forward, each of them and no other", () => {
    expect(forwarded?.[2]).toBe(String(nats.port));
    expect(new Set(natsUrls.map(addressOf))).toEqual(new Set(NATS));
    const http = URLS.filter((url) => !url.startsWith("nats:")).map(addressOf);
    expect(new Set(http)).toEqual(new Set([MONITOR, ...API, onHost(NODE_PORTS.gateway)]));
    expect(page).toContain(`\`${onHost(NODE_PORTS.postgres)}\``);
  });

  it("are with those of the specification, as they stand there", () => {
    const specified = (["server", "worker", "gateway"] as const).flatMap((component) =>
      variablesOf(component).flatMap(({ name, codeDefault }) => (name === "NATS_URL" ? [codeDefault] : [])),
    );
    expect(specified).toHaveLength(3);
    for (const url of [...specified, `nats://noetl:noetl@${inCluster(nats)}`, `http://${inCluster(noetl)}`])
      expect(URLS).toContain(url);
  });
});

describe.each([
  ["the generated password", PASSWORD],
  ["the password noetl", "noetl"],
])("a real server with %s", (_, password) => {
  let server: NatsServer;
  let monitor: number;
  const login = { NATS_USER: "noetl", NATS_PASSWORD: password };
  /** A URL or command of the page, asking the test's server. */
  const here = (text: string): string =>
    NATS.reduce((each, address) => each.replaceAll(address, server.address), text).replaceAll("PASSWORD", password);

  beforeAll(async () => {
    monitor = await closedPort();
    server = await startNatsServer({ config: withPassword(password, monitor) });
    await startNoetl(server, {}, { user: "noetl", pass: password });
    await startGateway(server, {}, { user: "noetl", pass: password });
    await natsCommand(`nats --server ${server.address} pub --jetstream ${STREAM.subject} '{}'`, login);
  });
  afterAll(async () => server?.stop());

  it.each(natsUrls)("%s leads in exactly where the page says so", async (url) => {
    const command = `nats --server '${here(url)}' stream ls --names`;
    const hasLogin = url.includes("@");
    if (!hasLogin) {
      expect((await rejection(natsCommand(command))).message).toMatch(/authorization violation/i);
      expect(await natsCommand(command, login)).toContain(STREAM.name);
    } else if (url.includes("PASSWORD@") || password === "noetl") {
      expect(await natsCommand(command)).toContain(STREAM.name);
    } else {
      expect((await rejection(natsCommand(command))).message).toMatch(/authorization violation/i);
    }
  });

  it.each(commands)("`%s` shows what is there", async (command) => {
    const needsNoetl = command.includes("noetl:noetl@") && password !== "noetl";
    const running = natsCommand(here(command), { NATS_URL: `nats://${server.address}`, ...(needsNoetl ? {} : login) });
    if (needsNoetl) expect((await rejection(running)).message).toMatch(/authorization violation/i);
    else
      expect(await running).toMatch(
        command.includes(" kv ") ? GATEWAY.sessionBucket : /NOETL_COMMANDS|noetl_worker_pool/,
      );
  });

  it("is monitored without a login", async () => {
    const url = URLS.find((each) => addressOf(each) === MONITOR) ?? "";
    const answer = await fetch(url.replace(MONITOR, `127.0.0.1:${monitor}`));
    expect(await answer.text()).toContain(STREAM.name);
  });

  it("stores an announcement like the one on the page", async () => {
    const text = JSON.stringify(JSON.parse(/```json\n([\s\S]*?)```/.exec(page)?.[1] ?? ""));
    expect(Object.keys(JSON.parse(text) as object)).toEqual([
      "execution_id",
      "event_id",
      "command_id",
      "step",
      "server_url",
    ]);
    expect(text.length).toBeLessThan(NOTIFICATION_BYTES);
    const env = { NATS_URL: `nats://${server.address}`, ...login };
    await natsCommand(`nats pub --jetstream ${STREAM.subject} '${text}'`, env);
    expect(await natsCommand(`nats stream get ${STREAM.name} --last-for ${STREAM.subject}`, env)).toContain(text);
  });
});

it("the page's environment has the names that the command line reads, and its Secrets are those of the charts", () => {
  const block = page.split("By hand from this machine;")[1] ?? "";
  expect(block).toContain(
    `export NATS_URL=nats://${onHost(NODE_PORTS.natsClient)} NATS_USER=$(pulumi stack output natsUser --stack kind)`,
  );
  expect(block).toContain("export NATS_PASSWORD=$(pulumi stack output natsPassword --show-secrets --stack kind)");
  const charts = ["noetl/templates/server.yaml", "noetl/templates/worker.yaml", "gateway/templates/gateway.yaml"];
  const named = charts.map((file) => fs.readFileSync(path.join(projectRoot(), "charts", file), "utf8"));
  for (const [index, secret] of [...page.matchAll(/`([a-z-]+-credentials)`/g)].map(([, name]) => name ?? "").entries())
    expect(named[index]).toContain(`name: ${secret}`);
});
