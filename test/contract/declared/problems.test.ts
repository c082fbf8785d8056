import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { withDefaults } from "../../../contract";
import { FIELDS } from "../../../contract/declared/fields";
import { declaredProblems, type DeclaredContext } from "../../../contract/declared/problems";
import { targetsOf } from "../../../contract/declared/targets";
import { inputProblems } from "../../../contract/input-problems";
import { INPUT_NAMES } from "../../../contract/inputs";
import { check } from "../../../components/stream-contract/provider";
import { ConfigError, parseSettings } from "../../../config/parse";
import { contractTerms } from "../../../config/contract";

const AROUND: DeclaredContext = {
  names: {
    streams: "natsStreams",
    consumers: "natsConsumers",
    buckets: "natsBuckets",
    objectStores: "natsObjectStores",
  },
  noetl: {
    stream: "NOETL_COMMANDS",
    subjects: ["noetl.commands"],
    consumers: ["noetl_worker_pool"],
    retention: "limits",
    replicas: 1,
    buckets: ["sessions", "requests"],
  },
  servers: 1,
};
const problems = (declared: object, around: Partial<DeclaredContext> = {}): string[] =>
  declaredProblems(declared, { ...AROUND, ...around });
const ORDERS = { name: "ORDERS", subjects: ["orders.>"] };
const QUEUE = { name: "JOBS", subjects: ["jobs.>"], retention: "workqueue" };
const onQueue = (consumer: object) => ({ streams: [QUEUE], consumers: [{ stream: "JOBS", name: "c", ...consumer }] });
const ofOrders = (consumer: object) => ({
  streams: [ORDERS],
  consumers: [{ stream: "ORDERS", name: "c", ...consumer }],
});

