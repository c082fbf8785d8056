/** Reading the project's pages. */
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { projectRoot } from "../../contract/project";

/** Files of the project, tracked or about to be. */
export const projectFiles = (): string[] =>
  execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
    cwd: projectRoot(),
    encoding: "utf8",
  })
    .split("\n")
    .filter((file) => file !== "" && fs.existsSync(path.join(projectRoot(), file)));

/** The text of a file of the project. */
export const readProject = (file: string): string => fs.readFileSync(path.join(projectRoot(), file), "utf8");

/** Blocks of code taken out: what stands in them is not markdown. */
export const withoutBlocks = (text: string): string => text.replace(/^ *```[\s\S]*?^ *```/gm, "");

/** What stands in single backticks. */
export const codeIn = (text: string): string[] => [...text.matchAll(/`([^`\n]+)`/g)].map(([, code]) => code ?? "");

/** Anchors of a page's headings, as GitHub makes them. */
export const anchorsOf = (text: string): string[] =>
  [...withoutBlocks(text).matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .replace(/ /g, "-"),
  );

/** Rows of a page's tables, without their heads; a `|` in a cell is written `\|`. */
export const tableRows = (text: string): string[][] =>
  [...withoutBlocks(text).matchAll(/(?:^\|.*\n?)+/gm)].flatMap(([table]) =>
    table
      .trimEnd()
      .split("\n")
      .slice(2)
      .map((line) =>
        line
          .slice(1, -1)
          .split(/(?<!\\)\|/)
          .map((cell) => cell.trim()),
      ),
  );
