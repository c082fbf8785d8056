/** What the guard is given: a file with the contract, and its environment. */
import * as fs from "node:fs";
import * as os from "node:os";
import { inputProblems } from "../input-problems";
import { isServersConnection, withDefaults, type ContractArguments, type ContractInputs } from "../inputs";
import { isRecord } from "../records";

/** `watch` reports; `heal` also creates what NoETL or its gateway would have made. */
const GUARD_MODES = ["watch", "heal"] as const;
export type GuardMode = (typeof GUARD_MODES)[number];

/** Bytes that JetStream may store, by kind of storage. */
export interface Stores {
  readonly memory?: number;
  readonly file?: number;
}

/** Names of the file and of the variables; the Deployment gives them. */
export const GUARD_VARIABLES = {
  contract: "GUARD_CONTRACT",
  mode: "GUARD_MODE",
  port: "GUARD_PORT",
  address: "GUARD_ADDRESS",
  user: "NATS_USER",
  password: "NATS_PASSWORD",
} as const;

/** Port of `/metrics` and `/healthz` where GUARD_PORT does not say. */
export const GUARD_PORT = 7777;

/** Starts the guard's program, a compressed file, as Node starts a plain one: stack traces name it. */
export const guardCommand = (file: string): string[] => ["node", "--eval", START, file];

const START =
  'require("vm").runInThisContext(require("zlib").gunzipSync(require("fs").readFileSync(process.argv[1])).toString(), "guard.js")';

/** What the file GUARD_CONTRACT holds: the contract without a credential, and the size of the stores. */
export interface GuardFile {
  readonly contract: ContractArguments;
  readonly stores?: Stores;
}

export interface GuardSettings {
  readonly inputs: ContractInputs;
  readonly mode: GuardMode;
  readonly port: number;
  /** Address that it listens on; undefined listens on all. */
  readonly address?: string;
  /** Tells this guard from another; the pod's name. */
  readonly id: string;
  readonly stores: Stores;
}

/** The settings cannot be used; all that is wrong with them in one message, without any credential. */
export class GuardSettingsError extends Error {
  constructor(readonly problems: readonly string[]) {
    super(`the guard cannot start: ${problems.join("; ")}`);
  }
}

const isMode = (text: string): text is GuardMode => (GUARD_MODES as readonly string[]).includes(text);

/** @throws GuardSettingsError */
export function guardSettings(env: NodeJS.ProcessEnv, hostname: string = os.hostname()): GuardSettings {
  const problems: string[] = [];
  const mode = env[GUARD_VARIABLES.mode] ?? "heal";
  if (!isMode(mode)) {
    problems.push(`${GUARD_VARIABLES.mode}: "${mode}" is not a mode; allowed: ${GUARD_MODES.join(" or ")}`);
  }
  const port = Number(env[GUARD_VARIABLES.port] ?? GUARD_PORT);
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    problems.push(`${GUARD_VARIABLES.port}: not a port; allowed: 0 to 65535, 0 takes any; for example ${GUARD_PORT}`);
  }
  const file = contractFile(env[GUARD_VARIABLES.contract], problems);
  const { user, password } = GUARD_VARIABLES;
  const inputs = withDefaults({
    ...file?.contract,
    ...(env[user] === undefined ? {} : { user: env[user], password: env[password] ?? "" }),
  });
  if (file) {
    problems.push(...inputProblems(inputs));
    if (!isServersConnection(inputs.connection)) {
      problems.push("contract.connection: the guard has a direct way to NATS; allowed: servers");
    }
  }
  if (problems.length > 0 || !isMode(mode)) throw new GuardSettingsError(problems);
  const address = env[GUARD_VARIABLES.address];
  return { inputs, mode, port, address: address || undefined, id: hostname, stores: file?.stores ?? {} };
}

function contractFile(path: string | undefined, problems: string[]): GuardFile | undefined {
  if (path === undefined || path === "") {
    problems.push(
      `${GUARD_VARIABLES.contract}: not set; allowed: path of a JSON file; for example /guard/contract.json`,
    );
    return undefined;
  }
  try {
    const parsed: unknown = JSON.parse(fs.readFileSync(path, "utf8"));
    if (isRecord(parsed) && isRecord(parsed.contract)) return parsed as unknown as GuardFile;
    problems.push(`${GUARD_VARIABLES.contract}: ${path} holds no contract`);
  } catch (error) {
    const why =
      error instanceof SyntaxError ? "is not JSON" : `cannot be read (${(error as NodeJS.ErrnoException).code})`;
    problems.push(`${GUARD_VARIABLES.contract}: ${path} ${why}`);
  }
  return undefined;
}
