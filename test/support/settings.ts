import { ConfigError, parseSettings } from "../../config/parse";

/** What is wrong with a configuration, one text a problem. */
export function problemsOf(raw: Record<string, string>): readonly string[] {
  try {
    parseSettings(raw);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}
