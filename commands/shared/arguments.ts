import { parseArgs } from "node:util";
import { CommandError, EXIT } from "./exit";

/** One option of a command line, and how it is explained. */
export interface Option {
  readonly type: "string" | "boolean";
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
  help: { type: "boolean", means: "this text" },
};

/**
 * The values of a command line.
 *
 * @throws CommandError `usage` with everything that is wrong and the usage.
 */
export function parse(command: Command, argv: readonly string[]): Values {
  const options = Object.fromEntries(Object.entries(command.options).map(([name, { type }]) => [name, { type }]));
  let parsed: Record<string, unknown>;
  try {
    parsed = parseArgs({ args: [...argv], options, strict: true, allowPositionals: false }).values;
  } catch (error) {
    const [said] = String((error as Error).message).split(". To specify");
    throw new CommandError(`${said}\n\n${usage(command)}`, "usage");
  }
  const values = parsed as Values;
  if (values.help !== true && !values.stack) {
    throw new CommandError(`--stack is missing\n\n${usage(command)}`, "usage");
  }
  if (values.stack !== undefined && !STACK_NAME.test(String(values.stack))) {
    throw new CommandError(
      `--stack is not a stack's name; allowed: letters, digits and _ . -, with organization and project before it; for example --stack kind\n\n${usage(command)}`,
      "usage",
    );
  }
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
