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
async function declaredBy(name: string, program: () => void): Promise<string> {
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

  it("gives NATS what the plain value gives", async () => {
    const outputs = await declaredBy("late-nats", () => {
      new library.NatsJetStream("late-nats", {
        namespace: later("messages"),
        storageClass: later("fast"),
        timeoutSeconds: later(600),
        password: "a",
      });
    });
    const plain = await declaredBy("soon-nats", () => {
      new library.NatsJetStream("soon-nats", {
        namespace: "messages",
        storageClass: "fast",
        timeoutSeconds: 600,
        password: "a",
      });
    });
    expect(plain).toContain('"storageClassName":"fast"');
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
    expect(() => checks.done()).toThrow("namespace is not a Kubernetes name; third is not a Kubernetes name");
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
