import { expect, it } from "vitest";
import { FIELDS } from "../../contract/declared/fields";
import { inputProblems } from "../../contract/input-problems";
import { withDefaults, type ContractArguments } from "../../contract/inputs";
import { UNKNOWN } from "../../contract/mask/placeholders";

const ORIGIN = { name: "HUB", startSequence: 5, external: { apiPrefix: "$JS.hub.API", deliverPrefix: "deliver.hub" } };
const POOL = { name: "pool", ackWaitSeconds: 30, maxAckPending: 5, maxDeliver: 7 };

/** Most of what can be given. */
const NOETL = {
  connection: {
    namespace: "nats",
    service: "nats",
    pod: "nats-0",
    port: 4222,
    kubeconfig: "/a",
    context: "b",
    tls: {},
  },
  user: "noetl",
  password: "secret-1",
  noetlLogin: { user: "server", password: "secret-2", inbox: "_S", worker: { user: "worker", password: "secret-3" } },
  mode: "ensure",
  stream: "COMMANDS",
  subject: "noetl.commands",
  consumer: "pool",
  noetlLine: "rust",
  publishes: ["noetl.commands.shared.>", "noetl.commands.gpu.>"],
  consumers: [
    { ...POOL, filters: ["noetl.commands.shared.>"] },
    { ...POOL, name: "gpu", filters: ["noetl.commands.gpu.>"] },
  ],
  expect: { retention: "limits", storage: "file", maxAgeSeconds: 60, replicas: 3, deliverPolicy: "new" },
  worker: { maxAckPending: 64, maxDeliver: 10, fetchTimeoutSeconds: 30, replicas: 2 },
  noetl: { namespace: "noetl" },
  gateway: { sessionBucket: "sessions", sessionTtlSeconds: 300, user: "gateway", password: "secret-4" },
  declared: {
    streams: [
      { name: "ORDERS", subjects: ["orders.>"], retention: "workqueue", sources: [ORIGIN] },
      { name: "COPY", mirror: ORIGIN },
    ],
    consumers: [
      { stream: "ORDERS", name: "billing", filterSubjects: ["orders.new"], replicas: 1 },
      { stream: "COMMANDS", name: "audit", filterSubjects: ["noetl.commands.gpu.a"], replicas: 3 },
    ],
    buckets: [{ name: "carts", republish: { source: "$KV.carts.>", destination: "copy.>" } }],
  },
  strict: false,
  timeoutSeconds: 60,
  triggers: [1, { revision: 2 }],
};
const SERVERS = { connection: { servers: ["127.0.0.1:4222"] } };

/** A declaration for each field, with nothing else in it. */
const ONE_FIELD = Object.entries(FIELDS).flatMap(([list, fields]) =>
  Object.entries(fields).map(([key, { kind }]) => {
    const own = { ...(list === "consumers" ? { stream: "ORDERS" } : {}), name: "own", [key]: kind.example };
    const streams = [{ name: "ORDERS" }, ...(list === "streams" ? [own] : [])];
    return { declaredOnly: true, declared: { [list]: [own], streams } };
  }),
);

/** Copies of a value, in each of which another part of it is not known, and where that is. */
function withUnknown(value: unknown, path = ""): [path: string, copy: unknown][] {
  const self: [string, unknown][] = path === "" ? [] : [[path, UNKNOWN]];
  if (typeof value !== "object" || value === null) return self;
  const inside = Object.entries(value).flatMap(([key, inner]) =>
    withUnknown(inner, `${path}/${key}`).map(([at, copy]): [string, unknown] => [
      at,
      Array.isArray(value)
        ? value.map((each: unknown, index) => (String(index) === key ? copy : each))
        : { ...value, [key]: copy },
    ]),
  );
  return [...self, ...inside];
}

const problems = (args: unknown): string[] => inputProblems(withDefaults(args as ContractArguments), UNKNOWN);

it("what a preview does not know yet is no problem, wherever it stands", () => {
  expect([...problems(NOETL), ...problems(SERVERS)]).toEqual([]);
  const found = [NOETL, SERVERS, ...ONE_FIELD].flatMap((args) => {
    // Some fields need others.
    const known = problems(args);
    return withUnknown(args).flatMap(([at, copy]) =>
      problems(copy).flatMap((problem) => (known.includes(problem) ? [] : [`${at}: ${problem}`])),
    );
  });
  expect(found).toEqual([]);
});
