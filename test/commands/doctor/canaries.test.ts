/** Planted secrets of a stack, wherever a cluster says something in its own words, in what `verify` and `doctor` print. */
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checklist } from "../../../commands/doctor/checklist";
import { diagnose } from "../../../commands/doctor/diagnosis";
import type { Evidence } from "../../../commands/doctor/evidence";
import { gather } from "../../../commands/doctor/gather";
import { hiding, question, telling } from "../../../commands/doctor/doctor";
import { checklistText, diagnosisText } from "../../../commands/doctor/present";
import { targetOf, type Target } from "../../../commands/doctor/target";
import { foundIn, plantedSecrets } from "../../support/canaries";

const { secrets: SECRETS, text } = plantedSecrets(11);
const [first = "", ...others] = SECRETS;
const TEXT = text.replaceAll("\n", " ; ");

const NOW = new Date().toISOString();
const condition = (type: string, status: string) => ({ type, status, reason: "Planted", message: TEXT });
const state = {
  waiting: { reason: "CrashLoopBackOff", message: TEXT },
};
const ended = { terminated: { reason: "Error", exitCode: 1, message: TEXT, finishedAt: NOW } };
const pod = (namespace: string, owner: string) => ({
  metadata: {
    name: `${owner}-1`,
    namespace,
    creationTimestamp: NOW,
    labels: { "pod-template-hash": "a" },
    ownerReferences: [{ kind: "ReplicaSet", name: `${owner}-a`, controller: true }],
  },
  spec: { containers: [{ name: "main", image: "image:1" }] },
  status: {
    phase: "Pending",
    conditions: [condition("PodScheduled", "False"), condition("Ready", "False")],
    containerStatuses: [{ name: "main", image: "image:1", ready: false, restartCount: 3, state, lastState: ended }],
  },
});
const workload = (namespace: string, name: string) => ({
  metadata: { name, namespace, generation: 1 },
  spec: { replicas: 1 },
  status: {
    observedGeneration: 1,
    conditions: [condition("ReplicaFailure", "True"), condition("Progressing", "False"), condition("Failed", "True")],
  },
});
/** A container with the planted in its variables: as they are, of a ConfigMap, of a Secret, inside a URL. */
const deployment = {
  spec: {
    selector: {},
    template: {
      spec: {
        containers: [
          {
            name: "main",
            envFrom: [{ configMapRef: { name: "planted" } }, { secretRef: { name: "planted" } }],
            env: [
              { name: "LOG_FORMAT", value: TEXT },
              { name: "NATS_URL", value: `nats://noetl:${encodeURIComponent(first)}@nats:4222` },
              { name: "CORS_ALLOWED_ORIGINS", value: TEXT },
            ],
          },
        ],
      },
    },
  },
};
const OWNERS: Readonly<Record<string, readonly string[]>> = {
  nats: ["nats"],
  postgres: ["postgres"],
  noetl: ["noetl-server", "noetl-worker", "noetl-schema"],
  gateway: ["gateway"],
};

/** What the API server answers; what it has none of it lists as empty. */
function answerTo(url: string): unknown {
  const [, namespace = "", kind = "", name, more] =
    /namespaces\/([\w-]+)\/(\w+)(?:\/([\w-]+))?(\/log)?/.exec(url) ?? [];
  const owners = OWNERS[namespace] ?? [];
  if (more !== undefined) return `${NOW} ERROR Failed to publish command: ${TEXT}\n${NOW} ${TEXT}\n`;
  if (name !== undefined && kind === "deployments") return deployment;
  if (name !== undefined && kind === "configmaps") return { data: { NATS_STREAM: TEXT, OTHER: TEXT } };
  if (name !== undefined && kind === "secrets")
    return {
      data: { PASSWORD: Buffer.from(TEXT).toString("base64"), URL: Buffer.from(`x://${TEXT}`).toString("base64") },
    };
  if (kind === "pods") return { items: owners.map((owner) => pod(namespace, owner)) };
  if (["deployments", "statefulsets", "jobs"].includes(kind))
    return { items: owners.map((owner) => workload(namespace, owner)) };
  if (kind === "events")
    return { items: [{ metadata: {}, involvedObject: { kind: "Pod", name: "x" }, reason: "Failed", message: TEXT }] };
  return { items: [] };
}

