import * as crypto from "node:crypto";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { parse } from "yaml";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lineOfImage } from "../../contract/lines";
import { splitImage } from "../../components/shared";
import { idleWarnings } from "../../config/idle";
import { isChanged, parseSettings } from "../../config/parse";
import { SETTINGS } from "../../config/schema";
import { PROJECT } from "../../contract/project";
import { ONTO_EXISTING } from "../support/gke/configurations";
import { readProject } from "../support/markdown";
import { digestOf, imagesOf, placeOf, raised } from "../../scripts/images";

const MANIFEST = JSON.stringify({ schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json" });
const DIGEST = `sha256:${crypto.createHash("sha256").update(MANIFEST).digest("hex")}`;
const TOKEN = "anonymous-token";

/** What a stack's file sets, by the key without the project's name. */
function stackFile(stack: string): Record<string, string> {
  const { config } = parse(readProject(`Pulumi.${stack}.yaml`)) as { config: Record<string, string> };
  return Object.fromEntries(Object.entries(config).map(([key, value]) => [key.replace(`${PROJECT}:`, ""), value]));
}

/** A registry: `open` asks nobody, `token` for an anonymous token, `lying` says another digest, `login` a password, `silent` nothing. */
let host: string;
let asked: string[];
const server = http.createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? "", "http://registry");
  asked.push(`${pathname}${searchParams.size > 0 ? `?${searchParams.toString()}` : ""}`);
  const answer = (status: number, headers: http.OutgoingHttpHeaders = {}, body = "") =>
    response.writeHead(status, headers).end(body);
  if (pathname === "/token") return answer(200, {}, JSON.stringify({ token: TOKEN }));
  const [, repository, tag] = /^\/v2\/(.+)\/manifests\/(.+)$/.exec(pathname) ?? [];
  if (repository === "acme/silent") return;
  if (tag !== "v1" || !request.headers.accept?.includes("image.index")) return answer(404);
  if (repository === "acme/login") return answer(401, { "WWW-Authenticate": 'Basic realm="acme"' });
  if (repository === "acme/token" && request.headers.authorization !== `Bearer ${TOKEN}`)
    return answer(401, {
      "WWW-Authenticate": `Bearer realm="http://${host}/token",service="acme",scope="repository:acme/token:pull"`,
    });
  const said = repository === "acme/lying" ? `sha256:${"0".repeat(64)}` : DIGEST;
  return answer(200, repository === "acme/bare" ? {} : { "Docker-Content-Digest": said }, MANIFEST);
});

