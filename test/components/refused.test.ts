/** Outputs as arguments, in a program of its own: what is wrong with one fails the program, which a test cannot survive. */
import { execFile } from "node:child_process";
import { describe, expect, it } from "vitest";
import { projectRoot } from "../../contract/project";
import { unwrap } from "../support/mocks";

/** What a library's user does: declares one component after the other, and sees what the engine would see. */
function program(cases: object, isPreview: boolean): void {
  const pulumi = require("@pulumi/pulumi") as typeof import("@pulumi/pulumi");
  type Component = new (name: string, args: object) => import("@pulumi/pulumi").Resource;
  const seen = new Set<unknown>();
  const late: Record<string, string[]> = {};
  const plain: Record<string, string> = {};
  const declared: { name: string; inputs: unknown }[] = [];
  // As the engine's host does: an error is said once, wherever it comes up.
  process.on("unhandledRejection", (error: Error & { resource?: { __name: string } }) => {
    if (seen.has(error)) return;
    seen.add(error);
    (late[error.resource?.__name ?? "unknown"] ??= []).push(error.message);
  });
  process.once("beforeExit", () => process.stdout.write(JSON.stringify({ plain, late, declared })));
  const Output = pulumi.Output as unknown as new (...parts: unknown[]) => unknown;
  const unknown = () =>
    new Output(new Set(), ...[undefined, false, false].map((part) => Promise.resolve(part)), Promise.resolve([]));
  // Leaves become outputs; what says so stays as it is.
  const asOutput = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(asOutput)
      : value !== null && typeof value === "object"
        ? "plain" in value
          ? value.plain
          : Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, asOutput(inner)]))
        : isPreview
          ? unknown()
          : pulumi.output(Promise.resolve(value));
  const asPlain = (value: unknown): unknown =>
    value !== null && typeof value === "object" && "plain" in value
      ? value.plain
      : value !== null && typeof value === "object" && !Array.isArray(value)
        ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, asPlain(inner)]))
        : value;
  const mocks = {
    newResource: ({ name, inputs }: { name: string; inputs: Record<string, unknown> }) => {
      declared.push({ name, inputs });
      return { id: name, state: { ...inputs, status: {} } };
    },
    call: ({ inputs }: { inputs: object }) => inputs,
  };
  void pulumi.runtime.setMocks(mocks, "noetl-nats", "test", isPreview).then(() => {
    const library = require("./dist/components") as Record<string, Component>;
    for (const [name, [type, args]] of Object.entries(cases as Record<string, [string, object]>)) {
      try {
        if (!isPreview) new (library[type] as Component)(`${name}-plain`, asPlain(args) as object);
      } catch (error) {
        plain[name] = (error as Error).message;
      }
      new (library[type] as Component)(name, asOutput(args) as object);
    }
  });
}

interface Seen {
  readonly plain: Record<string, string>;
  readonly late: Record<string, string[]>;
  readonly declared: readonly { readonly name: string; readonly inputs: Record<string, unknown> }[];
}

function run(cases: object, isPreview: boolean): Promise<Seen> {
  const script = `(${program.toString()})(${JSON.stringify(cases)}, ${isPreview})`;
  const options = { cwd: projectRoot(), maxBuffer: 64 * 1024 ** 2 };
  return new Promise((resolve, reject) => {
    // The SDK has a program fail that leaves resources undeclared, as one does whose arguments are wrong.
    execFile(process.execPath, ["-e", script], options, (error, said) => {
      if (said.startsWith("{")) resolve(JSON.parse(said) as Seen);
      else reject(error ?? new Error("the program said nothing"));
    });
  });
}

const withoutProperty = (message: string) => message.replace(/^(error serializing property "\w+": )+/, "");
const plain = <T>(value: T) => ({ plain: value });
const nats = plain({ host: "nats.nats", port: 4222, user: "noetl", password: "x" });
const database = plain({ host: "db", port: 5432, database: "noetl", user: "noetl", password: "x" });
const corsAllowedOrigins = plain(["https://app.example.com"]);

