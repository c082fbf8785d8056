import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { generated } from "../../components/nats-jetstream/tls/provider";
import { checkContract, withDefaults, type ContractInputs } from "../../contract";
import { GENERATED } from "../components/nats-jetstream/certificate";
import { certificate } from "../support/certificates";
import { readProject, tableRows } from "../support/markdown";
import { JETSTREAM, natsCommand, rejection, startNatsServer, startNoetl, type NatsServer } from "../support/nats";

const page = readProject("docs/tls.md");
const PASSWORD = "a-generated.Password_1~";
const LOGIN = `authorization: {users: [{user: "noetl", password: "${PASSWORD}"}]}`;
const MADE = generated(GENERATED, undefined, new Date());

let folder: string;
let made = 0;
const servers: NatsServer[] = [];

beforeAll(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), "docs-tls-"))));
afterAll(async () => {
  for (const server of servers) await server.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});

/** A server that asks for a login; with TLS where it is given a certificate. */
async function started(tls?: { cert: string; key: string }): Promise<NatsServer> {
  const files = { cert: path.join(folder, `${made++}.crt`), key: path.join(folder, `${made++}.key`) };
  for (const [name, text] of Object.entries(tls ?? {})) fs.writeFileSync(files[name as "cert"], text);
  const block = tls ? `tls {cert_file: "${files.cert}", key_file: "${files.key}"}` : "";
  const server = await startNatsServer({ config: `${JETSTREAM}\n${LOGIN}\n${block}` });
  servers.push(server);
  return server;
}

const OWN = { cert: MADE.files?.["tls.crt"] ?? "", key: MADE.files?.["tls.key"] ?? "" };

it("the commands with which somebody else connects show the stream of a server with a generated certificate", async () => {
  const block = /```sh\n(pulumi stack output natsCa[\s\S]*?)```/.exec(page)?.[1] ?? "";
  expect(block).toContain("localhost:30422");
  const server = await started(OWN);
  await startNoetl(server, {}, { user: "noetl", pass: PASSWORD, tls: { ca: MADE.state.ca } });
  const outputs = { natsCa: MADE.state.ca, natsUser: "noetl", natsPassword: PASSWORD };
  for (const [name, value] of Object.entries(outputs)) fs.writeFileSync(path.join(folder, name), value);
  const pulumi = `pulumi() { [ "$1 $2" = "stack output" ] && cat "${folder}/$3"; }`;
  const here = block.replace("localhost:30422", `localhost:${server.port}`);
  expect(await natsCommand(`${pulumi}\ncd "${folder}"\n${here}`)).toContain("NOETL_COMMANDS");
});

describe("a message of the page", () => {
  const rows = tableRows(page.split("## When it fails")[1] ?? "").map(
    ([what = "", message = ""]) => [what, message] as const,
  );
  const authority = certificate("test authority");
  const signed = (options: Parameters<typeof certificate>[1] = {}) =>
    certificate("nats", { issuer: authority, names: ["127.0.0.1"], ...options });
  const CASES: Record<string, { tls?: { cert: string; key: string }; ca?: string }> = {
    "the certificate has expired": { tls: signed({ expired: true }), ca: authority.cert },
    "it is for another name": { tls: signed({ names: ["nats.example"] }), ca: authority.cert },
    "it is of another authority": { tls: signed(), ca: certificate("stranger").cert },
    "TLS asked of a server without": { ca: authority.cert },
    "a server with TLS, asked without": { tls: signed() },
  };

  it("is tried for each row", () => expect(rows.map(([what]) => what)).toEqual(Object.keys(CASES)));

  it.each(rows)("is what the check says: %s", async (what, message) => {
    const { tls, ca } = CASES[what] ?? {};
    const { address } = await started(tls);
    const inputs: ContractInputs = withDefaults({
      connection: { servers: [address], ...(ca ? { tls: { ca } } : {}) },
      user: "noetl",
      password: PASSWORD,
      timeoutSeconds: 5,
    });
    const said = (await rejection(checkContract(inputs))).message;
    // Dots stand for an address; the rest is an example of its kind.
    const parts = message
      .replace(/on \d{4}-\d\d-\d\d$/, "on ")
      .replace("nats.nats.svc.cluster.local", "127.0.0.1")
      .split("...");
    for (const part of parts.map((each) => each.trim()).filter(Boolean)) expect(said).toContain(part);
  });
});
