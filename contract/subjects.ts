/**
 * NATS subjects as the server matches them: tokens between dots, `*` for exactly one token, `>` for one or more and
 * only as the last token. A token that merely holds such a character (`a*`) is an ordinary literal.
 */

/** A stream's subject transform: what matches `src` (everything, where empty) is stored as `dest`. */
export interface SubjectTransform {
  readonly src: string;
  readonly dest: string;
}

const tokensOf = (subject: string): string[] => subject.split(".");

/**
 * True where every subject that `subject` can name, wildcards included, is matched by at least one of `patterns`.
 *
 * Tokens are unbounded, so a wildcard of `subject` is never covered by literals, however many: a `*` needs a wildcard in
 * the same place. Patterns that differ in length may cover a `>` together: `a.*` and `a.*.>` cover `a.>`.
 */
export function subjectsCover(patterns: readonly string[], subject: string): boolean {
  let rests = patterns.map(tokensOf);
  const tokens = tokensOf(subject);
  for (const [index, token] of tokens.entries()) {
    if (token === ">" && index === tokens.length - 1) return everyLengthCovered(rests);
    if (rests.some(isFullWildcard)) return true;
    rests = rests.filter(([head]) => head === "*" || (token !== "*" && head === token)).map((rest) => rest.slice(1));
  }
  return rests.some((rest) => rest.length === 0);
}

const isFullWildcard = (rest: readonly string[]): boolean => rest.length === 1 && rest[0] === ">";

/** Whether the patterns match one, two, three, ... arbitrary tokens, without end. */
function everyLengthCovered(patterns: readonly (readonly string[])[]): boolean {
  const exact = new Set<number>();
  let openFrom = Infinity;
  for (const pattern of patterns) {
    const open = pattern.at(-1) === ">";
    const stars = open ? pattern.slice(0, -1) : pattern;
    if (!stars.every((token) => token === "*")) continue;
    if (open) openFrom = Math.min(openFrom, pattern.length);
    else exact.add(pattern.length);
  }
  if (openFrom === Infinity) return false;
  for (let length = 1; length < openFrom; length++) if (!exact.has(length)) return false;
  return true;
}

/** What both patterns match, which is one pattern; undefined where no subject is matched by both. */
export function subjectsInCommon(a: string, b: string): string | undefined {
  const [left, right] = [tokensOf(a), tokensOf(b)];
  const both: string[] = [];
  for (const [index, x] of left.entries()) {
    const y = right[index];
    if (y === undefined) return undefined;
    if (x === ">" && index === left.length - 1) return [...both, ...right.slice(index)].join(".");
    if (y === ">" && index === right.length - 1) return [...both, ...left.slice(index)].join(".");
    if (x !== y && x !== "*" && y !== "*") return undefined;
    both.push(x === "*" ? y : x);
  }
  return left.length === right.length ? both.join(".") : undefined;
}

/** True where at least one subject is matched by both patterns. */
export const subjectsOverlap = (a: string, b: string): boolean => subjectsInCommon(a, b) !== undefined;

/**
 * The subjects under which a stream with `transform` stores what is published on `subject`: the destination, the subject
 * itself where only a part of it is transformed. A destination that cannot be known in advance is given as a wildcard.
 */
export function storedSubjects(subject: string, transform: SubjectTransform | undefined): string[] {
  if (!transform) return [subject];
  const source = transform.src === "" ? ">" : transform.src;
  if (!subjectsOverlap(source, subject)) return [subject];
  const destination = transformed(subject, source, transform.dest);
  return subjectsCover([source], subject) ? [destination] : [subject, destination];
}

/**
 * The subject on which was published what a stream with `transform` stores as `stored`, a pattern's as a pattern; undefined where it
 * may have been another. Of a transform that moves a branch (`a.>` to `b.>`), or one subject, it can be told.
 */
export function publishedSubject(stored: string, { src, dest }: SubjectTransform): string | undefined {
  const [source, destination] = [src === "" ? ">" : src, dest === "" ? ">" : dest].map(tokensOf);
  const isBranch = (tokens: readonly string[] = []): boolean => tokens.at(-1) === ">";
  const open = [...(source ?? []), ...(destination ?? [])].some((token) => token === "*" || MAPPED.test(token));
  if (open || isBranch(source) !== isBranch(destination)) return undefined;
  const target = dest === "" ? ">" : dest;
  if (subjectsCover([stored], target)) return src === "" ? ">" : src;
  if (!subjectsCover([target], stored)) return undefined;
  const rest = isBranch(destination) ? tokensOf(stored).slice((destination?.length ?? 1) - 1) : [];
  return [...(source ?? []).slice(0, isBranch(source) ? -1 : undefined), ...rest].join(".");
}

/** A token that stands for what it is made of. */
const MAPPED = /^\$\d+$|^\{\{.*\}\}$/;

const MAPPED_TOKEN = /^(?:\$(\d+)|\{\{\s*wildcard\s*\(\s*(\d+)\s*\)\s*\}\})$/i;

function transformed(subject: string, source: string, dest: string): string {
  const subjectTokens = tokensOf(subject);
  const sourceTokens = tokensOf(source);
  // Where the subject is the wider of the two, what a wildcard of the source stands for stays open.
  const exact = subjectsCover([source], subject);
  const wildcards = sourceTokens.flatMap((token, index) => (token === "*" ? [exact ? subjectTokens[index] : "*"] : []));
  const result: string[] = [];
  for (const token of dest === "" ? [">"] : tokensOf(dest)) {
    const mapped = MAPPED_TOKEN.exec(token);
    if (token === ">") {
      result.push(...(exact ? subjectTokens.slice(sourceTokens.length - 1) : [">"]));
    } else if (mapped) {
      result.push(wildcards[Number(mapped[1] ?? mapped[2]) - 1] ?? "*");
    } else if (/^\{\{.*(split|slice)/i.test(token)) {
      // These make several tokens out of one.
      return [...result, ">"].join(".");
    } else {
      result.push(/^\{\{.*\}\}$/.test(token) ? "*" : token);
    }
  }
  return result.join(".");
}
