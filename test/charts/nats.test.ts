import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { natsValues } from "../../components/nats-jetstream/values";
import { ensureTools } from "../../embedded/toolchain";
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
      { env: { SERVER_NAME: "nats-0", ...env }, timeout: 30_000 },
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

  it("takes everything the program passes to nats/nats", async () => {
    const program = (more: object) =>
      natsValues({
        users: [
          { name: "noetl" },
          { name: "reader", permissions: { publish: ["$JS.API.>"], subscribe: { allow: [">"] } } },
        ],
        authSecret: "nats-auth-1a2b3c4",
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
    const [nats] = podTemplate(single, "nats", "StatefulSet").spec.containers;
    expect(nats?.env).toContainEqual({
      name: "NATS_PASSWORD_0",
      valueFrom: { secretKeyRef: { name: "nats-auth-1a2b3c4", key: "noetl.conf" } },
    });
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
    expect(await check(await conf(program({ replicas: 3 })), quoted)).toMatch(/is valid/);
  });
});
