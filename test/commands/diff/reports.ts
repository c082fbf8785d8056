import type { ChangeReport, ObjectChange } from "../../../commands/diff/report";

/** Text that tries to leave whatever it is put into. */
export const HOSTILE =
  "</summary><script>alert(1)</script> `` | @somebody #12 [x](http://evil.example) \u001b[31m\u202e<!-- \"'";

/** A report with these objects and nothing else. */
export function report(objects: readonly ObjectChange[], more: Partial<ChangeReport> = {}): ChangeReport {
  return {
    schemaVersion: 1,
    status: "ok",
    project: "noetl-nats",
    stack: "kind",
    base: { ref: "origin/main", commit: "0123456789abcdef" },
    head: { commit: "fedcba9876543210", uncommitted: [] },
    summary: "Something changes.",
    counts: {
      resources: { create: 0, update: 0, replace: 0, delete: 0 },
      objects: { create: 0, update: objects.length, replace: 0, delete: 0 },
      risks: { danger: 0, warning: 0, notice: 0 },
    },
    risks: [],
    contract: { changes: [], broken: [], fix: [], refused: false },
    settings: [],
    environment: [],
    resources: [],
    objects,
    outputs: [],
    parts: [{ name: "nats", title: "NATS", change: "update", touched: 1, restarts: 0 }],
    restarts: [],
    notes: [],
    ...more,
  };
}

/** A ConfigMap of NATS with so many changed fields. */
export const object = (name: string, fields: number, value = "x"): ObjectChange => ({
  op: "update",
  apiVersion: "v1",
  kind: "ConfigMap",
  namespace: "nats",
  name,
  part: "nats",
  owner: "nats-release",
  rendered: true,
  changes: Array.from({ length: fields }, (_, index) => ({
    path: `data.k${index}`,
    op: "change",
    old: "a",
    new: value,
  })),
});
