import * as path from "node:path";
import { parseArgs } from "node:util";
import { nearest } from "../../contract/validate";
import { CommandError, EXIT } from "./exit";

/** One option of a command line, and how it is explained. */
export interface Option {
  readonly type: "string" | "boolean";
  /** One letter that stands for it. */
  readonly short?: string;
  /** Whether it may stand there more than once, each time with another value. */
  readonly multiple?: true;
  /** Whether the last value counts where it stands there again: scripts add to what they always give. */
  readonly lastCounts?: true;
  /** Name of the value in the explanation. */
  readonly value?: string;
  readonly means: string;
}

export interface Command {
  readonly name: "verify" | "doctor";
  /** What it does, one sentence. */
  readonly does: string;
  readonly options: Readonly<Record<string, Option>>;
}

export type Values = Readonly<Record<string, string | boolean | undefined>>;

/**
 * A stack's name. Commands that are printed to be pasted hold it. Source: what Pulumi takes, with organization and project before it.
 */
export const STACK_NAME = /^\w[\w.-]*(?:\/[\w.-]+){0,2}$/;

/** Options of both commands. */
export const COMMON: Command["options"] = {
  stack: { type: "string", value: "NAME", means: "stack to ask about (required)" },
  json: { type: "boolean", means: "machine-readable, one object" },
  help: { type: "boolean", means: "this text; also -h" },
};

/** A path of a command line: npm runs scripts in the project's folder, and says where it was called. */
export const fromCaller = (file: string): string => path.resolve(process.env.INIT_CWD ?? process.cwd(), file);

/** Whether a command line asks for its explanation, whatever else it holds. */
export const asksForHelp = (argv: readonly string[]): boolean =>
  argv.slice(0, argv.indexOf("--") < 0 ? undefined : argv.indexOf("--")).some((word) => /^(?:--help|-h)$/.test(word));

/** What a command line says, and all that cannot be understood of it. */
export interface Words {
  readonly values: Values;
  /** Values of the options that may stand there more than once. */
  readonly lists: Readonly<Record<string, readonly string[]>>;
  readonly positionals: readonly string[];
  readonly problems: readonly string[];
}

/** Reads a command line by its options' types; one that is misspelt names the one that was meant. */
export function readWords(argv: readonly string[], options: Readonly<Record<string, Omit<Option, "means">>>): Words {
  const types = Object.fromEntries(
    Object.entries(options).map(([name, { type, short }]) => [name, { type, ...(short ? { short } : {}) }]),
  );
  const { tokens } = parseArgs({
    args: [...argv],
    options: types,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const values: Record<string, string | boolean> = {};
  const lists: Record<string, string[]> = {};
  const positionals: string[] = [];
  const problems: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") positionals.push(token.value);
    if (token.kind !== "option") continue;
    const type = types[token.name]?.type;
    if (type === undefined) {
      const meant = nearest(token.name, Object.keys(types));
      problems.push(
        `Unknown option '${token.rawName}'${meant === undefined ? "" : `; the nearest known one is --${meant}`}`,
      );
    } else if (type === "boolean" && token.value !== undefined) {
      problems.push(`Option '--${token.name}' takes no value`);
    } else if (type === "string" && (token.value === undefined || isOption(token))) {
      problems.push(`Option '--${token.name} <value>' argument missing`);
    } else if (options[token.name]?.multiple) {
      (lists[token.name] ??= []).push(token.value ?? "");
    } else if (
      Object.hasOwn(values, token.name) &&
      values[token.name] !== (token.value ?? true) &&
      !options[token.name]?.lastCounts
    ) {
      problems.push(`Option '--${token.name}' stands there twice, with different values`);
    } else values[token.name] = token.value ?? true;
  }
  return { values, lists, positionals, problems };
}

/** Whether what follows an option as its value is the next option. */
const isOption = ({ value, inlineValue }: { value?: string | undefined; inlineValue?: boolean | undefined }): boolean =>
  inlineValue !== true && (value ?? "").startsWith("-") && value !== "-";

/**
 * The values of a command line.
 *
 * @throws CommandError `usage` with everything that is wrong and the usage.
 */
export function parse(command: Command, argv: readonly string[]): Values {
  if (asksForHelp(argv)) return { help: true };
  const { values, positionals, problems } = readWords(argv, command.options);
  const wrong = [
    ...problems,
    ...positionals.map((word) => `Unexpected argument '${word}'. This command does not take positional arguments`),
  ];
  const isStackMissing = !values.stack && !problems.some((problem) => problem.includes("--stack"));
  if (isStackMissing) wrong.push("--stack is missing");
  if (values.stack !== undefined && !STACK_NAME.test(String(values.stack)))
    wrong.push(
      "--stack is not a stack's name; allowed: letters, digits and _ . -, with organization and project before it; for example --stack kind",
    );
  if (wrong.length > 0) throw new CommandError(`${wrong.join("\n")}\n\n${usage(command)}`, "usage");
  return values;
}

/** Columns of an explanation. */
export const WIDTH = 80;

/** Explanation of a command: options and exit codes. */
export function usage({ name, does, options }: Command): string {
  const rows = Object.entries(options).map(([option, { value, means }]) => [
    `--${option}${value ? ` ${value}` : ""}`,
    means,
  ]);
  return [
    ...wrap(does, WIDTH),
    "",
    `usage: npm run ${name} -- --stack NAME [options]`,
    "",
    ...columns(rows),
    "",
    ...exitCodes(name),
  ].join("\n");
}

/** What a command's exit codes mean, as lines of its explanation. */
export function exitCodes(command: "verify" | "doctor" | "kind"): string[] {
  const codes = Object.values(EXIT).map((exit) => [String(exit.code), exit[command]]);
  return ["exit codes", ...columns(codes.filter(([, means]) => means !== "not used"))];
}

function columns(rows: readonly (readonly string[])[]): string[] {
  const width = Math.max(...rows.map(([first = ""]) => first.length));
  return rows.flatMap(([first = "", second = ""]) =>
    wrap(second, WIDTH - width - 4).map((line, index) => `  ${(index === 0 ? first : "").padEnd(width)}  ${line}`),
  );
}

/** Lines of at most `width` characters, broken at spaces, and in longer words after a comma, point, slash or hyphen. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const paragraph of text.split("\n")) {
    let line = "";
    for (let word of paragraph.split(" ")) {
      if (line !== "" && line.length + 1 + word.length > width) {
        lines.push(line);
        line = "";
      }
      while (word.length > width) {
        const piece = /^.*[,./:@-]/.exec(word.slice(0, width))?.[0] ?? word.slice(0, width);
        lines.push(piece);
        word = word.slice(piece.length);
      }
      line = line === "" ? word : `${line} ${word}`;
    }
    lines.push(line);
  }
  return lines;
}
