/** Texts that a workflow posts: what goes into them may come from anybody, and they have to stay readable. */

/** Most characters that GitHub takes for a comment or an issue. */
const BODY_LIMIT = 65_536;

/** A code block that `text` cannot end: its fence is longer than every one inside. */
export function fenced(text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}text\n${text.trimEnd()}\n${fence}`;
}

/** Without control characters: a program's colours, and what would move a reader's cursor or eye. */
export const printable = (text: string): string =>
  // eslint-disable-next-line no-control-regex
  text.replace(/\u001b\[[0-9;]*m/g, "").replace(/[\u0000-\u0008\u000b-\u001f\u007f\u202a-\u202e\u2066-\u2069]/g, "");

/** Tags that a report is written with. Every other one could show an image, or a link under another name. */
const OWN_TAGS = /^(?:details|summary|code|sub|br)\b/i;

/** Invisible; parts what GitHub would otherwise take for markup. */
const PARTED = "\u200b";

/** Of a diagram: what makes a node a link, and what gives it a picture. */
const DIAGRAM = /\bclick(?=\s)|@(?=\{)/g;

/** What mathematics may hold that leads somewhere, or looks like the page around it. */
const MATHEMATICS = /\\(?=(?:href|url|html\w*|includegraphics|unicode|class|cssId|style)\b)/gi;

/**
 * A text from a pull request's own code, made harmless: it calls nobody, shows no image and hides no address behind a text
 * (an invisible space parts what would do so), and a marker at its start is gone.
 *
 * A definition of a reference is one inside a quote and a list too, and its label may go over lines: every `]:` is parted,
 * wherever it stands. A mention is looked for in what GitHub has made of the text, so that emphasis, entities and code that
 * never ends hide none.
 */
export const harmless = (text: string): string =>
  printable(text)
    .replace(/^(?:\s*<!--[\s\S]*?-->)+\s*/, "")
    .replace(/(^|[^A-Za-z0-9/.@])@(?=[\w-])/gm, `$1@${PARTED}`)
    .replace(/&(?=#(?:0*64|x0*40);?|commat;)/gi, `&${PARTED}`)
    .replace(/\](?=[([:])/g, `]${PARTED}`)
    .replace(DIAGRAM, (found) => `${found}${PARTED}`)
    .replace(MATHEMATICS, (found) => `${found}${PARTED}`)
    .replace(/<(\/?)(?=([a-z!?][^\s>/]*))/gi, (all: string, slash: string, tag: string) =>
      OWN_TAGS.test(tag) || /^https:$/.test(tag) ? all : `<${PARTED}${slash}`,
    );

/**
 * `body` within the limit: cut at a line, with the code block and the folds that were open closed again, and `note` where it
 * was cut.
 */
export function limited(body: string, note: string): string {
  if (body.length <= BODY_LIMIT) return body;
  const lines = body.split("\n");
  // Room for the note, a fence and the folds.
  let room = BODY_LIMIT - note.length - 200;
  const kept: string[] = [];
  for (const line of lines) {
    if (line.length + 1 > room) break;
    kept.push(line);
    room -= line.length + 1;
  }
  let fence: string | undefined;
  let folds = 0;
  for (const line of kept) {
    const ticks = /^\s{0,3}(`{3,}|~{3,})/.exec(line)?.[1];
    if (fence !== undefined) {
      if (ticks?.startsWith(fence) && line.trim() === ticks) fence = undefined;
    } else if (ticks !== undefined) fence = ticks;
    else folds += (line.match(/<details\b/g) ?? []).length - (line.match(/<\/details>/g) ?? []).length;
  }
  return [
    ...kept,
    ...(fence === undefined ? [] : [fence]),
    "",
    ...Array.from({ length: Math.max(0, Math.min(folds, 10)) }, () => "</details>"),
    "",
    note,
  ].join("\n");
}
