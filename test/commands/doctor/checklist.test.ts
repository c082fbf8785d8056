import { describe, expect, it } from "vitest";
import { checklist, exitOf, type Line } from "../../../commands/doctor/checklist";
import { checklistText, screenOf } from "../../../commands/doctor/present";
import { container, crashing, healthy, lines, namespace, nats, NOW, pod, workload } from "./evidence";

const lineOf = (lines: readonly Line[], item: string) => lines.find((line) => line.item === item);
const plain = { colour: false, width: 80 };

describe("checklist", () => {
  it("has the five sections of the specification and the gateway's buckets, and holds where all is well", () => {
    const found = checklist(healthy());
    expect([...new Set(found.lines.map(({ section }) => section))]).toEqual([
      "NATS pods",
      "Stream",
      "Consumers",
      "Gateway buckets",
      "NoETL deployments",
      "Gateway environment",
    ]);
    expect(found.lines.map(({ status }) => status)).toEqual(found.lines.map(() => "ok"));
    expect(lineOf(found.lines, "sessions")?.found).toBe("TTL 300 s");
    expect({ holds: found.holds, exit: exitOf(found) }).toEqual({ holds: true, exit: "ok" });
  });

  it("has no lines for parts that the stack does not deploy", () => {
    const { nats: own } = healthy().namespaces;
    const found = checklist(healthy({ namespaces: { nats: own } }));
    expect([...new Set(found.lines.map(({ section }) => section))]).toEqual(["NATS pods"]);
  });

  it.each([
    [400, "ok", "ends on 2027-04-06, in 400 days", "ok"],
    [30, "ok", "ends on 2026-04-01, in 30 days", "ok"],
    [29.9, "note", "ends on 2026-04-01, in 29 days", "ok"],
    [0.5, "note", "ends on 2026-03-03, in less than a day", "ok"],
    [0, "wrong", "has ended on 2026-03-02", "wrong"],
    [undefined, "unknown", "NATS did not show one", "unknown"],
  ])("says of the certificate that NATS shows, with %s days left: %s", (days, status, text, exit) => {
    const ends = days === undefined ? {} : { ends: NOW + days * 24 * 3_600_000 };
    const found = checklist(healthy({ tls: { natsTls: "generated", ...ends } }));
    expect(lineOf(found.lines, "certificate")).toMatchObject({ section: "NATS TLS", status, found: text });
    expect(exitOf(found)).toBe(exit);
  });

  it("names every rule that is broken, with what was found and expected", () => {
    const found = checklist(healthy({ nats: { ok: true, value: nats({ retention: "workqueue", max_age: 60e9 }) } }));
    expect(lineOf(found.lines, "NOETL_COMMANDS")?.status).toBe("wrong");
    expect(lineOf(found.lines, "stream-retention")).toMatchObject({
      status: "wrong",
      found: "workqueue",
      expected: "limits",
    });
    expect(lineOf(found.lines, "stream-max-age")).toMatchObject({ status: "note", found: "60 s", expected: "3600 s" });
    expect(exitOf(found)).toBe("wrong");
  });

  it("holds where something merely differs", () => {
    const found = checklist(healthy({ nats: { ok: true, value: nats({ storage: "file" }) } }));
    expect(lineOf(found.lines, "NOETL_COMMANDS")?.status).toBe("note");
    expect({ holds: found.holds, exit: exitOf(found) }).toEqual({ holds: true, exit: "ok" });
  });

  it.each([
    ["stream", nats(null), "NOETL_COMMANDS", "no such stream"],
    ["consumer", nats({}, null), "noetl_worker_pool", "no such consumer"],
  ])("says that there is no %s, once", (_, value, item, text) => {
    const { lines } = checklist(healthy({ nats: { ok: true, value } }));
    expect(lines.filter(({ status }) => status !== "ok").map((line) => [line.item, line.found])).toEqual([
      [item, text],
    ]);
  });

  it("tells what could not be asked from what does not hold", () => {
    const refused = { ok: false, problem: "refused", message: "pod nats/nats-0 does not answer on port 4222" } as const;
    const found = checklist(healthy({ nats: refused }));
    expect(lineOf(found.lines, "NOETL_COMMANDS")).toMatchObject({ status: "unknown", found: refused.message });
    expect({ holds: found.holds, exit: exitOf(found) }).toEqual({ holds: false, exit: "unknown" });
  });

  it("shows pods that do not run, and Deployments that lack some", () => {
    const noetl = namespace("noetl", {
      workloads: [workload("noetl-server"), workload("noetl-worker", 0, { wanted: 2 })],
    });
    const found = checklist(
      healthy({
        namespaces: {
          nats: { ok: true, value: namespace("nats", { pods: [crashing("nats-0", "nats", [])] }) },
          noetl: { ok: true, value: noetl },
        },
      }),
    );
    expect(lineOf(found.lines, "nats-0")).toMatchObject({
      status: "wrong",
      found: "Running, 0 of 1 ready, 4 restarts, main: CrashLoopBackOff",
    });
    expect(lineOf(found.lines, "noetl-worker")).toMatchObject({ status: "wrong", found: "0 of 2 ready" });
  });

  it("misses what readiness does not show: a Service that leads nowhere, workers and a guard that are off", () => {
    const worked = healthy();
    const { namespaces } = worked;
    const noetl = namespace("noetl", {
      pods: [pod("noetl-server-1", "noetl-server")],
      workloads: [workload("noetl-server"), workload("noetl-worker", 0, { wanted: 0 })],
      services: [],
    });
    const off = healthy({ guarded: true, namespaces: { ...namespaces, noetl: { ok: true, value: noetl } } });
    const found = checklist(off).lines.filter(({ status }) => status !== "ok");
    expect(found.map(({ section, item, status, found }) => [section, item, status, found])).toEqual([
      ["NATS pods", "contract-guard", "wrong", "no guard among the pods"],
      ["NoETL deployments", "noetl-worker", "wrong", "0 of 0 ready"],
      ["Services", "noetl", "wrong", "there is no Service noetl/noetl with a selector"],
    ]);
    const wanted = checklist({ ...off, guarded: false, workerReplicas: 0 });
    expect(lineOf(wanted.lines, "noetl-worker")).toMatchObject({ status: "ok", found: "0 of 0 ready" });
  });

  it.each([0, 1])("misses a database that has 0 of %s pods ready", (wanted) => {
    const { namespaces } = healthy();
    const postgres = namespace("postgres", {
      workloads: [
        workload("postgres", 0, { kind: "StatefulSet", namespace: "postgres", wanted }),
        // Somebody else's.
        workload("pgadmin", 0, { namespace: "postgres", wanted: 0 }),
      ],
    });
    const found = checklist(healthy({ namespaces: { ...namespaces, postgres: { ok: true, value: postgres } } }));
    expect(lineOf(found.lines, "postgres")).toMatchObject({ section: "Database", status: "wrong" });
    expect(lineOf(found.lines, "pgadmin")).toBeUndefined();
    expect(exitOf(found)).toBe("wrong");
  });

  it("does not know of Services that may not be listed", () => {
    const { namespaces } = healthy();
    const unread = ["user x may not list the services of namespace noetl"];
    const noetl = namespaces.noetl?.ok ? { ...namespaces.noetl.value, unread } : undefined;
    const found = checklist(
      healthy({ namespaces: { ...namespaces, ...(noetl ? { noetl: { ok: true, value: noetl } } : {}) } }),
    );
    expect(lineOf(found.lines, "services")).toMatchObject({ status: "unknown", found: unread[0] });
    expect(exitOf(found)).toBe("unknown");
  });

  describe("a rollout", () => {
    const template = (name: string, hash: string, ageSeconds: number) =>
      pod(name, "noetl-worker", { template: hash, ageSeconds });
    const old = [template("noetl-worker-a-1", "a", 900), template("noetl-worker-a-2", "a", 900)];
    const line = (pods: ReturnType<typeof pod>[], rollout?: { updated: number; old: number; gaveUp?: string }) => {
      const worker = workload("noetl-worker", 2, { wanted: 2, ...(rollout ? { rollout } : {}) });
      const value = namespace("noetl", { pods, workloads: [workload("noetl-server"), worker] });
      const found = checklist(healthy({ namespaces: { noetl: { ok: true, value } } }));
      return lineOf(found.lines, "noetl-worker");
    };

    it("is done where every pod is of the newest template and ready", () => {
      expect(line(old)).toMatchObject({ status: "ok", found: "2 of 2 ready" });
    });

    it("is stuck where the pods of the newest template crash, however many older ones are ready", () => {
      const broken = crashing("noetl-worker-b-1", "noetl-worker", [], { template: "b", ageSeconds: 30 });
      expect(line([...old, broken], { updated: 1, old: 2 })).toMatchObject({
        status: "wrong",
        found:
          "rollout stuck: of the newest template 0 of 2 ready, 2 older pods left; " +
          "noetl-worker-b-1: Running, 0 of 1 ready, 4 restarts, main: CrashLoopBackOff",
      });
    });

    it("is under way where they are on their way, and stuck where the controller has given up", () => {
      const fresh = template("noetl-worker-b-1", "b", 5);
      expect(line([...old, fresh], { updated: 1, old: 2 })?.found).toBe(
        "rollout under way: of the newest template 1 of 2 ready, 2 older pods left",
      );
      // The controller has not seen the newest template yet.
      expect(line(old, { updated: 0, old: 2 })).toMatchObject({ status: "wrong" });
      expect(line(old, { updated: 0, old: 2 })?.found).toContain("of the newest template 0 of 2 ready");
      const gaveUp = "ProgressDeadlineExceeded: timed out";
      expect(line([...old, fresh], { updated: 1, old: 2, gaveUp })?.found).toMatch(
        /^rollout stuck: .*; ProgressDeadline/,
      );
    });
  });

  it("has failed publishes and fetches of pods that are ready", () => {
    const log = lines(["ERROR execute failed: nats: connection closed"], 30);
    const server = pod("noetl-server-1", "noetl-server", { containers: [container({ log })] });
    const value = namespace("noetl", {
      pods: [server],
      workloads: [workload("noetl-server"), workload("noetl-worker")],
    });
    const found = checklist(healthy({ namespaces: { noetl: { ok: true, value } } }));
    expect(found.lines.filter(({ status }) => status === "wrong")).toEqual([
      {
        section: "NoETL deployments",
        item: "noetl-server",
        status: "wrong",
        found:
          "noetl-server-1 could not announce a command at 2026-03-02T11:59:30Z: ERROR execute failed: nats: connection closed",
      },
    ]);
    expect(exitOf(found)).toBe("wrong");
  });

  it("tells a slow way as slow, and holds", () => {
    const found = checklist(healthy({ slow: ["7.2 s for the Kubernetes API to list the pods of namespace nats"] }));
    expect(checklistText(found, plain)).toContain("Slow: waited 7.2 s for the Kubernetes API to list the pods");
    expect({ holds: found.holds, exit: exitOf(found) }).toEqual({ holds: true, exit: "ok" });
  });

  it("has a line for each consumer that the contract names", () => {
    const facts = nats();
    const consumers = facts.consumers.flatMap((each) => [each, { ...each, name: "pool_shared" }]);
    const checks = ["noetl_worker_pool", "pool_shared"].map((consumer) => ({
      id: "consumer-ack-policy",
      about: "consumer",
      ok: consumer !== "pool_shared",
      severity: "violation" as const,
      found: "none",
      expected: "explicit",
      why: "x",
      repairable: false,
      consumer,
    }));
    const found = checklist(healthy({ nats: { ok: true, value: { ...facts, consumers, checks } } }));
    const told = found.lines.filter(({ section }) => section === "Consumers");
    expect(told.map(({ item, status }) => [item, status])).toEqual([
      ["noetl_worker_pool", "ok"],
      ["pool_shared", "wrong"],
      ["consumer-ack-policy of pool_shared", "wrong"],
    ]);
  });

  it("misses a NATS server that has no pod, whatever else runs in its namespace", () => {
    const box = pod("nats-box-1", "nats-box", { namespace: "nats" });
    const set = (wanted: number) => workload("nats", 1, { kind: "StatefulSet", namespace: "nats", wanted });
    const server = pod("nats-0", "nats", { namespace: "nats" });
    const linesOf = (changes: Parameters<typeof namespace>[1]) =>
      checklist(healthy({ namespaces: { nats: { ok: true, value: namespace("nats", changes) } } })).lines;
    const wrong = (changes: Parameters<typeof namespace>[1]) => lineOf(linesOf(changes), "nats")?.found;
    expect(wrong({ pods: [box], workloads: [set(0)] })).toBe("StatefulSet: 0 wanted, 0 pods there");
    expect(wrong({ pods: [box, server], workloads: [set(3)] })).toBe("StatefulSet: 3 wanted, 1 pod there");
    expect(wrong({ pods: [box] })).toBe("no server among the pods");
    expect(wrong({ pods: [box, server], workloads: [set(1)] })).toBeUndefined();
  });

  it("names a Deployment, NATS pods or a variable that are not there at all", () => {
    const { lines } = checklist(
      healthy({
        namespaces: {
          nats: { ok: true, value: namespace("nats") },
          noetl: { ok: true, value: namespace("noetl", { workloads: [workload("noetl-server")] }) },
          gateway: { ok: true, value: namespace("gateway") },
        },
        environment: { gateway: { ok: true, value: [] } },
      }),
    );
    expect(lineOf(lines, "pods")).toMatchObject({ status: "wrong", found: "none in namespace nats" });
    expect(lineOf(lines, "noetl-worker")).toMatchObject({ status: "wrong", found: "no such Deployment" });
    expect(lineOf(lines, "CORS_ALLOWED_ORIGINS")).toMatchObject({ status: "wrong", found: "not set" });
  });

  it("finds a variable that is not what the stack sets", () => {
    const variable = { name: "NATS_UPDATES_SUBJECT_PREFIX", value: "updates.", source: "literal", asDeployed: false };
    const { lines } = checklist(healthy({ environment: { gateway: { ok: true, value: [variable] } } }));
    expect(lineOf(lines, variable.name)).toMatchObject({ status: "wrong", found: "updates." });
  });

  it.each([
    ["gateway", "NATS_SESSION_BUCKET", "others"],
    ["noetl-server", "NATS_SUBJECT", "other.commands"],
    ["noetl-worker", "NOETL_WORKER_NATS_MAX_ACK_PENDING", "65"],
  ])("finds one of %s that it does not show otherwise: %s", (deployment, name, value) => {
    const of = (asDeployed: boolean) => {
      const variable = { name, value, source: "ConfigMap x, key y", asDeployed };
      return checklist(healthy({ environment: { [deployment]: { ok: true, value: [variable] } } })).lines;
    };
    expect(lineOf(of(false), name)).toMatchObject({ status: "wrong", found: `${value} (ConfigMap x, key y)` });
    expect(of(true).find(({ item }) => item === name)).toBeUndefined();
  });
});

