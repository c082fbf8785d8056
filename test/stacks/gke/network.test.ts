import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { parseSettings } from "../../../config/parse";
import { layoutOf } from "../../../config/network";
import { closedNamespaces, type Layout } from "../../../contract/network";
import { projectRoot } from "../../../contract/project";
import { CONFIGURATIONS, EXISTING, FACTS, FRESH, INGRESS, ONTO_EXISTING } from "../../support/gke/configurations";
import { type Declared, run } from "../../support/gke/mocks";
import { unwrap } from "../../support/mocks";
import {
  ADDRESSES,
  allows,
  attempts,
  disagreements,
  jobIn,
  type Place,
  placesOf,
  type Policy,
  PRETENDER,
  said,
  STRANGERS,
  tableOf,
  type Workload,
} from "../../support/network";

/** What charts render to, as their own tests hold it, by the release's name. */
const RENDERED: Readonly<Record<string, string>> = { nats: "nats-cluster", noetl: "noetl-gke", gateway: "gateway-gke" };

const golden = (name: string): Workload[] =>
  parseAllDocuments(fs.readFileSync(path.join(projectRoot(), "test/charts/golden", `${name}.yaml`), "utf8")).map(
    (document) => document.toJS() as Workload,
  );

/** Workloads of a stack: those that it declares, and those of its releases. */
function workloadsOf(declared: readonly Declared[]): Workload[] {
  return declared.flatMap(({ type, name, inputs }): Workload[] => {
    const kind = type.split(":").at(-1) ?? "";
    if (!type.startsWith("kubernetes:")) return [];
    const plain = unwrap(inputs) as Workload & { name?: string; namespace?: string };
    if (kind !== "Release") return [{ ...plain, kind, metadata: { name, ...plain.metadata } }];
    return golden(RENDERED[plain.name ?? ""] ?? "").map((each) => ({
      ...each,
      metadata: { ...each.metadata, namespace: plain.namespace ?? "" },
    }));
  });
}

const policiesIn = (declared: readonly Declared[]): Policy[] =>
  declared.filter(({ type }) => type.endsWith(":NetworkPolicy")).map(({ inputs }) => unwrap(inputs) as Policy);

interface World {
  readonly policies: Policy[];
  readonly layout: Layout;
  readonly places: Place[];
  readonly ports: number[];
  readonly declared: readonly Declared[];
}

async function worldOf(raw: Readonly<Record<string, string>>, facts = FACTS): Promise<World> {
  const { declared } = await run(raw, facts);
  const layout = layoutOf(parseSettings(raw));
  const { places, ports } = placesOf(workloadsOf(declared));
  const jobs = layout.noetl && layout.jobs !== "off" ? [jobIn(layout)] : [];
  return {
    policies: policiesIn(declared),
    layout,
    places: [...places, ...jobs, ...STRANGERS, ...ADDRESSES],
    ports,
    declared,
  };
}

/** Stacks beside the reviewed ones: what lies elsewhere, who is let in, what is open on nodes. */
const MORE: readonly { name: string; raw: Readonly<Record<string, string>>; facts: typeof FACTS }[] = [
  {
    name: "NATS and Postgres in other namespaces",
    raw: {
      ...ONTO_EXISTING,
      deployNats: "false",
      natsHost: "nats.shop.svc.cluster.local",
      natsPassword: "Jp8-uV3_xa91",
      natsJetstreamSize: "",
      deployPostgres: "false",
      postgresHost: "db.monitoring",
      postgresPassword: "Jp8-uV3_xa92",
      postgresStorageSize: "",
    },
    facts: EXISTING,
  },
  {
    name: "NATS at a name and Postgres at an address",
    raw: {
      ...ONTO_EXISTING,
      deployNats: "false",
      acceptedRisks: "plain-http,plain-nats",
      natsHost: "nats.acme.dev",
      natsPort: "4333",
      natsPassword: "Jp8-uV3_xa91",
      natsJetstreamSize: "",
      deployPostgres: "false",
      postgresHost: "172.18.0.1",
      postgresPassword: "Jp8-uV3_xa92",
      postgresStorageSize: "",
    },
    facts: EXISTING,
  },
  {
    name: "clients, NodePorts, metrics, the metadata server",
    raw: {
      ...ONTO_EXISTING,
      acceptedRisks: "plain-http,node-ports",
      networkClients: "shop:nats,ingress-nginx:gateway,ingress-nginx:api,shop:postgres",
      natsMonitorNodePort: "30822",
      noetlNodePort: "30082",
      postgresNodePort: "30321",
      natsNodePort: "30422",
      monitoring: "annotations",
      playbookMetadata: "true",
    },
    facts: EXISTING,
  },
  { name: "playbooks' jobs in a namespace of their own", raw: { ...FRESH, playbookJobs: "own" }, facts: FACTS },
  { name: "no jobs of playbooks", raw: { ...FRESH, playbookJobs: "off" }, facts: FACTS },
  { name: "one NATS server", raw: { ...FRESH, natsReplicas: "1" }, facts: FACTS },
  {
    name: "a gateway alone",
    raw: { ...INGRESS, deployNoetl: "false", useCloudSql: "false", noetlHost: "" },
    facts: FACTS,
  },
];

