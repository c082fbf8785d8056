import { ensureGateway } from "../../embedded/toolchain/gateway";

/** Makes NoETL's gateway itself available before a test file runs, building it where it is missing. */
export default async function setup(): Promise<void> {
  await ensureGateway();
}