describe("a declaration that is wrong", () => {
  it.each<[string, object, string]>([
    [
      "no list",
      { streams: {} },
      'natsStreams: is not a list; allowed: a list of declarations; for example [{"name":"ORDERS"}]',
    ],
    [
      "no record",
      { streams: ["ORDERS"] },
      'natsStreams[0]: "ORDERS" is not a declaration; allowed: keys and values, name among them; for example {"name":"ORDERS"}',
    ],
    [
      "no name",
      { buckets: [{}] },
      "natsBuckets[0].name: is missing; allowed: letters, digits, _ and -; for example carts",
    ],
    ["a bad name", { streams: [{ name: "A.B" }] }, 'natsStreams[0].name: "A.B" is not a JetStream name'],
    [
      "a bucket's stream",
      { streams: [{ name: "KV_carts" }] },
      'natsStreams[0].name: "KV_carts" is the name of a bucket\'s stream: declare a bucket',
    ],
    [
      "an object store's stream",
      { streams: [{ name: "OBJ_x" }] },
      "the name of an object store's stream: declare an object store",
    ],
    [
      "an unknown key",
      { streams: [{ ...ORDERS, maxAge: 5 }] },
      "natsStreams[0].maxAge: unknown key; the nearest known one is maxAgeSeconds; known are name, remove",
    ],
    [
      "NATS's own name of a key",
      { streams: [{ ...ORDERS, num_replicas: 1 }] },
      "natsStreams[0].num_replicas: unknown key; the nearest known one is replicas",
    ],
    [
      "a key misspelt",
      { streams: [{ ...ORDERS, discrad: "new" }] },
      "natsStreams[0].discrad: unknown key; the nearest known one is discard",
    ],
    [
      "an unknown key inside",
      { streams: [{ ...ORDERS, placement: { tag: ["a"] } }] },
      "tag is an unknown key; the nearest known one is tags",
    ],
    [
      "a wrong unit",
      { streams: [{ ...ORDERS, maxAgeSeconds: "1h" }] },
      'natsStreams[0].maxAgeSeconds: "1h" is not a number; allowed: seconds, 0.1 or more, or 0 for unlimited; for example 86400',
    ],
    [
      "a wrong size",
      { streams: [{ ...ORDERS, maxBytes: "5 GB" }] },
      'natsStreams[0].maxBytes: "5 GB" is not a size; allowed: bytes, 1 or more, or a Kubernetes quantity, or -1 for unlimited; for example 64Mi',
    ],
    [
      "a wrong word",
      { streams: [{ ...ORDERS, storage: "disk" }] },
      'natsStreams[0].storage: "disk" is none of file, memory; allowed: one of file, memory; for example file',
    ],
    [
      "a bad subject",
      { streams: [{ name: "A", subjects: ["a..b"] }] },
      'natsStreams[0].subjects: is wrong: "a..b" is not a NATS subject: it has an empty token',
    ],
    ["history", { buckets: [{ name: "a", history: 65 }] }, "natsBuckets[0].history: 65 is larger than 64"],
    [
      "two of a name",
      { streams: [ORDERS, { ...ORDERS, subjects: ["x"] }] },
      "natsStreams[1]: stream ORDERS is declared at natsStreams[0] already; allowed: once",
    ],
    [
      "NoETL's stream",
      { streams: [{ name: "NOETL_COMMANDS", subjects: ["x"] }] },
      "natsStreams[0]: stream NOETL_COMMANDS is NoETL's own",
    ],
    ["NoETL's consumer", { consumers: [{ stream: "NOETL_COMMANDS", name: "noetl_worker_pool" }] }, "is NoETL's own"],
    [
      "the gateway's bucket",
      { buckets: [{ name: "sessions" }] },
      "natsBuckets[0]: bucket sessions is the gateway's own",
    ],
    [
      "NoETL's stream to be removed",
      { streams: [{ name: "NOETL_COMMANDS", remove: "withContents" }] },
      "is NoETL's own",
    ],
    [
      "overlapping streams",
      { streams: [ORDERS, { name: "EU", subjects: ["orders.eu"] }] },
      "natsStreams[1]: stream EU takes subjects of stream ORDERS (orders.eu and orders.>)",
    ],
    [
      "a stream over a bucket",
      { streams: [{ name: "ALL", subjects: ["$KV.carts.*"] }], buckets: [{ name: "carts" }] },
      "natsBuckets[0]: bucket carts takes subjects of stream ALL",
    ],
    [
      "a stream over NoETL's",
      { streams: [{ name: "N", subjects: ["noetl.>"] }] },
      "takes subjects of NoETL's stream NOETL_COMMANDS (noetl.> and noetl.commands)",
    ],
    [
      "a default subject over another",
      { streams: [{ name: "orders" }, { name: "B", subjects: ["*"] }] },
      "natsStreams[1]: stream B takes subjects of stream orders (* and orders)",
    ],
    [
      "own subjects that overlap",
      { streams: [{ name: "A", subjects: ["a.*", "a.b"] }] },
      "has subjects that overlap: a.* and a.b",
    ],
    [
      "a window above the age",
      { streams: [{ ...ORDERS, maxAgeSeconds: 60, duplicateWindowSeconds: 120 }] },
      "natsStreams[0]: stream ORDERS has duplicateWindowSeconds 120 s above maxAgeSeconds 60 s",
    ],
    [
      "too many copies",
      { streams: [{ ...ORDERS, replicas: 3 }] },
      "natsStreams[0]: stream ORDERS has replicas 3, and there is 1 NATS server (natsReplicas)",
    ],
    [
      "a roll-up that may not purge",
      { streams: [{ ...ORDERS, allowRollup: true, denyPurge: true }] },
      "has allowRollup with denyPurge",
    ],
    ["a mirror with subjects", { streams: [{ ...ORDERS, mirror: { name: "X" } }] }, "is a mirror with subjects"],
    [
      "a republish into itself",
      { streams: [{ ...ORDERS, republish: { destination: "orders.copy" } }] },
      "republishes to orders.copy, which it stores itself",
    ],
    [
      "a filter outside",
      ofOrders({ filterSubjects: ["other.x"] }),
      "natsConsumers[0]: consumer c of ORDERS has the filter other.x outside of what ORDERS stores (orders.>)",
    ],
    ["filters that overlap", ofOrders({ filterSubjects: ["orders.*", "orders.a"] }), "has filterSubjects that overlap"],
    [
      "a queue from new",
      onQueue({ deliverPolicy: "new" }),
      "has deliverPolicy new on the work queue JOBS, where NATS allows only all",
    ],
    [
      "a queue without acks",
      onQueue({ ackPolicy: "none" }),
      "has ackPolicy none on the work queue JOBS, where NATS allows only explicit",
    ],
    [
      "a queue twice",
      {
        streams: [QUEUE],
        consumers: [
          { stream: "JOBS", name: "a" },
          { stream: "JOBS", name: "b" },
        ],
      },
      "natsConsumers[1]: consumer b of JOBS overlaps consumer a on the work queue JOBS",
    ],
    [
      "a queue with overlapping filters",
      {
        streams: [QUEUE],
        consumers: [
          { stream: "JOBS", name: "a", filterSubjects: ["jobs.*"] },
          { stream: "JOBS", name: "b", filterSubjects: ["jobs.x"] },
        ],
      },
      "consumer b of JOBS overlaps consumer a (jobs.x and jobs.*)",
    ],
    [
      "a stream nobody declares",
      { consumers: [{ stream: "OTHER", name: "c" }] },
      'natsConsumers[0]: consumer c of OTHER is of a stream that is neither declared nor NoETL\'s; allowed: one that is; for example {"name":"OTHER"} among the streams',
    ],
    [
      "a stream to be removed",
      { streams: [{ name: "A", remove: "ifEmpty" }], consumers: [{ stream: "A", name: "c" }] },
      "is of a stream that is to be removed",
    ],
    ["more copies than the stream", ofOrders({ replicas: 3 }), "has replicas 3, more than the 1 of ORDERS"],
    [
      "flow control of a pull",
      ofOrders({ flowControl: true, idleHeartbeatSeconds: 5 }),
      "has flowControl without deliverSubject",
    ],
    ["a start of another policy", ofOrders({ startSequence: 5 }), "has startSequence with deliverPolicy all"],
    [
      "a backoff that begins otherwise",
      ofOrders({ ackWaitSeconds: 30, backoffSeconds: [1, 5] }),
      "the first of backoffSeconds is the time to acknowledge",
    ],
    ["a policy without groups", ofOrders({ priorityPolicy: "overflow" }), "has priorityPolicy without priorityGroups"],
    [
      "a removal of a word",
      { streams: [{ name: "A", remove: true }] },
      "natsStreams[0].remove: is not a way to remove; allowed: ifEmpty or withContents; for example ifEmpty",
    ],
    [
      "a removal with settings",
      { streams: [{ name: "A", remove: "ifEmpty", storage: "file" }] },
      "natsStreams[0].remove: stands beside storage",
    ],
    ["another list", { stream: [] }, "declared.stream: unknown key; the nearest known one is streams"],
  ])("%s", (_name, declared, sentence) => {
    expect(problems(declared).join("\n")).toContain(sentence);
  });

  it("names everything at once", () => {
    expect(
      problems({ streams: [{ name: "A", storage: "disk", replicas: 9 }, { name: "" }], buckets: [{ name: "a b" }] }),
    ).toHaveLength(4);
  });
});