describe("an output that is wrong", () => {
  const resources = { requests: plain({ cpu: "1", memory: "1Gi" }), limits: { memory: "1Gi" } };
  /** Arguments, and what is said of them. */
  const CASES: Record<string, [component: string, args: object, problem: string]> = {
    namespace: ["NatsJetStream", { namespace: "My NATS" }, "namespace is not a Kubernetes name"],
    user: ["NatsJetStream", { user: "a b" }, "user is unusable for NoETL's clients"],
    password: ["NatsJetStream", { password: "p@ss" }, "password is unusable for NoETL's clients"],
    replicas: ["NatsJetStream", { replicas: 2 }, "replicas is 2; allowed: 1, 3 or 5"],
    connections: ["NatsJetStream", { maxConnections: 10 }, "maxConnections is smaller than 100"],
    file: ["NatsJetStream", { fileStoreSize: "5GB" }, "fileStoreSize is not a Kubernetes quantity"],
    memory: ["NatsJetStream", { memoryStoreSize: "5GB" }, "memoryStoreSize is not a Kubernetes quantity"],
    limit: ["NatsJetStream", { memoryLimit: "5GB" }, "memoryLimit is not a Kubernetes quantity"],
    both: [
      "NatsJetStream",
      { memoryStoreSize: "2Gi", memoryLimit: "2049Mi" },
      "memoryStoreSize 2Gi does not fit into memoryLimit 2049Mi; allowed: unset, or at least 2560Mi",
    ],
    container: ["NatsJetStream", { resources }, "resources.limits.memory 1Gi is less than memoryLimit 1792Mi"],
    client: ["NatsJetStream", { clientNodePort: 4222 }, "clientNodePort is 4222; allowed: 30000 to 32767"],
    monitor: ["NatsJetStream", { monitorNodePort: 8222 }, "monitorNodePort is 8222; allowed: 30000 to 32767"],
    another: [
      "NatsJetStream",
      { user: "watcher", extraUsers: plain([{ name: "watcher", password: "x" }]) },
      "extraUsers[0].name is another user's",
    ],
    flows: ["Noetl", { nats, database, namespace: "My Flows" }, "namespace is not a Kubernetes name"],
    image: ["Noetl", { nats, database, image: "" }, "image is empty; leave it out for the default"],
    pods: ["Noetl", { nats, database, workerReplicas: -1 }, "workerReplicas is not a number of pods"],
    api: ["Noetl", { nats, database, nodePort: 80 }, "nodePort is 80; allowed: 30000 to 32767"],
    edge: ["Gateway", { nats, corsAllowedOrigins, nodePort: 80 }, "nodePort is 80; allowed: 30000 to 32767"],
    replica: ["Gateway", { nats, corsAllowedOrigins, replicas: 0.5 }, "replicas is not a number of pods"],
    volume: ["Postgres", { storageSize: "5GB" }, "storageSize is not a Kubernetes quantity"],
    tables: ["Postgres", { nodePort: 5432 }, "nodePort is 5432; allowed: 30000 to 32767"],
    schema: ["Postgres", { noetlImage: " " }, "noetlImage is empty; leave it out for the default"],
    guard: ["ContractGuard", { nats, contract: {}, image: "node" }, "image is an image without tag or digest"],
  };

  it("is refused in the words of the plain value, once, as soon as it is known", async () => {
    const { plain: soon, late } = await run(CASES, false);
    for (const [name, [component, , problem]] of Object.entries(CASES)) {
      expect(soon[name], `${component}: ${name}`).toContain(problem);
      // The SDK says before it which property of which resource it was for.
      expect(late[name]?.map(withoutProperty), `${component}: ${name}`).toEqual([soon[name]]);
    }
    expect(Object.keys(late).sort()).toEqual(Object.keys(CASES).sort());
  });

  it("is refused with the others that are wrong, in one message", async () => {
    const args = { namespace: "My NATS", replicas: 2, fileStoreSize: "5GB", clientNodePort: 1, user: "noetl" };
    const { late } = await run({ all: ["NatsJetStream", args] }, false);
    expect(late.all?.map(withoutProperty)).toEqual([
      "namespace is not a Kubernetes name; allowed: lower-case letters, digits and -, at most 63; for example nats;\n" +
        "fileStoreSize is not a Kubernetes quantity; allowed: a Kubernetes quantity from 16Mi to 16Ti; for example 5Gi;\n" +
        "replicas is 2; allowed: 1, 3 or 5; for example 3;\n" +
        "clientNodePort is 1; allowed: 30000 to 32767; for example 30422",
    ]);
    expect(Object.keys(late)).toEqual(["all"]);
  });

  it("is refused as null: who makes it cannot leave an argument out by it", async () => {
    const { late } = await run({ none: ["Postgres", { namespace: null, storageSize: 10, nodePort: null }] }, false);
    expect(late.none?.map(withoutProperty)).toEqual([
      expect.stringMatching(
        /^namespace is \w+, and an output cannot leave an argument out; .+;\nstorageSize is a number, not text; .+;\nnodePort is \w+, and /,
      ),
    ]);
  });

  it("is refused in the guard's contract before a pod ends at it, and so is a credential for its ConfigMap", async () => {
    const contract = { strem: "X", worker: { maxAckPending: "5" }, gateway: { user: "g", password: "canary" } };
    const { late } = await run({ guard: ["ContractGuard", { nats, contract: plain(contract) }] }, false);
    const [said = ""] = late.guard ?? [];
    expect(said).toContain("strem is an unknown key; the nearest known one is stream");
    expect(said).toContain("worker.maxAckPending is not a number");
    expect(said).toContain("gateway.password would stand in a ConfigMap");
    expect(said).not.toContain("canary");
  });
});

