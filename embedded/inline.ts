/**
 * A program that one process runs again and again inside itself. Pulumi's SDK leaves the two clients of each such run open: what it closes at
 * its end are those of a process of its own. Where the engine ended first they dial its port for good, and a later engine that the system
 * gives the same port is then refused from what gRPC knows of it: `14 UNAVAILABLE: No connection established. Last error: null`.
 *
 * Nor is the engine told what the SDK has to say for debugging, three lines for each resource: it shows them with `--debug` alone, which no
 * such run asks for, and all the sending is a tenth of a preview's processor time.
 */
import type { PulumiFn } from "@pulumi/pulumi/automation";

interface Clients {
  readonly monitor?: { close(): void };
  readonly engine?: { close(): void };
}

/** The SDK keeps what belongs to a run where asynchronous code of that run finds it. */
const clientsOfThisRun = (): Clients | undefined =>
  (
    globalThis as { asyncLocalStorage?: { getStore(): { readonly settings: Clients } | undefined } }
  ).asyncLocalStorage?.getStore()?.settings;

/** The same program. When it starts, the clients of its run before are closed: that run is over, as a stack has one at a time. */
export function inlineProgram(program: PulumiFn): PulumiFn {
  const log = require("@pulumi/pulumi/log") as { debug: () => Promise<void> };
  log.debug = () => Promise.resolve();
  withoutStacks();
  let before: Clients | undefined;
  return () => {
    before?.monitor?.close();
    before?.engine?.close();
    before = clientsOfThisRun();
    return program();
  };
}

/** As the SDK has it, without the text of a stack for each promise, which it shows with `PULUMI_DEBUG_PROMISE_LEAKS` alone. */
function withoutStacks(): void {
  const debuggable = require("@pulumi/pulumi/runtime/debuggable") as {
    debuggablePromise: { (...promise: unknown[]): unknown; withoutStacks?: true };
    readonly debugPromiseLeaks: boolean;
  };
  const { debuggablePromise, debugPromiseLeaks } = debuggable;
  if (debugPromiseLeaks || debuggablePromise.withoutStacks) return;
  debuggable.debuggablePromise = Object.assign(
    (...promise: unknown[]) => {
      const limit = Error.stackTraceLimit;
      Error.stackTraceLimit = 0;
      try {
        return debuggablePromise(...promise);
      } finally {
        Error.stackTraceLimit = limit;
      }
    },
    { withoutStacks: true as const },
  );
}