let server: http.Server;
let target: Target;
let evidence: Record<"checklist" | "full", Evidence>;
beforeAll(async () => {
  server = http.createServer((request, response) => {
    const found = answerTo(request.url ?? "");
    response
      .writeHead(200, { "Content-Type": typeof found === "string" ? "text/plain" : "application/json" })
      .end(typeof found === "string" ? found : JSON.stringify(found));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const kubeconfig = JSON.stringify({
    clusters: [{ name: "c", cluster: { server: `http://127.0.0.1:${port}`, "insecure-skip-tls-verify": true } }],
    contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
    users: [{ name: "u", user: {} }],
    "current-context": "c",
  });
  const natsLogins = Object.fromEntries(
    others.map((password, index) => [`part${index}`, { user: `user${index}`, password }] as const),
  );
  target = targetOf("kind", {
    config: { deployGateway: "true", gatewayImage: "g:v1" },
    outputs: { kubeconfig, natsUser: "noetl", natsPassword: first, natsLogins, natsHost: "nats", natsPort: 4222 },
  });
  // NATS does not answer, which each waits for.
  const [checklist, full] = await Promise.all([
    gather(target, { detail: "checklist" }),
    gather(target, { detail: "full" }),
  ]);
  evidence = { checklist, full };
}, 90_000);
afterAll(() => server.close());

const shows = (text: string): string[] => foundIn(text, SECRETS);
const SCREEN = { colour: false, width: 100_000 };

describe("planted secrets", () => {
  it("are in nothing that verify prints", () => {
    const found = checklist(evidence.checklist);
    const text = checklistText(found, SCREEN);
    // They were there, and are hidden.
    expect(text).toContain("***");
    expect(shows(text)).toEqual([]);
    expect(shows(JSON.stringify(found))).toEqual([]);
  });

  it("are in nothing that a repair says, whoever has written it", () => {
    const written: string[] = [];
    const { secrets: _, ...stack } = target;
    const mask = hiding({ ...stack, secrets: others }, first);
    const tell = telling(mask, { write: (text) => written.push(text) });
    tell(TEXT);
    const intent = { broken: [TEXT], steps: [TEXT], losses: [TEXT], leaves: [TEXT] };
    tell(question(intent, mask, SCREEN));
    expect(written.join("").split("***").length).toBeGreaterThan(5 * SECRETS.length);
    expect(shows(written.join(""))).toEqual([]);
    // Where the question is painted, the colours are its own alone.
    const foreign = (words: string) => [`${words} \u001b[2J\u009b31m\u001b]0;title\u0007 ${first}`];
    const painted = question(
      { broken: foreign("a"), steps: foreign("b"), losses: foreign("c"), leaves: foreign("d") },
      mask,
      { ...SCREEN, colour: true },
    );
    expect(painted).toContain("\u001b[31mBroken\u001b[0m\n  1. a  ***\n");
    // eslint-disable-next-line no-control-regex
    expect(painted.replace(/\u001b\[(?:0|1|31|33)m/g, "")).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
    expect(shows(painted)).toEqual([]);
  });

  it("are in nothing that doctor prints, nor in what it knows", () => {
    const found = diagnose(evidence.full);
    const text = diagnosisText(found, SCREEN);
    expect(text).toContain("***");
    expect(shows(text)).toEqual([]);
    expect(shows(JSON.stringify(found))).toEqual([]);
    expect(shows(JSON.stringify(evidence.full))).toEqual([]);
  });
});
