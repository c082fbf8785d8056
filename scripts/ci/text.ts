/** Texts that a workflow posts: what goes into them may come from anybody, and they have to stay readable. */

/** Most characters that GitHub takes for a comment or an issue. */
const BODY_LIMIT = 65_536;

/** A code block that `text` cannot end: its fence is longer than every one inside. */
export function fenced(text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}text\n${text.trimEnd()}\n${fence}`;
}

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
