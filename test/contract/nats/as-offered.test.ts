/** Servers that an update is about to change, with TLS or without; the cluster's API, which leads to them, is left out here. */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import { Deadline } from "../../../contract/deadline";
import { asServersAre, withDefaults } from "../../../contract/inputs";
import { openSession } from "../../../contract/nats/connect";
import { dialServer } from "../../../contract/nats/transport";
import { certificate } from "../../support/certificates";
import { rejection, startNatsServer, type NatsServer } from "../../support/nats";

let address = "";
vi.mock("../../../contract/nats/transport", async (original) => {
  const transport = await original<typeof import("../../../contract/nats/transport.js")>();
  return { ...transport, dialPortForward: (_: unknown, deadline: Deadline) => dialServer(address, deadline) };
});

let dir: string;
beforeAll(() => (dir = fs.mkdtempSync(path.join(os.tmpdir(), "as-offered-"))));
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));
const servers: NatsServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

const USERS = `authorization {users: [{user: noetl, password: "right-Password.1"}]}`;

async function started(secured: boolean): Promise<void> {
  const { cert, key } = certificate("somebody", { names: ["other.example"], expired: true });
  fs.writeFileSync(path.join(dir, "tls.crt"), cert);
  fs.writeFileSync(path.join(dir, "tls.key"), key);
  const tls = secured ? `tls {cert_file: "${dir}/tls.crt", key_file: "${dir}/tls.key"}` : "";
  const server = await startNatsServer({ config: `${USERS}\n${tls}` });
  servers.push(server);
  ({ address } = server);
}

const inputs = (password: string) => withDefaults({ connection: { tls: { ca: "any" } }, user: "noetl", password });

it.each([
  ["with TLS, whatever their certificate", true],
  ["without", false],
])("are asked %s, and by their own users alone", async (_how, secured) => {
  await started(secured);
  const session = await openSession(asServersAre(inputs("right-Password.1")), new Deadline(5000));
  expect(session.serverVersion).toMatch(/^\d/);
  await session.close();
  const wrong = rejection(openSession(asServersAre(inputs("wrong-Password.1")), new Deadline(5000)));
  expect(await wrong).toMatchObject({ problem: "wrong-password" });
});

it("are nowhere else taken as they are: an address may be anybody's", () => {
  const direct = withDefaults({ connection: { servers: ["127.0.0.1:4222"] } });
  expect(asServersAre(direct)).toBe(direct);
});
