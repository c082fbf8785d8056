/** What `JSON.parse` takes without a word: a key that stands twice, of which the last one counts, and a number that does not stay what it is. */

/** A list or an object that is being read. */
interface Open {
  readonly isObject: boolean;
  readonly keys: Set<string>;
  /** The key whose value comes next; undefined where a key does. */
  key: string | undefined;
}

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],]|-?\d[\d.eE+-]*/g;

/** Names of what is read twice, and of what holds a number that becomes another text, of a text that is JSON. */
export function silentLosses(json: string): { readonly twice: readonly string[]; readonly numbers: readonly string[] } {
  const [twice, numbers] = [new Set<string>(), new Set<string>()];
  const open: Open[] = [];
  for (const [token] of json.matchAll(TOKEN)) {
    const inside = open.at(-1);
    if (token === "{" || token === "[") open.push({ isObject: token === "{", keys: new Set(), key: undefined });
    else if (token === "}" || token === "]") open.pop();
    else if (token === "," && inside) inside.key = undefined;
    else if (token.startsWith('"') && inside?.isObject && inside.key === undefined) {
      inside.key = JSON.parse(token) as string;
      if (inside.keys.has(inside.key)) twice.add(inside.key);
      inside.keys.add(inside.key);
    } else if (/^[-\d]/.test(token) && String(Number(token)) !== token) {
      numbers.add(open.findLast(({ key }) => key !== undefined)?.key ?? "");
    }
  }
  return { twice: [...twice], numbers: [...numbers] };
}
