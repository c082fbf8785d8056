import * as pulumi from "@pulumi/pulumi";
import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentChecks, derived, together } from "../../components/arguments";
import type * as Components from "../../components/index.js";
import { kubernetesName } from "../../contract/validate";
import { type Declared, recordResources, settled, unwrap, valueOf } from "../support/mocks";

let declared: Declared[];
let library: typeof Components;

beforeAll(async () => {
  declared = await recordResources();
  library = await import("../../components/index.js");
});

const inputsOf = (name: string): Record<string, unknown> =>
  unwrap(declared.find((each) => each.name === name)?.inputs) as Record<string, unknown>;

const later = <T>(value: T) => pulumi.output(Promise.resolve(value)) as pulumi.Output<T>;

/** Inputs of everything that the program declares below a name, without what names the instance. */
async function declaredBy(name: string, program: () => unknown): Promise<string> {
  program();
  await settled(declared);
  const found = declared.filter((each) => each.name.startsWith(`${name}-`));
  expect(found.length).toBeGreaterThan(2);
  // What waits for an output is declared later.
  const each = found.map(({ type, inputs }) => JSON.stringify([type, unwrap(inputs)]).replaceAll(`${name}-`, ""));
  return each.sort().join("\n");
}

const nats = { host: "nats.nats", port: 4222, user: "noetl", password: "x" };
const database = { host: "db", port: 5432, database: "noetl", user: "noetl", password: "x", adminPassword: "y" };

