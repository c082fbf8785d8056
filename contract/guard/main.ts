/**
 * The guard as a program, started by `guardCommand`, with GUARD_CONTRACT, GUARD_MODE, GUARD_PORT, NATS_USER and NATS_PASSWORD in its
 * environment. Ends with 0 at SIGTERM or SIGINT, with 1 where its settings cannot be used.
 */
import { Guard } from "./guard";
import { serve } from "./http";
import { StateLog } from "./log";
import { guardSettings, GuardSettingsError } from "./settings";

async function main(): Promise<void> {
  const settings = guardSettings(process.env);
  const { inputs, mode, port, address } = settings;
  const log = new StateLog((line) => process.stdout.write(`${line}\n`), [inputs.password ?? ""]);
  const guard = new Guard(settings, log);
  const server = await serve({ port, address }, { metrics: () => guard.metrics(), trouble: () => guard.trouble() });
  log.event("info", `guard of stream ${inputs.stream} in mode ${mode}; /metrics and /healthz on port ${server.port}`);
  const ending = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => ending.abort());
  await guard.run(ending.signal);
  await server.close();
}

main().catch((error: unknown) => {
  const words = error instanceof GuardSettingsError ? error.message : `the guard ended: ${(error as Error).stack}`;
  process.stderr.write(`${JSON.stringify({ level: "error", message: words })}\n`);
  process.exitCode = 1;
});
