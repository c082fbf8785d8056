/**
 * Messages to the user from a dynamic provider's process, which the SDK gives no way to say anything but errors: the engine
 * hands its address to that process, and takes messages there as it takes them from the program.
 */
import { createRequire } from "node:module";
import type * as grpc from "@grpc/grpc-js";
import { EngineClient } from "@pulumi/pulumi/proto/engine_grpc_pb";
import { LogRequest, LogSeverity } from "@pulumi/pulumi/proto/engine_pb";
import { harmless } from "../../contract/mask/harmless";

/** The library by which the SDK itself talks to the engine; two copies of it would not know each other's objects. */
const sdkGrpc = (): typeof grpc =>
  createRequire(require.resolve("@pulumi/pulumi/package.json"))("@grpc/grpc-js") as typeof grpc;

/** How long a message may take to reach the engine, in milliseconds; it is on this machine. */
const LOG_MILLISECONDS = 1_000;

/** The engine's address among the arguments of a provider's process; undefined in any other process. */
function engineAddress(argv: readonly string[] = process.argv): string | undefined {
  if (!/[\\/]dynamic-provider\b/.test(argv[1] ?? "")) return undefined;
  return argv.slice(2).find((argument) => /^[\w.[\]-]+:\d+$/.test(argument));
}

/**
 * Shows a warning. Where there is no engine, or it does not listen, the message goes to standard error, which the engine
 * shows without its severity.
 *
 * @param urn The resource that it is about; empty for the stack.
 */
export async function warn(words: string, urn = "", address = engineAddress()): Promise<void> {
  const message = harmless(words);
  const isShown = address !== undefined && (await toEngine(address, message, urn));
  if (!isShown) console.error(`warning: ${message}`);
}

function toEngine(address: string, message: string, urn: string): Promise<boolean> {
  const client = new EngineClient(address, sdkGrpc().credentials.createInsecure());
  const request = new LogRequest();
  request.setSeverity(LogSeverity.WARNING);
  request.setMessage(message);
  request.setUrn(urn);
  return new Promise((resolve) => {
    const options = { deadline: Date.now() + LOG_MILLISECONDS };
    client.log(request, new (sdkGrpc().Metadata)(), options, (error) => {
      client.close();
      resolve(error === null);
    });
  });
}
