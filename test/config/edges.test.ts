/** Values at the edges of what is allowed, one by one: names, addresses, images, versions, JSON. */
import { describe, expect, it } from "vitest";
import { parseSettings } from "../../config/parse";
import { problemsOf } from "../support/settings";

const GATEWAY = { deployGateway: "true" };
const GKE = { platform: "gke", projectId: "acme-noetl" };
const NATS_ELSEWHERE = { deployNats: "false", natsPassword: "a-long.random_Word-42" };
const DIGEST = `sha256:${"0a".repeat(32)}`;
const CANARY = "Canary-42";

const wrong: readonly (readonly [string, Record<string, string>, RegExp])[] = [
  ["a key of every object's", { constructor: "x" }, /^constructor: unknown key/],
  ["capitals in an image's name", { postgresImage: "Postgres:17.4" }, /an image with capitals in its name/],
  ["an empty tag", { postgresImage: "postgres:" }, /not an image reference/],
  ["two tags", { postgresImage: "postgres:17:18" }, /not an image reference/],
  ["a URL for an image", { noetlImage: "https://ghcr.io/noetl/noetl:v2.8.9" }, /not an image reference/],
  ["half a digest", { noetlImage: "ghcr.io/noetl/noetl@sha256:0a0a" }, /an image with a digest that is not one/],
  ["a tag of 129 characters", { postgresImage: `postgres:${"1".repeat(129)}` }, /not an image reference/],
  ["a registry's port and no tag", { noetlImage: "registry.acme.dev:5000/noetl" }, /without tag or digest/],
  ["an empty label in a host's name", { ...NATS_ELSEWHERE, natsHost: "nats..acme.dev" }, /not a host name/],
  [
    "a label of 64 characters",
    { ...NATS_ELSEWHERE, natsHost: `${"a".repeat(64)}.acme.dev` },
    /longer than a host name is/,
  ],
  [
    "numbers that are no address",
    { ...NATS_ELSEWHERE, natsHost: "999.1.1.1" },
    /neither a host name nor an IPv4 address/,
  ],
  [
    "each pod itself, on GKE",
    { ...GKE, ...NATS_ELSEWHERE, natsHost: "localhost" },
    /^natsHost: "localhost" is each pod itself/m,
  ],
  [
    "a port of a NATS that is installed",
    { natsPort: "4333" },
    /^natsPort: "4333" is of no use while deployNats is true/,
  ],
  ["a port of a Postgres that is installed", { postgresPort: "5433" }, /^postgresPort: "5433" is of no use/],
  ["a Kubernetes name with an empty label", { natsStorageClass: "fast..disk" }, /not a Kubernetes name/],
  ["a Kubernetes name of 254 characters", { natsStorageClass: "a".repeat(254) }, /longer than 253 characters/],
  [
    "a namespace with a dot",
    { networkPolicies: "true", networkClients: "my.shop:nats" },
    /"my.shop:nats" is not NAMESPACE:PART/,
  ],
  [
    "a namespace of 64 characters",
    { networkPolicies: "true", networkClients: `${"a".repeat(64)}:nats` },
    /is not NAMESPACE:PART/,
  ],
  ["a stream of 256 bytes", { natsStream: "ä".repeat(128) }, /longer than 255 bytes/],
  ["a stream with a sign of no width", { natsStream: "NOETL\u200bCOMMANDS" }, /it holds a sign that nobody sees/],
  ["a stream that is a bucket", { natsStream: "KV_commands" }, /the name of a bucket's stream/],
  ["a stream that is an object store", { natsStream: "OBJ_commands" }, /the name of an object store's stream/],
  [
    "a bucket's name that gets too long",
    { ...GATEWAY, natsSessionBucket: "a".repeat(252) },
    /longer than 251 characters/,
  ],
  [
    "a bucket of NoETL's own",
    { ...GATEWAY, natsSessionBucket: "noetl_execution_state" },
    /is a bucket of NoETL itself/,
  ],
  ["a subject that no line of NATS' protocol holds", { natsSubject: "a".repeat(1025) }, /longer than 1024 bytes/],
  [
    "updates where callbacks are",
    { ...GATEWAY, natsUpdatesSubjectPrefix: "noetl.callbacks." },
    /get callbacks for updates.*for example playbooks.executions.$/,
  ],
  [
    "a password that no line of NATS' protocol holds",
    { natsPassword: "aB3".repeat(400) },
    /longer than 1024 characters/,
  ],
  ["the guard's user", { natsUser: "contract-guard" }, /is the user of the contract guard/],
  [
    "the guard's user, while it is off",
    { natsUser: "contract-guard", contractGuard: "off" },
    /is the user of the contract guard/,
  ],
  ["a chart's version that is a range", { natsChartVersion: "^2.14.0" }, /several versions/],
  ["a chart's version that is none", { natsChartVersion: "banana" }, /not a chart version/],
  ["a chart with other values", { natsChartVersion: "0.19.17" }, /would take every client without a login/],
  ["a version of a folder", { noetlChartVersion: "1.2.3" }, /^noetlChartVersion: "1.2.3" has no effect/],
  [
    "a repository of a folder",
    { gatewayChartRepository: "https://charts.acme.dev" },
    /^gatewayChartRepository: .*has no effect/,
  ],
  ["a variable for a path", { kubeconfig: "$HOME/.kube/config" }, /a variable, which nobody fills in here/],
  ["a URL with a query", { gatewayPublicUrl: "https://gateway.acme.dev?a=b" }, /a URL with a query/],
  ["a port that is none", { gatewayPublicUrl: "https://gateway.acme.dev:99999" }, /not a http:\/\/ or https:\/\/ URL/],
  ["numbers in eights in a range", { ...GKE, nodeCidr: "010.10.0.0/20" }, /not an IPv4 range/],
  [
    "an exclusion with a word of every object's",
    { ...GKE, maintenanceWindow: "daily 00:00-00:00", maintenanceExclusions: "2026-12-20/2027-01-05:constructor" },
    /not a list of exclusions/,
  ],
  [
    "a client secret that is none",
    { ...GKE, iapClientSecret: "a/b" },
    /^iapClientSecret: is not the secret of an OAuth client/,
  ],
  ["a variable twice", { workerEnv: '{"A":"1","A":"2"}' }, /A stands there twice/],
  ["a number that becomes another text", { workerEnv: '{"A":1.10,"B":[],"C":2}' }, /^workerEnv: is not usable/],
  [
    "a version that becomes another",
    { workerEnv: '{"A":1.10}' },
    /A holds a number that becomes another text, unless it is in quotes/,
  ],
  ["a number that is too large", { workerEnv: '{"A":12345678901234567890}' }, /A holds a number/],
  ["a variable with a zero in it", { workerEnv: '{"A":"b\\u0000c"}' }, /A holds a control character/],
  [
    "a key twice in a declaration",
    { natsStreams: '[{"name":"A","name":"B"}]' },
    /name stands twice in one declaration/,
  ],
];

it.each(wrong)("%s is refused", (_, raw, said) => {
  expect(problemsOf(raw).join("\n")).toMatch(said);
});

const right: readonly (readonly [string, Record<string, string>])[] = [
  ["a tag and a digest", { postgresImage: `registry.acme.dev:5000/db/postgres:17.4@${DIGEST}` }],
  ["a registry by its address", { noetlImage: `[fd00::1]:5000/noetl:v2.8.9` }],
  ["double underscores and dashes", { postgresImage: "acme/my__post--gres.x:17_4-alpine.1" }],
  ["an address", { ...NATS_ELSEWHERE, natsHost: "10.1.2.3" }],
  ["a name with a number in its last label", { ...NATS_ELSEWHERE, natsHost: "nats.acme.n1" }],
  ["this machine, off GKE: processes of an embedded cluster", { ...NATS_ELSEWHERE, natsHost: "127.0.0.1" }],
  ["a namespace of 63 characters", { networkPolicies: "true", networkClients: `${"a".repeat(63)}:nats` }],
  ["a stream of 255 bytes, of letters of the world too", { natsStream: `${"ä".repeat(127)}x` }],
  ["names that a shell would read", { natsStream: 'a"b$c#d%e', natsConsumer: "x'y`z" }],
  [
    "a chart's old version, where no chart of NATS is installed",
    { ...NATS_ELSEWHERE, natsHost: "nats.acme.dev", natsChartVersion: "0.19.17" },
  ],
  ["a chart's version with more in it", { natsChartVersion: "v2.14.2-rc.1+build.5" }],
  ["a port in a URL, and a path", { gatewayPublicUrl: "https://[::1]:3000/noetl" }],
  ["one key in two declarations", { natsStreams: '[{"name":"A","subjects":["a"]},{"name":"B","subjects":["b"]}]' }],
  ["numbers that stay what they are", { workerEnv: '{"A":1.5,"B":-3,"C":1000000}' }],
  [
    "texts that name a credential and hold none",
    { workerEnv: '{"DSN":"host=db password=$PASSWORD","HINT":"password: none"}' },
  ],
  [
    "texts that name where a credential or a page is",
    {
      workerEnv: JSON.stringify({
        HEADER: "Authorization=Bearer $(TOKEN)",
        OTHER: "Authorization: Basic  ${LOGIN}",
        PLACE: "pwd=/app OLDPWD=/app PWD=./src",
        PAGES: "reset_password=/reset&forgotPassword=1",
      }),
    },
  ],
  ["sizes with zeros before them, which NATS reads", { natsJetstreamMemSize: "001Gi" }],
];

it.each(right)("%s is taken", (_, raw) => expect(problemsOf(raw)).toEqual([]));

it("JSON keeps the words of every object as names", () => {
  expect(parseSettings({ workerEnv: '{"constructor":"a","A":"b"}' }).workerEnv).toEqual({ constructor: "a", A: "b" });
});

describe("a login that somebody has put where none belongs is not repeated", () => {
  it.each([
    ["natsHost", `nats://noetl:${CANARY}@nats:4222`],
    ["natsHost", `noetl:${CANARY}@nats:4222`],
    ["natsHost", `noetl:pa/${CANARY}@nats`],
    ["natsHost", `${CANARY}@nats`],
    ["postgresHost", `postgres://noetl:${CANARY}@db/noetl`],
    ["postgresHost", `noetl:pa/${CANARY}@db`],
    ["gatewayHost", `noetl:pa/${CANARY}@gateway.acme.dev`],
    ["natsChartRepository", `https://ci:${CANARY}@charts.acme.dev`],
    ["noetlChart", `https://ci:${CANARY}@charts.acme.dev/noetl-1.2.3.tgz`],
    ["gatewayPublicUrl", `https://ci:${CANARY}@gateway.acme.dev`],
    ["corsAllowedOrigins", `https://ci:${CANARY}@app.acme.dev`],
    ["kubeconfig", `users:\n- {name: x, user: {token: ${CANARY}}}`],
    ["workerEnv", JSON.stringify({ DSN: `host=db user=u password=${CANARY}` })],
    ["workerEnv", JSON.stringify({ CONFIG: JSON.stringify({ db: { password: CANARY } }) })],
    ["workerEnv", JSON.stringify({ OPTIONS: `-Ddb_password=${CANARY}` })],
    ["workerEnv", JSON.stringify({ OPTIONS: `--password=${CANARY}` })],
    ["workerEnv", JSON.stringify({ DSN: `Server=db;Pwd=${CANARY}` })],
    ["workerEnv", JSON.stringify({ DSN: `host=db password=x ${CANARY}` })],
    ["workerEnv", JSON.stringify({ HEADER: `Authorization: Bearer ${CANARY}` })],
  ])("%s", (key, value) => {
    const problems = problemsOf({ [key]: value });
    expect(problems).not.toEqual([]);
    expect(problems.join("\n")).not.toContain(CANARY);
  });

  it("and who may pass Identity-Aware Proxy is", () =>
    expect(problemsOf({ ...GKE, iapMembers: "user:ada@acme.dev,bob@acme.dev" }).join()).toContain("user:ada@acme.dev"));
});
