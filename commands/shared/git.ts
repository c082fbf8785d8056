import { quotedPath } from "../../contract/shell";

/** What to do about a repository that git does not read because of its owner, by what git says; undefined where that is not the reason. */
export function foreignRepository(said: string): string | undefined {
  const folder = /dubious ownership in repository at '(.+)'/.exec(said)?.[1];
  return folder === undefined
    ? undefined
    : `git does not read ${folder}, since it belongs to somebody else; where that is right: ` +
        `git config --global --add safe.directory ${quotedPath(folder)}`;
}