describe("an argument that is an output", () => {
  it("gives NoETL what the plain value gives", async () => {
    const outputs = await declaredBy("late-noetl", () => {
      new library.Noetl("late-noetl", {
        nats,
        database,
        namespace: later("flows"),
        image: later("registry.example.com/noetl:2.8.9"),
        logLevel: later("DEBUG"),
        serverReplicas: later(2),
        workerReplicas: later(5),
        nodePort: later(30082),
        names: { stream: later("JOBS"), subject: later("jobs"), consumer: later("pool") },
        tuning: { fetchTimeoutSeconds: later(60), maxAckPending: later(8) },
        workerStopSeconds: later(90),
        workerEnv: { SOME: later("value") },
        timeoutSeconds: later(600),
      });
    });
    const plain = await declaredBy("soon-noetl", () => {
      new library.Noetl("soon-noetl", {
        nats,
        database,
        namespace: "flows",
        image: "registry.example.com/noetl:2.8.9",
        logLevel: "DEBUG",
        serverReplicas: 2,
        workerReplicas: 5,
        nodePort: 30082,
        names: { stream: "JOBS", subject: "jobs", consumer: "pool" },
        tuning: { fetchTimeoutSeconds: 60, maxAckPending: 8 },
        workerStopSeconds: 90,
        workerEnv: { SOME: "value" },
        timeoutSeconds: 600,
      });
    });
    expect(outputs).toBe(plain);
    expect(inputsOf("late-noetl-release").values).toMatchObject({
      image: { repository: "registry.example.com/noetl", tag: "2.8.9", pullPolicy: "IfNotPresent" },
      worker: { replicas: 5, terminationGracePeriodSeconds: 90 },
      config: { worker: { NATS_STREAM: "JOBS", NOETL_WORKER_NATS_MAX_ACK_PENDING: "8", SOME: "value" } },
    });
  });

  it("gives the gateway what the plain value gives", async () => {
    const outputs = await declaredBy("late-gateway", () => {
      new library.Gateway("late-gateway", {
        nats,
        namespace: later("edge"),
        image: later("registry.example.com/gateway:1.0"),
        replicas: later(3),
        corsAllowedOrigins: later(["https://app.example.com", "https://other.example.com"]),
        subjects: { sessionBucket: later("visits"), requestTtlSeconds: later(60) },
        env: { RUST_BACKTRACE: later("1") },
      });
    });
    const plain = await declaredBy("soon-gateway", () => {
      new library.Gateway("soon-gateway", {
        nats,
        namespace: "edge",
        image: "registry.example.com/gateway:1.0",
        replicas: 3,
        corsAllowedOrigins: ["https://app.example.com", "https://other.example.com"],
        subjects: { sessionBucket: "visits", requestTtlSeconds: 60 },
        env: { RUST_BACKTRACE: "1" },
      });
    });
    expect(outputs).toBe(plain);
    expect(inputsOf("late-gateway-release").values).toMatchObject({
      env: {
        corsAllowedOrigins: "https://app.example.com,https://other.example.com",
        natsSessionBucket: "visits",
        natsRequestTtlSecs: "60",
      },
    });
  });

  it("gives Postgres what the plain value gives", async () => {
    const outputs = await declaredBy("late-postgres", () => {
      new library.Postgres("late-postgres", {
        namespace: later("data"),
        image: later("postgres:17.4"),
        storageSize: later("20Gi"),
        storageClass: later("fast"),
        nodePort: later(30432),
        adminUser: later("root"),
        adminPassword: "a",
        database: later("flows"),
        noetlUser: later("flow"),
        noetlPassword: "b",
        noetlImage: later("noetl:2.8.9"),
      });
    });
    const plain = await declaredBy("soon-postgres", () => {
      new library.Postgres("soon-postgres", {
        namespace: "data",
        image: "postgres:17.4",
        storageSize: "20Gi",
        storageClass: "fast",
        nodePort: 30432,
        adminUser: "root",
        adminPassword: "a",
        database: "flows",
        noetlUser: "flow",
        noetlPassword: "b",
        noetlImage: "noetl:2.8.9",
      });
    });
    expect(outputs).toBe(plain);
  });

  const SIZES = {
    fileStoreSize: "20Gi",
    memoryStoreSize: "1.5Gi",
    memoryLimit: "3Gi",
    maxConnections: 500,
    storageClass: "fast",
    timeoutSeconds: 600,
  };
  const ALL = {
    ...SIZES,
    namespace: "messages",
    user: "flow",
    password: "a",
    passwordRevision: 2,
    clientNodePort: 30422,
    monitorNodePort: 30822,
  };
  /** The same arguments, each an output. */
  const lateAll = <T extends object>(args: T) =>
    Object.fromEntries(Object.entries(args).map(([key, value]) => [key, later(value as unknown)])) as {
      [K in keyof T]: pulumi.Output<T[K]>;
    };

  const steps = { cluster: {}, tls: { from: "generated" as const } };
  it.each<[string, number, Partial<Components.NatsJetStreamArgs>]>([
    ["a lone server", 1, {}],
    ["a cluster", 3, {}],
    ["a cluster with TLS, and with two steps for another password,", 5, steps],
  ])("gives %s what the plain value gives", async (_what, replicas, more) => {
    const resources = { requests: { cpu: "1", memory: "3Gi" }, limits: { memory: "3Gi" } };
    const outputs: Components.NatsJetStreamArgs = {
      ...lateAll({ ...ALL, replicas }),
      resources: { requests: lateAll(resources.requests), limits: lateAll(resources.limits) },
      ...more,
    };
    const values = { ...ALL, replicas, resources, ...more };
    const declaredFor = (name: string, args: Components.NatsJetStreamArgs) =>
      declaredBy(name, () => new library.NatsJetStream(name, args));
    const [late, soon] = [
      await declaredFor(`late-nats-${replicas}`, outputs),
      await declaredFor(`soon-nats-${replicas}`, values),
    ];
    expect(soon).toContain('"storageClassName":"fast"');
    // While nobody knows how many servers there are, their routes have a login, which a lone one does not take.
    const forRoutes = /routes\.conf|"length":32,"special":false\}/;
    const lines = late.split("\n");
    const needed = replicas > 1 ? lines : lines.filter((line) => !forRoutes.test(line));
    expect(needed.join("\n")).toBe(soon);
    const revision = (args: Components.NatsJetStreamArgs) =>
      valueOf(new library.NatsJetStream(`nats-${replicas}-revision`, args).serversRevision);
    expect(await revision(outputs)).toBe(await revision(values));
  });

  it("gives NATS what the default gives where it is the default", async () => {
    const names = ["late-usual", "soon-usual"] as const;
    new library.NatsJetStream(names[0], {
      password: "a",
      user: later("noetl"),
      fileStoreSize: later("5Gi"),
      memoryStoreSize: later("1Gi"),
      passwordRevision: later(1),
    });
    new library.NatsJetStream(names[1], { password: "a" });
    await settled(declared);
    const [late, soon] = names.map((name) => JSON.stringify(inputsOf(`${name}-release`)).replaceAll(`${name}-`, ""));
    expect(late).toBe(soon);
  });

  it("draws a password for a revision that is an output as for one that is plain", async () => {
    new library.NatsJetStream("late-drawn", { passwordRevision: later(2) });
    new library.NatsJetStream("late-first", { passwordRevision: later(1) });
    await settled(declared);
    expect(inputsOf("late-drawn-password")).toMatchObject({ keepers: { revision: "2" } });
    expect(inputsOf("late-first-password")).not.toHaveProperty("keepers");
  });

  it("gives the guard what the plain value gives", async () => {
    const contract = { stream: "JOBS", consumers: [{ name: "pool", maxAckPending: 8 }], worker: { replicas: 3 } };
    const args = { namespace: "messages", image: "node:22.1.0", mode: "watch" as const };
    const stores = { memory: 1024, file: 4096 };
    const outputs = await declaredBy("late-guard", () => {
      new library.ContractGuard("late-guard", {
        ...lateAll(args),
        nats,
        stores: lateAll(stores),
        contract: {
          stream: later("JOBS"),
          consumers: [lateAll({ name: "pool", maxAckPending: 8 })],
          worker: { replicas: later(3) },
        },
      });
    });
    const plain = await declaredBy("soon-guard", () => {
      new library.ContractGuard("soon-guard", { ...args, nats, stores, contract });
    });
    expect(outputs).toBe(plain);
  });
});