describe("an output that a preview does not know", () => {
  const UNKNOWN = { __pulumiUnknown: true };
  const NATS = {
    namespace: 1,
    user: 1,
    password: 1,
    passwordRevision: 1,
    replicas: 1,
    maxConnections: 1,
    fileStoreSize: 1,
    memoryStoreSize: 1,
    memoryLimit: 1,
    storageClass: 1,
    clientNodePort: 1,
    monitorNodePort: 1,
    resources: { requests: { cpu: 1, memory: 1 }, limits: { memory: 1 } },
    timeoutSeconds: 1,
  };
  const CASES = {
    nats: ["NatsJetStream", NATS],
    stepwise: ["NatsJetStream", { ...NATS, cluster: plain({}), tls: plain({ from: "generated" }) }],
    noetl: [
      "Noetl",
      { nats, database, namespace: 1, image: 1, serverReplicas: 1, nodePort: 1, rollout: { maxSurge: 1 } },
    ],
    gateway: ["Gateway", { nats, corsAllowedOrigins, namespace: 1, image: 1, replicas: 1, nodePort: 1 }],
    postgres: ["Postgres", { namespace: 1, image: 1, noetlImage: 1, storageSize: 1, storageClass: 1, nodePort: 1 }],
    guard: [
      "ContractGuard",
      { nats, contract: { stream: 1, worker: { replicas: 1 } }, namespace: 1, image: 1, mode: 1 },
    ],
  };

  it("fails nothing, and leaves known what does not depend on it", async () => {
    const { late, declared } = await run(CASES, true);
    expect(late).toEqual({});
    const valuesOf = (name: string) => unwrap(declared.find((each) => each.name === name)?.inputs.values);
    expect(valuesOf("nats-release")).toMatchObject({
      config: {
        cluster: UNKNOWN,
        jetstream: {
          fileStore: { maxSize: UNKNOWN, pvc: { enabled: true, size: UNKNOWN, storageClassName: UNKNOWN } },
        },
        merge: { max_connections: UNKNOWN, max_payload: 1024 ** 2 },
      },
      service: { merge: { spec: { type: "NodePort" } }, ports: { nats: { nodePort: UNKNOWN } } },
    });
    expect(valuesOf("stepwise-release")).toBeDefined();
    expect(valuesOf("noetl-release")).toMatchObject({ image: UNKNOWN, server: { replicas: UNKNOWN } });
    expect(valuesOf("gateway-release")).toMatchObject({ replicas: UNKNOWN, service: { type: "NodePort" } });
    for (const name of ["postgres-server", "guard-deployment"]) {
      expect(declared.map((each) => each.name)).toContain(name);
    }
  });
});
