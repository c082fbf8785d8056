import { kubernetesStandIn } from "./kubernetes";
import { randomStandIn } from "./random";
import { serve } from "./server";

export interface StandInOptions {
  /** The helm binary. */
  readonly helm: string;
  /** Folder of the program: where a relative chart path starts. */
  readonly cwd: string;
  /** Receives one line per failed call; nothing by default. Never holds a secret. */
  readonly log?: (line: string) => void;
}

/**
 * Serves the stand-ins for the plugins `kubernetes` and `random` on free ports of the loopback interface.
 *
 * `debugProviders` is the value for the engine's environment variable PULUMI_DEBUG_PROVIDERS. The stand-ins may be used
 * by any number of runs, one after another or at once, until `stop`, which also ends what they are waiting for.
 */
export async function serveStandIns(
  options: StandInOptions,
): Promise<{ debugProviders: string; stop(): Promise<void> }> {
  const log = options.log ?? (() => undefined);
  const standIns = [kubernetesStandIn({ helm: options.helm, cwd: options.cwd }), randomStandIn()];
  const served = await Promise.all(standIns.map((standIn) => serve(standIn, log)));
  return {
    debugProviders: standIns.map((standIn, index) => `${standIn.name}:${served[index]?.port}`).join(","),
    stop() {
      for (const each of served) each.stop();
      return Promise.resolve();
    },
  };
}
