/** The guard's bundled program, run as its pod runs it, and a server that has its user. */
import { spawn, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { ConnectionOptions } from "nats";
import { LOCATIONS } from "../../contract/facts";
import { GUARD_INBOX, guardPermissions } from "../../contract/guard/permissions";
import { GUARD_VARIABLES, guardCommand, type GuardMode } from "../../contract/guard/settings";
import { withDefaults, type ContractArguments } from "../../contract/inputs";
import { projectRoot } from "../../contract/project";
import { closedPort, until } from "./nats";

const OPERATOR = "operator-Password.1";
export const GUARD = "guard-canary-Password.2";
export const CONTRACT = { gateway: {} } satisfies ContractArguments;

/** A server with an operator and the guard's own user. */
export const guardConfig = (mode: GuardMode = "heal", contract: ContractArguments = CONTRACT): string => {
  const permissions = JSON.stringify(guardPermissions(withDefaults(contract), mode));
  return `
jetstream: {store_dir: "DIR/jetstream", max_memory_store: 64MB, max_file_store: 64MB}
authorization { users: [
  {user: operator, password: "${OPERATOR}"}
  {user: contract-guard, password: "${GUARD}", permissions: ${permissions}}
] }`;
};

export const operator: ConnectionOptions = { user: "operator", pass: OPERATOR };
export const asGuard: ConnectionOptions = { user: "contract-guard", pass: GUARD, inboxPrefix: GUARD_INBOX };

export interface Start {
  readonly mode?: GuardMode;
  readonly id?: string;
  /** Authorities of NATS, of one with TLS. */
  readonly ca?: string;
  readonly contract?: ContractArguments;
}

/** The bundled program, as its pod runs it. */
export class Running {
  readonly lines: string[] = [];
  private constructor(
    private readonly child: ChildProcess,
    readonly port: number,
  ) {
    for (const stream of [child.stdout, child.stderr]) {
      let rest = "";
      stream?.setEncoding("utf8").on("data", (text: string) => {
        const parts = (rest + text).split("\n");
        rest = parts.pop() ?? "";
        this.lines.push(...parts);
      });
    }
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  static async start(
    address: string | readonly string[],
    { mode = "heal", id = "guard-a", ca, contract = CONTRACT }: Start = {},
  ) {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), "contract-guard-"));
    const file = path.join(dir, "contract.json");
    const connection = { servers: [address].flat(), ...(ca === undefined ? {} : { tls: { ca } }) };
    fs.writeFileSync(file, JSON.stringify({ contract: { ...contract, connection } }));
    const port = await closedPort();
    const built = path.join(projectRoot(), "dist", "contract", "guard", LOCATIONS.guard.program);
    // In a folder of its own: nothing beside the file is found.
    const program = path.join(dir, LOCATIONS.guard.program);
    fs.copyFileSync(built, program);
    const host = `require("node:os").hostname = () => ${JSON.stringify(id)};`;
    fs.writeFileSync(path.join(dir, "host.js"), host);
    const [, ...args] = guardCommand(program);
    const child = spawn(process.execPath, ["--require", path.join(dir, "host.js"), ...args], {
      cwd: dir,
      env: {
        [GUARD_VARIABLES.contract]: file,
        [GUARD_VARIABLES.mode]: mode,
        [GUARD_VARIABLES.port]: String(port),
        [GUARD_VARIABLES.address]: "127.0.0.1",
        [GUARD_VARIABLES.user]: "contract-guard",
        [GUARD_VARIABLES.password]: GUARD,
      },
    });
    child.once("exit", () => fs.rmSync(dir, { recursive: true, force: true }));
    const running = new Running(child, port);
    await until("the guard to serve", () =>
      running.get("/healthz").then(
        () => true,
        () => undefined,
      ),
    );
    return running;
  }

  async get(place: string): Promise<string> {
    const response = await fetch(`http://127.0.0.1:${this.port}${place}`);
    return response.text();
  }

  /** Value of a metric without labels, or with those given; undefined where it is not there. */
  async metric(name: string): Promise<number | undefined> {
    const line = (await this.get("/metrics")).split("\n").find((each) => each.startsWith(`${name} `));
    return line === undefined ? undefined : Number(line.slice(name.length + 1));
  }

  async reaches(name: string, wanted: number | undefined): Promise<void> {
    await until(`${name} ${wanted}`, async () => ((await this.metric(name)) === wanted ? true : undefined));
  }

  messages(): string[] {
    return this.lines.map((line) => (JSON.parse(line) as { message: string }).message);
  }

  /** Its log is another way than its metrics, and may come after them. */
  async says(message: string): Promise<void> {
    await until(message, () => this.messages().includes(message) || undefined);
  }

  async end(): Promise<number | null> {
    if (this.child.exitCode !== null) return this.child.exitCode;
    const ended = new Promise<number | null>((resolve) => this.child.once("exit", resolve));
    this.child.kill("SIGTERM");
    return ended;
  }
}