describe("NetworkPolicies of stacks on GKE", () => {
  it.each([...CONFIGURATIONS, ...MORE])(
    "$name: between all pods and addresses, at all ports, exactly the table",
    async ({ raw, facts }) => {
      const world = await worldOf(raw, facts);
      const { policies, layout, places, ports } = world;
      expect(disagreements(policies, layout, world)).toEqual([]);
      const closed = closedNamespaces(layout);
      const namespaces = world.declared
        .filter(({ type }) => type === "kubernetes:core/v1:Namespace")
        .map(({ inputs }) => (inputs.metadata as { name: string }).name);
      expect(closed.sort()).toEqual(namespaces.sort());
      const denying = policies.filter(({ spec }) => Object.keys(spec.podSelector).length === 0);
      expect(denying.map(({ metadata }) => metadata.namespace).sort()).toEqual(closed);
      for (const { spec } of denying) expect(spec).toEqual({ podSelector: {}, policyTypes: ["Ingress", "Egress"] });

      // Where ranges mean pods, too, a pod that may call the internet may call what is open to everybody, and that is all.
      const isInTable = tableOf(layout);
      const more = [...attempts(places, ports)].filter(
        (attempt) => allows(policies, attempt, { rangesMeanPods: true }) && !isInTable(attempt),
      );
      const isOpenToAll = (attempt: (typeof more)[number]) => isInTable({ ...attempt, from: PRETENDER });
      expect(more.filter((attempt) => attempt.to.party && !isOpenToAll(attempt)).map(said)).toEqual([]);
      expect(more.filter(({ from }) => !from.party).map(said)).toEqual([]);
    },
  );

  it("between the pods of a fresh stack these, and no others", async () => {
    const { policies, places, ports } = await worldOf(FRESH);
    const own = places.filter(({ party }) => party);
    const open = [...attempts(own, ports)]
      .filter((attempt) => allows(policies, attempt, { rangesMeanPods: false }))
      .map(({ from, to, port, protocol }) => `${from.name} ${to.name} ${port}${protocol === "UDP" ? "/udp" : ""}`);
    expect(open.sort()).toEqual(
      [
        "gateway server 8082",
        "gateway nats 4222",
        "server server 8082",
        "server nats 4222",
        "server pgbouncer 5432",
        "worker server 8082",
        "worker nats 4222",
        "worker pgbouncer 5432",
        "job server 8082",
        "job pgbouncer 5432",
        "schema pgbouncer 5432",
        "logins pgbouncer 5432",
        "nats nats 6222",
        "nats nats 8222",
        "guard nats 4222",
      ].sort(),
    );
  });

  it("lets strangers nowhere but to the gateway, and through its load balancer alone where it has one", async () => {
    const reached = async (raw: Readonly<Record<string, string>>) => {
      const { policies, places, ports } = await worldOf(raw);
      return [...attempts(places, ports)]
        .filter(({ from, to }) => !from.party && to.party)
        .filter((attempt) => allows(policies, attempt, { rangesMeanPods: true }))
        .map(({ from, to, port }) => `${from.name} ${to.name} ${port}`);
    };
    expect(new Set((await reached(FRESH)).map((each) => each.split(" ").slice(1).join(" ")))).toEqual(
      new Set(["gateway 8090"]),
    );
    expect(await reached({ ...INGRESS, noetlHost: "", acceptedRisks: "" })).toEqual([
      "35.191.4.4 gateway 8090",
      "130.211.3.255 gateway 8090",
    ]);
  });

  it("are none where networkPolicies is false, which has to be accepted", async () => {
    const { declared } = await run({ ...FRESH, networkPolicies: "false", acceptedRisks: "plain-http,open-network" });
    expect(policiesIn(declared)).toEqual([]);
  });

  it("are there before anything of their namespace that runs", async () => {
    const { declared } = await run(FRESH, FACTS, () => 2);
    const namespaceOf = ({ inputs }: Declared) =>
      (inputs.metadata as { namespace?: string } | undefined)?.namespace ?? inputs.namespace;
    const runs = declared.filter(({ type }) => /:(Release|Deployment|StatefulSet|Job)$/.test(type));
    expect(runs.length).toBeGreaterThan(5);
    for (const each of runs)
      for (const policy of declared.filter((other) => other.type.endsWith(":NetworkPolicy")))
        if (namespaceOf(policy) === namespaceOf(each)) expect(policy.end, `${each.name}`).toBeLessThan(each.begin);
  });
});