describe("a declaration that is right", () => {
  it.each<[string, object]>([
    ["nothing", {}],
    ["empty lists", { streams: [], consumers: [] }],
    ["values that are left out", { streams: [{ ...ORDERS, storage: null, maxBytes: undefined }] }],
    [
      "a consumer of NoETL's stream",
      { consumers: [{ stream: "NOETL_COMMANDS", name: "audit", filterSubjects: ["noetl.commands"] }] },
    ],
    [
      "a consumer of a bucket",
      {
        buckets: [{ name: "carts" }],
        consumers: [{ stream: "KV_carts", name: "watch", filterSubjects: ["$KV.carts.a"] }],
      },
    ],
    [
      "filters of a queue apart",
      {
        streams: [QUEUE],
        consumers: [
          { stream: "JOBS", name: "a", filterSubjects: ["jobs.a"] },
          { stream: "JOBS", name: "b", filterSubjects: ["jobs.b"] },
        ],
      },
    ],
    ["a mirror", { streams: [ORDERS, { name: "COPY", mirror: { name: "ORDERS" } }] }],
    [
      "a filter of what is stored under another name",
      {
        streams: [{ ...ORDERS, subjectTransform: { source: "orders.>", destination: "shop.>" } }],
        consumers: [{ stream: "ORDERS", name: "c", filterSubjects: ["shop.a"] }],
      },
    ],
    [
      "a removal",
      {
        streams: [{ name: "OLD", remove: "withContents" }],
        consumers: [{ stream: "OLDER", name: "c", remove: "ifEmpty" }],
      },
    ],
  ])("%s", (_name, declared) => {
    expect(problems(declared)).toEqual([]);
  });

  it("is not checked where a preview does not know it yet", () => {
    const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
    expect(
      problems(
        { streams: [{ name: unknown, subjects: unknown, storage: unknown }], consumers: unknown, buckets: [unknown] },
        { unknown },
      ),
    ).toEqual([]);
    expect(problems({ streams: [{ name: unknown, storage: "disk" }] }, { unknown })).toHaveLength(1);
  });

  it("whatever values the table takes, a configuration is made of them", () => {
    const example = (list: keyof typeof FIELDS) =>
      fc
        .subarray(Object.entries(FIELDS[list]))
        .map((fields) => Object.fromEntries(fields.map(([key, { kind }]) => [key, kind.example])));
    fc.assert(
      fc.property(example("streams"), (fields) => {
        const [target] = targetsOf({ streams: [{ name: "A", ...fields }] });
        expect(target?.wanted.map(({ key }) => key).sort()).toEqual(Object.keys(fields).sort());
        expect(JSON.stringify(target?.config)).not.toContain("null");
      }),
    );
  });
});