describe("checks of arguments", () => {
  const component = new pulumi.ComponentResource("test:index:Some", "some");

  /** What an output fails with; every part of it does, and none may be left to itself. */
  async function failure(value: pulumi.Input<unknown>): Promise<string> {
    const output = value as {
      promise(): Promise<unknown>;
      isKnown: Promise<boolean>;
      isSecret: Promise<boolean>;
      allResources(): Promise<unknown>;
    };
    const parts = [output.promise(), output.isKnown, output.isSecret, output.allResources()] as const;
    const [result] = await Promise.allSettled(parts);
    return result.status === "rejected" ? (result.reason as Error).message : "";
  }

  it("say all that is wrong with plain values at once", () => {
    const checks = new ArgumentChecks(component);
    void checks.checked("namespace", "No", kubernetesName);
    void checks.checked("other", "name", kubernetesName);
    void checks.checked("third", "_", kubernetesName);
    expect(() => checks.done()).toThrow("namespace is not a Kubernetes name;\nthird is not a Kubernetes name");
  });

  it("let an output fail when it is known and wrong, and pass one that is right", async () => {
    const checks = new ArgumentChecks(component);
    const wrong = checks.checked("namespace", later("No"), kubernetesName);
    const right = checks.checked("namespace", later("yes"), kubernetesName);
    expect(() => checks.done()).not.toThrow();
    expect(await failure(wrong)).toBe("namespace is not a Kubernetes name");
    expect(await valueOf(pulumi.output(right))).toBe("yes");
  });

  it("leave an output alone that is not known yet", async () => {
    const checks = new ArgumentChecks(component);
    const Output = pulumi.Output as unknown as new (...parts: unknown[]) => pulumi.Output<string>;
    const [value, isKnown, isSecret] = ["No", false, false].map((part) => Promise.resolve(part));
    const unknown = new Output(new Set([component]), value, isKnown, isSecret, Promise.resolve([]));
    expect(await failure(checks.checked("namespace", unknown, kubernetesName))).toBe("");
  });

  it("keep secrets", async () => {
    const checks = new ArgumentChecks(component);
    const both = together({ user: "noetl", password: pulumi.secret("canary") });
    const joined = derived(
      checks.checked("login", both, () => undefined),
      ({ user, password }) => `${user}:${password}`,
    );
    expect(await pulumi.isSecret(pulumi.output(joined))).toBe(true);
    expect(derived(together({ a: 1, b: 2 }), ({ a, b }) => a + b)).toBe(3);
  });
});
