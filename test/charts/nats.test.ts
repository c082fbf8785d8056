import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { usersText } from "../../contract/nats/users";
import { natsValues, routeSecret } from "../../components/nats-jetstream/values";
import { ensureTools } from "../../embedded/toolchain";
import { certificate } from "../support/certificates";
import { CASES } from "./cases";
import { type Values, find, podTemplate, render, valuesFile } from "./helm";

let folder: string;
beforeAll(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-conf-"))));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

const conf = async (values: Values) =>
  find(await render("nats", values), "ConfigMap", "nats-config").data?.["nats.conf"] ?? "";

/** What the real nats-server says of a configuration; the passwords are as the Secret holds them, in quotes. */
async function check(text: string, env: Record<string, string>): Promise<string> {
  const { "nats-server": binary } = await ensureTools(["nats-server"]);
  const file = path.join(folder, "nats.conf");
  fs.writeFileSync(file, text);
  return new Promise((resolve) => {
    execFile(
      binary,
      ["-t", "-c", file],
      { env: { SERVER_NAME: "nats-0", ...env }, timeout: 60_000 },
      (_, stdout, stderr) => resolve(stdout + stderr),
    );
  });
}

describe("the stand-in for nats/nats", () => {
  const quoted = { NATS_PASSWORD: '"7k"', NATS_PASSWORD_0: '"12e5"', NATS_PASSWORD_1: '"true"' };

  it.each(CASES.filter(({ chart }) => chart === "nats"))("$name: nats-server accepts nats.conf", async ({ values }) => {
    expect(await check(await conf(values), quoted)).toMatch(/configuration file .* is valid/);
  });

  it("writes << x >> without quotes, so that a password comes from the environment", async () => {
    const text = await conf(valuesFile("nats-single"));
    expect(text).toContain('"password": $NATS_PASSWORD_0,');
    // Not in quotes in the environment either, nats-server reads it as a size.
    expect(await check(text, { ...quoted, NATS_PASSWORD_0: "7k" })).not.toMatch(/is valid/);
  });

  it("renders include directives and everything JSON would escape as it stands", async () => {
    const text = await conf({
      config: { merge: { aaa$include: "./first.conf", zzz$include: "./last.conf", tags: ['<a>&"b"\\u003c', "$KV.>"] } },
    });
    expect(text).toMatch(/^\{\n {2}include \.\/first\.conf;\n/);
    expect(text).toMatch(/\n {2}include \.\/last\.conf;\n\}\n$/);
    expect(text).toContain('"<a>&\\"b\\"\\\\u003c",\n    "$KV.>"\n');
  });

  it("takes certificates for clients and routes, which the server reads and the reloader watches; nats-box has no key", async () => {
    const values = natsValues({
      ...{
        usersSecret: "nats-users",
        box: { user: "noetl", secret: "nats-box" },
        replicas: 3,
        routeSecret: "nats-routes",
      },
      ...{ fileStoreSize: "5Gi", memoryStoreSize: "1Gi", memoryLimit: "1536Mi" },
      tls: { certificate: "nats-tls", authority: "nats-ca" },
    });
    const objects = await render("nats", values);
    const { containers, volumes } = podTemplate(objects, "nats", "StatefulSet").spec;
    expect(volumes).toEqual(
      expect.arrayContaining([
        { name: "tls-ca", secret: { secretName: "nats-ca" } },
        { name: "nats-tls", secret: { secretName: "nats-tls" } },
        { name: "cluster-tls", secret: { secretName: "nats-tls" } },
      ]),
    );
    const files = [
      "nats-certs/nats/tls.crt",
      "nats-certs/nats/tls.key",
      "nats-certs/cluster/tls.crt",
      "nats-ca-cert/ca.crt",
    ];
    const reloader = containers.find(({ name }) => name === "reloader");
    for (const file of files) expect(reloader?.args, file).toContain(`/etc/${file}`);
    for (const { name, volumeMounts } of containers) {
      const paths = (volumeMounts as { mountPath: string }[]).map(({ mountPath }) => mountPath);
      expect(paths, name).toEqual(
        expect.arrayContaining(["/etc/nats-certs/nats", "/etc/nats-certs/cluster", "/etc/nats-ca-cert"]),
      );
    }
    const box = podTemplate(objects, "nats-box").spec;
    expect(JSON.stringify(box)).not.toContain("nats-tls");
    expect(box.volumes).toContainEqual({ name: "tls-ca", secret: { secretName: "nats-ca" } });
    const contexts = find(objects, "Secret", "nats-box-contexts") as { stringData?: Record<string, string> };
    expect(JSON.parse(contexts.stringData?.["default.json"] ?? "")).toMatchObject({ ca: "/etc/nats-ca-cert/ca.crt" });
    // The real server reads the files; only their folder is another here.
    const authority = certificate("authority");
    const { cert, key } = certificate("nats", { issuer: authority, names: ["nats"] });
    const text = (await conf(values)).replace(/^\s*include .*$/m, "").replaceAll('"/etc/', `"${folder}/`);
    for (const [name, content] of [
      ["tls.crt", cert],
      ["tls.key", key],
      ["ca.crt", authority.cert],
    ] as const) {
      for (const place of ["nats-certs/nats", "nats-certs/cluster", "nats-ca-cert"]) {
        fs.mkdirSync(path.join(folder, place), { recursive: true });
        fs.writeFileSync(path.join(folder, place, name), content);
      }
    }
    const { "password.conf": password = "", "routes.conf": routes = "" } = routeSecret("s3cretPassword", 3, true);
    const env = { NATS_ROUTE_PASSWORD: password, NATS_ROUTES: routes };
    expect(await check(text, env)).toMatch(/configuration file .* is valid/);
    fs.writeFileSync(path.join(folder, "nats-certs/cluster/tls.key"), authority.key);
    expect(await check(text, env)).toMatch(/private key does not match public key/);
  });

  it("takes everything the program passes to nats/nats", async () => {
    const program = (more: object) =>
      natsValues({
        usersSecret: "nats-users",
        box: { user: "noetl", secret: "nats-box-1a2b3c4" },
        fileStoreSize: "5Gi",
        memoryStoreSize: "1Gi",
        memoryLimit: "1536Mi",
        replicas: 1,
        ...more,
      });
    const single = await render(
      "nats",
      program({ clientNodePort: 30422, monitorNodePort: 30822, chartDigest: "a", storageClass: "fast" }),
    );
    expect(find(single, "Service", "nats").spec).toMatchObject({
      type: "NodePort",
      ports: [
        { name: "nats", port: 4222, nodePort: 30422 },
        { name: "monitor", port: 8222, nodePort: 30822 },
      ],
    });
    // Server and reloader mount the file of users, and the reloader watches it.
    const { containers, volumes } = podTemplate(single, "nats", "StatefulSet").spec;
    const mount = { name: "users", mountPath: "/etc/nats-users", readOnly: true };
    expect(volumes).toContainEqual({ name: "users", secret: { secretName: "nats-users" } });
    for (const { name, volumeMounts } of containers) expect(volumeMounts, name).toContainEqual(mount);
    const reloader = containers.find(({ name }) => name === "reloader");
    expect(reloader?.args?.slice(-2)).toEqual(["-config", "/etc/nats-users/users.conf"]);
    // The chart gives none by itself, so what it misses stands bare.
    for (const { spec } of [podTemplate(single, "nats", "StatefulSet"), podTemplate(single, "nats-box")]) {
      for (const { name, resources } of spec.containers) {
        expect(resources, name).toEqual({
          requests: { cpu: expect.any(String) as string, memory: expect.any(String) as string },
          limits: { memory: expect.any(String) as string },
        });
      }
    }
    const cluster = await render("nats", program({ replicas: 3 }));
    expect(find(cluster, "StatefulSet", "nats").spec?.replicas).toBe(3);
    const text = await conf(program({ replicas: 3 }));
    expect(text).toContain("include ../nats-users/users.conf;");
    // Largest message and result of NoETL's in bytes; nats-server reads the rest of the text below.
    for (const limit of ['"max_connections": 2000', '"max_payload": 1048576', '"write_deadline": "10s"'])
      expect(text).toContain(limit);
    expect(await conf(program({ maxConnections: 300 }))).toContain('"max_connections": 300');
    // The folder of nats.conf and that of the users stand side by side in the pod.
    const users = path.join(folder, "..", `${path.basename(folder)}-users`);
    fs.mkdirSync(users);
    const named = text.replace("../nats-users/", `../${path.basename(users)}/`);
    const permissions = { publish: ["$JS.API.>"], subscribe: { allow: [">"] } };
    const logins = ["7k", "12e5", "true", "1.2~b-3"].map((password) => ({
      user: `u-${password}`,
      password,
      permissions,
    }));
    fs.writeFileSync(path.join(users, "users.conf"), usersText(logins));
    expect(await check(named, quoted)).toMatch(/is valid/);
    fs.rmSync(users, { recursive: true });
    expect(await check(named, quoted)).not.toMatch(/is valid/);
  });
});
