/**
 * The provider behind {@link DatabaseLogin}, as an ordinary compiled module: the state holds only a stub that loads it, as that
 * of `StreamContract` does.
 *
 * It touches nothing outside of the state. It is there because a resource of the engine knows what it was before: which name the
 * last login had, and with which passwords somebody may still log in.
 */
import { isDeepStrictEqual } from "node:util";
import type * as pulumi from "@pulumi/pulumi";
import { type Login, nameLogin, type Naming } from "../../../contract/nats/users";

export type { Login } from "../../../contract/nats/users";

/** What the stub's resource passes on, filled in by {@link check}. */
export interface LoginInputs extends Naming {
  /** The login that is asked for, and those before it, the newest first. */
  readonly logins: readonly Login[];
}

/** How many logins are remembered after the valid one: as many changes in a row may be interrupted. */
export const REMEMBERED = 4;

/** Characters of a name; Postgres cuts off the others, and so would make two names one. */
const LONGEST_NAME = 63;

/** Name of a role's login: what needs no quotes. */
export function loginName(role: string, number: number): string {
  const end = `_${number}`;
  return `${role.slice(0, LONGEST_NAME - end.length)}${end}`;
}

/** Fills in the login's name, and what is remembered. */
export function check(olds: object, news: object): pulumi.dynamic.CheckResult<LoginInputs> {
  const before = olds as Partial<LoginInputs>;
  const given = news as { user: string; password: string };
  const naming = nameLogin(before, { base: given.user, password: given.password, named: loginName });
  const { user, password } = naming;
  const former = (before.logins ?? []).filter((login) => login.user !== user);
  return { inputs: { ...naming, logins: [{ user, password }, ...former].slice(0, REMEMBERED + 1) } };
}

export function diff(olds: object, news: object): pulumi.dynamic.DiffResult {
  const [before, after] = [olds as Record<string, unknown>, news as Record<string, unknown>];
  const names = ["base", "user", "password", "numbers", "logins", "__provider"];
  return { changes: names.some((name) => !isDeepStrictEqual(before[name], after[name])) };
}