beforeAll(async () => {
  asked = [];
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

describe("an image's place", () => {
  it.each([
    ["postgres:17.4", "registry-1.docker.io", "library/postgres", "17.4"],
    ["docker.io/edoburu/pgbouncer:v1", "registry-1.docker.io", "edoburu/pgbouncer", "v1"],
    ["ghcr.io/noetl/noetl:v2.8.9", "ghcr.io", "noetl/noetl", "v2.8.9"],
    [`localhost:5000/a/b:v1@${DIGEST}`, "localhost:5000", "a/b", "v1"],
  ])("of %s is %s, %s, %s", (reference, registry, repository, tag) => {
    expect(placeOf(reference)).toMatchObject({ registry, repository, tag });
  });

  it.each(["postgres", `ghcr.io/noetl/noetl@${DIGEST}`, "localhost:5000/a"])(
    "of %s is not known without a tag",
    (text) => {
      expect(placeOf(text)).toBeUndefined();
    },
  );
});

describe("a tag's digest", () => {
  const of = (name: string, deadlineMs?: number) => {
    const place = placeOf(`${host}/acme/${name}`);
    if (!place) throw new Error(name);
    return digestOf(place, deadlineMs);
  };

  it.each(["open:v1", "bare:v1", "token:v1"])("is that of the manifest of %s", async (name) => {
    expect(await of(name)).toBe(DIGEST);
  });

  it("is asked for with the scope that the registry names", () => {
    expect(asked).toContain("/token?service=acme&scope=repository%3Aacme%2Ftoken%3Apull");
  });

  it.each([
    ["lying:v1", /^its manifest has the digest sha256:.*, and the registry says sha256:0000/],
    ["login:v1", /^it wants a login of another kind/],
    ["open:v2", /^404 Not Found$/],
  ])("of %s is not taken", async (name, why) => {
    await expect(of(name)).rejects.toThrow(why);
  });

  it("is given up after a while", async () => {
    await expect(of("silent:v1", 50)).rejects.toThrow(/timeout/);
  });
});

describe("the commands", () => {
  it("set what is new, and leave what has its tag's digest already; the rest is named", async () => {
    const pinned = `${host}/acme/open:v1@${DIGEST}`;
    const { commands, problems } = await raised(
      {
        noetlImage: `${host}/acme/open:v1`,
        gatewayImage: pinned,
        postgresImage: `${host}/acme/token:v1@sha256:${"1".repeat(64)}`,
        pgbouncerImage: `${host}/acme/open:v2`,
        contractGuardImage: `${host}/acme/open@${DIGEST}`,
      },
      { stack: "gke" },
    );
    expect(commands).toEqual([
      `pulumi config set noetlImage ${pinned} --stack gke`,
      `pulumi config set postgresImage ${host}/acme/token:v1@${DIGEST} --stack gke`,
    ]);
    expect(problems).toEqual([
      expect.stringMatching(/^contractGuardImage: ".*" has no tag/),
      expect.stringMatching(/^pgbouncerImage: 127\.0\.0\.1:\d+ does not tell the digest of .*: 404 Not Found$/),
    ]);
  });

  it("are about the images of the stack, by its own value or the default", () => {
    // What is empty is unset, and the file may hold true as a word or as a text.
    const own = { noetlImage: "localhost/noetl:v3", postgresImage: "", deployPostgres: "", deployGateway: true };
    const images = imagesOf(
      Object.fromEntries(Object.entries(own).map(([key, value]) => [`${PROJECT}:${key}`, value])),
    );
    expect(images).toEqual({
      noetlImage: "localhost/noetl:v3",
      contractGuardImage: SETTINGS.contractGuardImage.default,
      postgresImage: SETTINGS.postgresImage.default,
      gatewayImage: SETTINGS.gatewayImage.default,
    });
  });

  it.each<[string, Record<string, string>]>([
    ["Pulumi.kind.yaml", stackFile("kind")],
    ["Pulumi.kind.yaml with the gateway", { ...stackFile("kind"), deployGateway: "true" }],
    ["Pulumi.gke.yaml", stackFile("gke")],
    [
      "Pulumi.gke.yaml without the gateway",
      { ...stackFile("gke"), deployGateway: "false", exposure: "internal", gatewayHost: "", dnsZone: "" },
    ],
    ["a stack on GKE with its database in the cluster", ONTO_EXISTING],
    ["NATS alone", { deployNoetl: "false", deployPostgres: "false" }],
    ["a stack without the guard", { contractGuard: "off" }],
  ])("are taken by the next preview without a word, and no other one would be: %s", (_, raw) => {
    const config = Object.fromEntries(Object.entries(raw).map(([key, value]) => [`${PROJECT}:${key}`, value]));
    const refused = (key: string): boolean => {
      const set = { ...raw, [key]: `localhost/acme/noetl:v2.8.9@${DIGEST}` };
      try {
        return idleWarnings(parseSettings(set), (each) => isChanged(each, set)).some((each) => each.includes(key));
      } catch (error) {
        expect((error as Error).message).toContain(key);
        return true;
      }
    };
    const keys = Object.keys(SETTINGS).filter((key) => /Image$/.test(key));
    expect(Object.keys(imagesOf(config)).sort()).toEqual(keys.filter((key) => !refused(key)).sort());
  });

  it("set what settings and charts take: tag and digest, whose line of NoETL is known", () => {
    const reference = `ghcr.io/noetl/noetl:v2.8.9@${DIGEST}`;
    expect(SETTINGS.noetlImage.check?.(reference)).toBeUndefined();
    expect(lineOfImage(reference)).toEqual(lineOfImage("ghcr.io/noetl/noetl:v2.8.9"));
    const { repository, tag } = splitImage(reference);
    expect(`${repository}:${tag}`).toBe(reference);
  });
});
