/** An argument as a POSIX shell takes it: quoted only where it must be. */
export const quoted = (argument: string): string =>
  /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`;

/** The same of a path, whose leading `~/` is left to the shell, which replaces it. */
export function quotedPath(file: string): string {
  const [, home = "", rest = ""] = /^(~\/)?([^]*)$/.exec(file) ?? [];
  return home + quoted(rest);
}
