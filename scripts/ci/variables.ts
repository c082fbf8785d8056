import { harmless } from "../../contract/mask/harmless";
import { GitHubError } from "./github";

/** An environment variable that a workflow always has. @throws Error where it is missing. */
export function variable(env: NodeJS.ProcessEnv, name: string): string {
  const value = env[name];
  if (!value) throw new Error(`the environment variable ${name} is missing; a workflow sets it`);
  return value;
}

/** Ends the process with what went wrong, one line for the reader and for GitHub's list of annotations. */
export function fail(error: unknown): void {
  const said =
    error instanceof GitHubError ? `GitHub: ${error.message}` : error instanceof Error ? error.message : String(error);
  // As GitHub's own toolkit escapes what follows a command.
  process.stdout.write(`::error::${harmless(said).replaceAll("%", "%25").replaceAll("\n", "%0A")}\n`);
  process.exitCode = 1;
}