describe("checklist as text", () => {
  it("fits 80 columns, whatever was found", () => {
    const long = pod(`nats-${"0".repeat(60)}`, "nats", { unscheduled: `Unschedulable: ${"x".repeat(200)}` });
    const evidence = healthy({
      namespaces: { ...healthy().namespaces, nats: { ok: true, value: namespace("nats", { pods: [long] }) } },
      nats: { ok: true, value: nats({ retention: "workqueue" }, { max_ack_pending: 1 }) },
    });
    const text = checklistText(checklist(evidence), plain);
    expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(text).toContain("found workqueue, expected limits");
    expect(text).toContain("The cause and the remedy: npm run doctor -- --stack kind");
  });

  it("does not hold for a stack whose update has not come to its end, whatever is in the cluster", () => {
    const found = checklist(healthy({ missingOutputs: ["natsPassword", "contract"] }));
    expect(found.holds).toBe(false);
    expect(exitOf(found)).toBe("wrong");
    expect(found.lines[0]).toEqual({
      section: "Update",
      item: "outputs",
      status: "wrong",
      found: "no natsPassword, contract: no update with these settings has come to its end",
    });
  });

  it("shows nothing that a terminal would obey, also of the names that others have given", () => {
    const found = checklist(healthy());
    const lines = found.lines.map((line) => ({ ...line, item: `${line.item}\u001b[2J\u009b31m\u202e` }));
    expect(checklistText({ ...found, lines }, plain)).toBe(checklistText(found, plain));
  });

  it("has colours on a terminal only, and none where NO_COLOR is set", () => {
    const colours = (stream: { isTTY?: boolean }, env: NodeJS.ProcessEnv) =>
      checklistText(checklist(healthy()), screenOf(stream, env)).includes("\u001b[");
    expect(colours({ isTTY: true }, {})).toBe(true);
    expect(colours({ isTTY: true }, { NO_COLOR: "1" })).toBe(false);
    expect(colours({ isTTY: true }, { TERM: "dumb" })).toBe(false);
    expect(colours({}, { FORCE_COLOR: "1", CI: "true" })).toBe(false);
  });
});
