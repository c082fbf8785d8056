import { quotedPath } from "../../contract/shell";

/**
 * An environment in which git looks at the folder that it is given, and speaks English, since what it says is read: a hook or an alias
 * exports variables that would lead it to another repository.
 */
export function gitEnvironment(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const own: NodeJS.ProcessEnv = { ...env, LC_ALL: "C" };
  for (const name of ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"]) delete own[name];
  return own;
}

/** What to do about a repository that git does not read because of its owner, by what git says; undefined where that is not the reason. */
export function foreignRepository(said: string): string | undefined {
  const folder = /dubious ownership in repository at '(.+)'/.exec(said)?.[1];
  return folder === undefined
    ? undefined
    : `git does not read ${folder}, since it belongs to somebody else; where that is right: ` +
        `git config --global --add safe.directory ${quotedPath(folder)}`;
}
