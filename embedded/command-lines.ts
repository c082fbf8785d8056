import { CommandError } from "../commands/shared/exit";

const UP = `usage: npm run up:embedded [-- --refresh] [-c key=value ...]

Starts the embedded cluster where none runs, and brings the stack up in it.

--refresh       look first at what is really there
-c key=value    set a setting of the stack (docs/configuration.md);
                -c key= unsets it
--help          this text`;

const DOWN = `usage: npm run down:embedded

Destroys the stack of the embedded cluster, ends the cluster, and removes all
but the tools.

--help          this text`;

export interface UpArguments {
  /** Settings of the stack that were given. */
  readonly config: Readonly<Record<string, string>>;
  /** Whether to look first at what is really there. */
  readonly refresh: boolean;
  /** The explanation, where it was asked for; then nothing else is done. */
  readonly help?: string;
}

const isHelp = (word: string): boolean => word === "--help" || word === "-h";

const unreadable = (words: readonly string[], rest: string): CommandError =>
  new CommandError(`cannot read ${words.map((each) => JSON.stringify(each)).join(", ")}${rest}`, "usage");

/** The command line of `up:embedded`. @throws CommandError `usage` with everything that cannot be read. */
export function readUp(argv: readonly string[]): UpArguments {
  const config: Record<string, string> = {};
  const unread: string[] = [];
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] ?? "";
    if (word === "--refresh") continue;
    if (isHelp(word)) return { config: {}, refresh: false, help: UP };
    const pair = word === "-c" ? /^([^=]+)=(.*)$/s.exec(argv[index + 1] ?? "") : null;
    if (pair) {
      index++;
      config[(pair[1] ?? "").replace(/^noetl-nats:/, "")] = pair[2] ?? "";
    } else unread.push(word);
  }
  if (unread.length > 0) throw unreadable(unread, `; for example -c workerReplicas=3\n\n${UP}`);
  return { config, refresh: argv.includes("--refresh") };
}

/**
 * The command line of `down:embedded`. Whoever gives it words means something else than what cannot be taken back.
 *
 * @throws CommandError `usage`
 */
export function readDown(argv: readonly string[]): { readonly help?: string } {
  if (argv.some(isHelp)) return { help: DOWN };
  if (argv.length > 0) throw unreadable(argv, `\n\n${DOWN}`);
  return {};
}
