/** The steps that bring a stack to what its settings say. */
import type { Evidence } from "../evidence";
import { quoted } from "../text";
import { run, say, type Step } from "./finding";

/** What brings a stack to what its settings say. */
export const update = ({ stack }: Pick<Evidence, "stack">): Step => run(`pulumi up --stack ${stack}`);

/** Brings back what the program itself declares: the refresh sees that it is gone. */
export const refreshAndUpdate = (evidence: Pick<Evidence, "stack">): Step[] => [
  run(`pulumi refresh --stack ${evidence.stack}`),
  update(evidence),
];

/** Steps that set settings and deploy them. */
export const setAndUpdate = (
  evidence: Pick<Evidence, "stack">,
  settings: Readonly<Record<string, string | undefined>>,
): Step[] => [
  ...Object.entries(settings).flatMap(([key, value]) =>
    value === undefined ? [] : [run(`pulumi config set ${key} ${quoted(value)} --stack ${evidence.stack}`)],
  ),
  update(evidence),
];

/** Whether the stack has installed NATS. */
export const isOurs = ({ namespaces }: Pick<Evidence, "namespaces">): boolean => namespaces.nats !== undefined;

/** What gives the users of a NATS that the stack has installed their passwords and permissions again. */
export const writeUsers = (evidence: Evidence): Step[] => [
  say(
    "The users of this NATS, with what each may do, are the stack's (docs/security.md), and an update writes them again " +
      "wherever they were changed by hand:",
  ),
  update(evidence),
];
