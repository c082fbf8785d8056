/** What a stack prints of its credentials, or asks for in vain, in its logs. */
import { SETTINGS, type Settings } from "./schema";

/** What a preview says of the gateway's log, in a sentence each. */
export function gatewayLogWarnings({ deployGateway, gatewayMaskLogs, gatewayChart, gatewayEnv }: Settings): string[] {
  if (!deployGateway) return [];
  return [
    // That nothing masks it is a risk (risks.ts).
    ...(gatewayMaskLogs && gatewayChart !== SETTINGS.gatewayChart.default
      ? [
          `gatewayChart: ${gatewayChart} may start the gateway as it is; then it writes NATS_URL with its password into its log at every ` +
            "start (docs/security.md).",
        ]
      : []),
    ...("RUST_LOG" in gatewayEnv
      ? ["gatewayEnv: RUST_LOG has no effect: no release of the gateway that uses NATS reads a level for its log."]
      : []),
  ];
}
