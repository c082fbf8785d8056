/** The file of users that nats.conf includes: its text, and what it holds before, during and after a change of a password. */
import { isDeepStrictEqual } from "node:util";

/** What a user may publish and subscribe to; without it, everything. */
export interface Permissions {
  readonly publish?: readonly string[] | { readonly allow?: readonly string[]; readonly deny?: readonly string[] };
  readonly subscribe?: readonly string[] | { readonly allow?: readonly string[]; readonly deny?: readonly string[] };
}

/** A user as nats-server reads it. */
export interface Login {
  readonly user: string;
  readonly password: string;
  readonly permissions?: Permissions;
}

/** Key of the Secret, and so the name of the file in the pod. */
export const USERS_FILE = "users.conf";

const HEAD = "users: [\n";
const TAIL = "\n]\n";

/**
 * The file's text, one user a line. Everything is in double quotes: unquoted, nats-server takes `7k` for a size and `true` for
 * a truth value.
 */
export function usersText(logins: readonly Login[]): string {
  const lines = logins.map(({ user, password, permissions }) => `  ${JSON.stringify({ user, password, permissions })}`);
  return `${HEAD}${lines.join(",\n")}${TAIL}`;
}

/** The users of a file that {@link usersText} wrote; undefined where somebody has written another. */
export function usersIn(text: string): Login[] | undefined {
  if (!text.startsWith(HEAD) || !text.endsWith(TAIL)) return undefined;
  try {
    const found = JSON.parse(`[${text.slice(HEAD.length, -TAIL.length)}]`) as Login[];
    return found.every(({ user, password }) => typeof user === "string" && typeof password === "string")
      ? found
      : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The users while pods move from one login to the next: those that are declared, those that the last run declared, which pods log in
 * with, and whoever is let in today. nats-server refuses a file with two users of one name, so that the first of these takes the
 * place of its namesakes: a login that somebody changed or removed by hand is as its pods have it.
 */
export const admitted = (
  live: readonly Login[],
  declared: readonly Login[],
  before: readonly Login[] = [],
): Login[] => {
  const known = [...declared, ...without(before, declared)];
  return [...known, ...without(live, known)];
};

/** Those of `logins` whose name none of `others` has. */
export const without = (logins: readonly Login[], others: readonly Login[]): Login[] =>
  logins.filter(({ user }) => !others.some((other) => other.user === user));

/** What the name of a login follows from. */
export interface Naming {
  /** The user that is asked for. */
  readonly base: string;
  readonly password: string;
  /** The name that the login got. */
  readonly user: string;
  /** How many logins each name has had. */
  readonly numbers: Readonly<Record<string, number>>;
}

/**
 * The name of the login that is asked for. nats-server keeps one password for a user, so that two passwords which are to be
 * valid at a time need two users: the first login has the name that is asked for, the next `<name>-2`, and so on. A name is
 * never given twice, however many changes were interrupted.
 *
 * @param before What the last login got; empty where there was none.
 * @param asked The user and its password; `named` says what another one than the first is called, `past` which names others have had.
 * @param taken Names of other users.
 */
export function nameLogin(
  before: Partial<Naming>,
  asked: Pick<Naming, "base" | "password"> & {
    readonly named?: (base: string, number: number) => string;
    readonly past?: readonly string[];
  },
  taken: readonly string[] = [],
): Naming {
  const { base, password, named, past = [] } = asked;
  const { numbers = {}, user } = before;
  if (user !== undefined && before.base === base && before.password === password && !taken.includes(user)) {
    return { base, password, user, numbers };
  }
  // Whoever asks for `noetl-2` by that name, and later for another password of `noetl`, may have pods with either.
  const used = [...taken, ...past, ...namesGiven(numbers, named)];
  let number = (numbers[base] ?? 0) + 1;
  while (used.includes(numberedName(base, number, named))) number++;
  return { base, password, user: numberedName(base, number, named), numbers: { ...numbers, [base]: number } };
}

const numberedName = (base: string, number: number, named = (of: string, at: number) => `${of}-${at}`): string =>
  number === 1 ? base : named(base, number);

/** All names that a login has had. */
export const namesGiven = (numbers: Naming["numbers"], named?: (base: string, number: number) => string): string[] =>
  Object.entries(numbers).flatMap(([base, last]) =>
    Array.from({ length: last }, (_, at) => numberedName(base, at + 1, named)),
  );

/** What differs between a file and what it should hold, without a password; empty where nothing does. */
export function differencesOf(text: string | undefined, declared: readonly Login[], further: "allowed" | "refused") {
  if (text === undefined) return ["the Secret is gone"];
  const live = usersIn(text);
  if (live === undefined) return [`${USERS_FILE} is not as it was written`];
  const changed = declared.flatMap((wanted) => {
    const found = live.find(({ user }) => user === wanted.user);
    if (found === undefined) return [`user ${wanted.user} is missing`];
    return [
      ...(found.password === wanted.password ? [] : [`user ${wanted.user} has another password`]),
      ...(isDeepStrictEqual(found.permissions, wanted.permissions)
        ? []
        : [`user ${wanted.user} has other permissions`]),
    ];
  });
  const others = further === "refused" ? without(live, declared).map(({ user }) => `user ${user} is let in, too`) : [];
  return [...changed, ...others];
}
