import { asksForHelp, readWords, type Option } from "../shared/arguments";
import { DiffError } from "./errors";
import { LEVELS, type Level } from "./report";

export const FORMATS = ["markdown", "json", "html", "text"] as const;
export type Format = (typeof FORMATS)[number];

/** File names of the formats in an `--output` folder. */
export const FILE_NAMES: Record<Format, string> = {
  markdown: "diff.md",
  json: "diff.json",
  html: "diff.html",
  text: "diff.txt",
};

export interface Options {
  readonly stack: string;
  readonly base: string;
  readonly formats: readonly Format[];
  /** Folder or file to write to; undefined prints. */
  readonly output?: string;
  /** Stack configuration for both sides, on top of their files. */
  readonly config: Readonly<Record<string, string>>;
  readonly kubeVersion: string;
  readonly apiVersions: readonly string[];
  /** Largest size of the markdown in characters. */
  readonly maxSize: number;
  /** Where the complete report is to be found, for the markdown that had to leave something out. */
  readonly artifact?: string;
  readonly failOn?: Level;
  readonly live: boolean;
  readonly refresh: boolean;
}

/** A comment on GitHub holds 65,536 characters; the rest is room for what a workflow puts around it. */
const DEFAULT_MAX_SIZE = 60_000;
/** Kubernetes version that charts are rendered for; the embedded cluster's. */
export const DEFAULT_KUBE_VERSION = "1.34.4";

export const USAGE = `
Shows what a change does to a stack: resources, rendered manifests, environment
of server, worker and gateway, the stream contract, and what is dangerous in it.

usage: npm run diff -- --stack NAME [options]

  --stack NAME         stack whose configuration is compared, for example kind
  --base REVISION      compare with the commit where HEAD and this revision
                       branched (default origin/main)
  --format LIST        markdown, json, html or text (default text on a
                       terminal, else markdown); several with commas
  --output PATH        write to this file, or with several formats to this
                       folder as diff.md, diff.json, diff.html and diff.txt
  -c, --config K=V     set a configuration key on both sides, not for --live;
                       repeatable: -c natsChart=./embedded/charts/nats
  --live               add the engine's preview of the deployed stack; needs
                       the stack's backend, its passphrase and its cluster
  --refresh            with --live: also what drifted from the stack's state
  --fail-on LEVEL      exit with 1 where a risk is danger, warning or notice,
                       or worse
  --max-size N         most characters of the markdown (default ${DEFAULT_MAX_SIZE})
  --artifact TEXT      where the complete report is, said in a shortened
                       markdown: a URL or a name
  --kube-version V     Kubernetes that charts are rendered for (default ${DEFAULT_KUBE_VERSION})
  --api-versions LIST  API versions that charts may find, with commas, for
                       example monitoring.coreos.com/v1/PodMonitor
  --help               this text

The working tree is compared as it is, uncommitted changes included. Neither
credentials nor a cluster are needed without --live. Secrets appear as changed
or unchanged only.

Exit codes: 0 the report is complete; 1 see --fail-on; 2 wrong arguments, or
something is missing (base, stack, helm); 3 one of the revisions cannot be
evaluated or rendered, or the engine's preview fails. With 2 and 3 the report
is a failure report in the same formats, so that a comment can be
replaced by it; only arguments that cannot be read give no report.
`.trimStart();

const usage = (message: string) => new DiffError(`${message}\nSee npm run diff -- --help.`, "usage");

/** True where the usage is asked for. */
export const wantsHelp = asksForHelp;

const TEXT = { type: "string", lastCounts: true } as const;

const OPTIONS = {
  stack: TEXT,
  base: TEXT,
  format: TEXT,
  output: TEXT,
  config: { type: "string", short: "c", multiple: true },
  live: { type: "boolean" },
  refresh: { type: "boolean" },
  "fail-on": TEXT,
  "max-size": TEXT,
  artifact: TEXT,
  "kube-version": TEXT,
  "api-versions": TEXT,
} as const satisfies Readonly<Record<string, Omit<Option, "means">>>;

/** Values of a command line; a switch is true where it stands there. */
type Values = {
  readonly [K in keyof typeof OPTIONS]?: (typeof OPTIONS)[K]["type"] extends "boolean" ? true : string;
};

/** Reads the command line. @throws DiffError with every problem at once. */
export function parseOptions(argv: readonly string[], isTerminal: boolean): Options {
  const { values: words, lists, positionals, problems: unread } = readWords(argv, OPTIONS);
  const values = words as Values;
  const problems = [...unread, ...positionals.map((word) => `Unexpected argument '${word}'`)];
  const formats = (values.format ?? (isTerminal ? "text" : "markdown")).split(",").filter(Boolean);
  for (const format of formats) {
    if (!(FORMATS as readonly string[]).includes(format)) {
      problems.push(`--format: "${format}" is none of ${FORMATS.join(", ")}; for example --format markdown,json`);
    }
  }
  if (formats.length === 0) problems.push("--format: is empty; for example --format markdown");
  if (formats.length > 1 && values.output === undefined) {
    problems.push("--output: must name a folder when there are several formats; for example --output diff-report");
  }
  const isStackUnread = unread.some((problem) => problem.includes("'--stack"));
  if (!values.stack && !isStackUnread) problems.push("--stack: must be set; for example --stack kind");
  else if (values.stack && !/^[A-Za-z0-9._-]+$/.test(values.stack)) {
    problems.push(`--stack: "${values.stack}" is not a stack name; for example --stack kind`);
  }
  const config: Record<string, string> = {};
  for (const pair of lists.config ?? []) {
    const match = /^([^=]+)=(.*)$/s.exec(pair);
    if (match) config[match[1] ?? ""] = match[2] ?? "";
    else problems.push(`--config: "${pair}" is not a key=value; for example -c natsReplicas=3`);
  }
  const maxSize = Number(values["max-size"] ?? DEFAULT_MAX_SIZE);
  if (!Number.isInteger(maxSize) || maxSize < 2000) {
    problems.push(`--max-size: "${values["max-size"]}" is not an integer from 2000; for example --max-size 60000`);
  }
  const kubeVersion = values["kube-version"] ?? DEFAULT_KUBE_VERSION;
  if (!/^v?\d+\.\d+(\.\d+)?$/.test(kubeVersion)) {
    problems.push(
      `--kube-version: "${kubeVersion}" is not a version; for example --kube-version ${DEFAULT_KUBE_VERSION}`,
    );
  }
  const failOn = values["fail-on"];
  if (failOn !== undefined && !(LEVELS as readonly string[]).includes(failOn)) {
    problems.push(`--fail-on: "${failOn}" is none of ${LEVELS.join(", ")}; for example --fail-on danger`);
  }
  if (values.refresh && !values.live) problems.push("--refresh: only with --live");
  if (problems.length > 0) throw usage(problems.join("\n"));
  return {
    stack: values.stack ?? "",
    base: values.base ?? "origin/main",
    formats: formats as Format[],
    output: values.output,
    config,
    kubeVersion,
    apiVersions: (values["api-versions"] ?? "").split(",").filter(Boolean),
    maxSize,
    artifact: values.artifact,
    failOn: failOn === undefined ? undefined : (failOn as Level),
    live: values.live ?? false,
    refresh: values.refresh ?? false,
  };
}