describe("a stack's settings", () => {
  const settings = (raw: Record<string, string>) =>
    parseSettings({ postgresPassword: "a-long.random_Word-42", ...raw });
  const errorOf = (raw: Record<string, string>): string => {
    try {
      settings(raw);
    } catch (error) {
      if (error instanceof ConfigError) return error.message;
      throw error;
    }
    return "";
  };

  it("declare as lists of JSON, as the engine passes them", () => {
    const parsed = settings({
      natsStreams: JSON.stringify([ORDERS]),
      natsBuckets: '[{"name":"carts","ttlSeconds":60}]',
    });
    expect(contractTerms(parsed)).toMatchObject({
      declared: { streams: [ORDERS], buckets: [{ name: "carts", ttlSeconds: 60 }] },
    });
    expect(contractTerms(parsed)).not.toHaveProperty("declaredOnly");
  });

  it("cover only what is declared without NoETL", () => {
    const parsed = settings({ natsStreams: JSON.stringify([ORDERS]), deployNoetl: "false" });
    expect(contractTerms(parsed)).toMatchObject({ declared: { streams: [ORDERS] }, declaredOnly: true });
    expect(contractTerms(settings({}))).not.toHaveProperty("declared");
  });

  it("are refused all at once, with the place of each problem", () => {
    expect(errorOf({ natsStreams: "ORDERS" })).toContain(
      "natsStreams: is not JSON; allowed: a list of declarations (docs/declared.md); for example [{",
    );
    expect(errorOf({ natsStreams: '{"name":"A"}' })).toContain("natsStreams: is not a list");
    const message = errorOf({
      natsStreams: JSON.stringify([
        { ...ORDERS, replicas: 3 },
        { name: "B", ttl: 1 },
      ]),
      natsBuckets: '[{"name":"a","history":100}]',
    });
    expect(message).toContain("natsStreams[0]: stream ORDERS has replicas 3");
    expect(message).toContain("natsStreams[1].ttl: unknown key");
    expect(message).toContain("natsBuckets[0].history: 100 is larger than 64");
  });

  it("that contradict themselves in every way are refused in one message", () => {
    const message = errorOf({
      natsStreams: JSON.stringify([
        ORDERS,
        { name: "EU", subjects: ["orders.eu"] },
        QUEUE,
        { name: "N", subjects: ["noetl.>"] },
      ]),
      natsConsumers: JSON.stringify([
        { stream: "ORDERS", name: "audit", filterSubjects: ["other.x"] },
        { stream: "JOBS", name: "runner", deliverPolicy: "new" },
        { stream: "ORDERS", name: "copies", replicas: 3 },
      ]),
      natsBuckets: '[{"name":"carts","replicas":3}]',
    });
    expect(message.split("\n").slice(1)).toEqual([
      expect.stringMatching(/natsStreams\[1\]: stream EU takes subjects of stream ORDERS \(orders\.eu and orders\.>\)/),
      expect.stringMatching(/natsStreams\[3\]: stream N takes subjects of NoETL's stream NOETL_COMMANDS/),
      expect.stringMatching(
        /natsConsumers\[0\]: consumer audit of ORDERS has the filter other\.x outside of what ORDERS stores/,
      ),
      expect.stringMatching(/natsConsumers\[1\]: consumer runner of JOBS has deliverPolicy new on the work queue JOBS/),
      expect.stringMatching(/natsConsumers\[2\]: consumer copies of ORDERS has replicas 3, more than the 1 of ORDERS/),
      expect.stringMatching(/natsBuckets\[0\]: bucket carts has replicas 3, and there is 1 NATS server/),
      expect.stringMatching(/natsConsumers\[2\]: consumer copies of ORDERS has replicas 3, and there is 1 NATS server/),
    ]);
  });

  it("may have as many copies as there are servers, of NoETL's stream, too, where that has them", () => {
    const three = {
      natsReplicas: "3",
      natsStreams: JSON.stringify([{ ...ORDERS, replicas: 3 }]),
      natsConsumers: '[{"stream":"NOETL_COMMANDS","name":"audit","replicas":3}]',
    };
    expect(errorOf({ ...three, contractMode: "ensure" })).toBe("");
    // What NoETL itself creates has one.
    expect(errorOf(three)).toContain(
      "consumer audit of NOETL_COMMANDS has replicas 3, more than the 1 of NOETL_COMMANDS",
    );
    expect(errorOf({ ...three, natsStreams: JSON.stringify([{ ...ORDERS, replicas: 5 }]) })).toContain(
      "stream ORDERS has replicas 5, and there are 3 NATS servers (natsReplicas); allowed: at most that",
    );
  });

  it("need the address of a NATS server that is not installed", () => {
    const raw = { natsStreams: JSON.stringify([ORDERS]), deployNats: "false", deployNoetl: "false" };
    expect(errorOf(raw)).toContain("natsHost: must be set because deployNats is false");
  });
});

describe("the library's inputs", () => {
  const at = { servers: ["127.0.0.1:4222"] };
  it("name the list by the argument", () => {
    const inputs = withDefaults({ connection: at, declared: { streams: [{ name: "A", storage: "disk" as "file" }] } });
    expect(inputProblems(inputs)).toEqual([
      'declared.streams[0].storage: "disk" is none of file, memory; allowed: one of file, memory; for example file',
    ]);
  });

  it("that contradict themselves are refused in one message, by the provider, with what is wrong with NoETL's own part", () => {
    const { failures } = check(
      {},
      {
        connection: at,
        noetlLine: "3.0",
        publishes: 5,
        consumers: [null, { name: 1, filters: "x" }],
        declared: {
          streams: [
            ORDERS,
            { name: "EU", subjects: ["orders.eu"] },
            QUEUE,
            { name: "N", subjects: ["noetl.*"], replicas: 6 },
          ],
          consumers: [
            { stream: "ORDERS", name: "audit", filterSubjects: ["other.x"] },
            { stream: "JOBS", name: "runner", deliverPolicy: "new" },
            { stream: "NOETL_COMMANDS", name: "noetl_worker_pool" },
          ],
        },
      },
    );
    expect(failures?.map(({ reason }) => reason.split(";\n"))).toEqual([
      [
        expect.stringMatching(/^noetlLine is "3\.0"/),
        expect.stringMatching(/^publishes is not a list of NATS subjects/),
        expect.stringMatching(/^consumers is not a list of consumers/),
        expect.stringMatching(/^declared\.streams\[3\]\.replicas: 6 is larger than 5/),
        expect.stringMatching(/^declared\.consumers\[2\]: consumer noetl_worker_pool of NOETL_COMMANDS is NoETL's own/),
        expect.stringMatching(/^declared\.streams\[1\]: stream EU takes subjects of stream ORDERS/),
        expect.stringMatching(/^declared\.consumers\[0\]: consumer audit of ORDERS has the filter other\.x outside/),
        expect.stringMatching(
          /^declared\.consumers\[1\]: consumer runner of JOBS has deliverPolicy new on the work queue/,
        ),
      ],
    ]);
  });

  const GARBAGE = [
    null,
    undefined,
    0,
    -1,
    Number.NaN,
    "",
    "a b",
    ">",
    true,
    [],
    [null],
    [0],
    [""],
    [[]],
    {},
    { a: 1 },
    [{}],
  ];
  const DECLARATIONS = Object.entries(FIELDS).flatMap(([list, fields]) =>
    ["name", "stream", "remove", "nothing", ...Object.keys(fields)].map((key) => [list, key] as const),
  );

  it("whatever stands in a key is a problem in a message or none, and never an exception", () => {
    const whole = withDefaults({ connection: at, gateway: {}, noetlLogin: { user: "a", password: "b" } });
    const paths = INPUT_NAMES.flatMap((name) => {
      const value: unknown = whole[name];
      const keys = typeof value === "object" && value !== null ? Object.keys(value) : [];
      return [[name], ...keys.map((key) => [name, key])];
    });
    const declared = { streams: [ORDERS], consumers: [{ stream: "NOETL_COMMANDS", name: "audit" }] };
    const thrown: string[] = [];
    for (const noetlLine of ["2.8", "4.7", "rust", "3.0"])
      for (const [name = "", key] of paths)
        for (const value of GARBAGE) {
          const base = { connection: at, noetlLine, declared, gateway: {} } as Record<string, unknown>;
          const given = key === undefined ? value : { ...(base[name] as object), [key]: value };
          try {
            check({}, { ...base, [name]: given });
          } catch (error) {
            thrown.push(`${noetlLine}, ${name}.${key}: ${JSON.stringify(value)}: ${String(error)}`);
          }
        }
    expect(thrown).toEqual([]);
  });

  it.each(DECLARATIONS)("nor does whatever stands in declared.%s: %s", (list, key) => {
    for (const value of GARBAGE) {
      const base = list === "consumers" ? { stream: "NOETL_COMMANDS", name: "a" } : { name: "a" };
      const declared = { [list]: [{ ...base, [key]: value }, value] };
      expect(() => check({}, { connection: at, declared }), JSON.stringify(value)).not.toThrow();
    }
  });

  it("refuse a contract about nothing", () => {
    expect(inputProblems(withDefaults({ connection: at, declaredOnly: true })).join()).toContain(
      "nothing would be checked",
    );
    expect(
      inputProblems(withDefaults({ connection: at, declaredOnly: true, declared: { streams: [] } })).join(),
    ).toContain("nothing would be checked");
  });

  it("without a declaration are those that they were", () => {
    const inputs = withDefaults({ connection: at });
    expect(inputs).not.toHaveProperty("declared");
    expect(inputs).not.toHaveProperty("declaredOnly");
  });
});
