import { PROJECT } from "../../contract/project";

/** What a user types for a stack that brings its own engine (`.STACK/engine.json`), in the place of the engine's commands. */
export interface StackWords {
  /** In place of `pulumi up`. */
  readonly up: string;
  /** In place of `pulumi refresh` and `pulumi up --refresh`; the update is part of it. */
  readonly refresh: string;
  /** In place of `pulumi config set KEY VALUE`, whose place is held by these two words; the update is part of it. */
  readonly set: string;
}

/** A command of the engine in a sentence. */
const COMMAND = new RegExp(
  String.raw`\bpulumi (?:` +
    [
      String.raw`config set (?:--secret )?(?<set>KEY)(?: (?<value>(?!(?:and|or) )(?:"[^"\n]*"|'[^'\n]*'|[^\s\x60"';,)]+)))?`,
      String.raw`config rm (?<rm>KEY)`,
      String.raw`(?<refresh>refresh|up --refresh)`,
      String.raw`(?<up>up)`,
    ]
      .join("|")
      .replaceAll("KEY", String.raw`[A-Za-z](?:[\w:.-]*\w)?`) +
    String.raw`)(?![\w-])`,
  "g",
);

const OWN = `${PROJECT}:`;

/** A key of another namespace, which the words for a setting do not take. */
const isForeign = (key: string): boolean => key.includes(":") && !key.startsWith(OWN);

/** The stack's words for a setting; without a value it is unset. */
export const settingIn = ({ set }: StackWords, key: string, value: string): string =>
  set.replace("KEY", () => (key.startsWith(OWN) ? key.slice(OWN.length) : key)).replace("VALUE", () => value);

/** A text with the stack's words in the place of the engine's commands. */
export function inStackWords(words: StackWords, text: string, stack: string): string {
  const setting = (key: string, value: string): string => settingIn(words, key, value);
  return text.replaceAll(` --stack ${stack}`, "").replace(COMMAND, (...all) => {
    const [command] = all as [string];
    const found = all.at(-1) as Readonly<Record<"set" | "value" | "rm" | "refresh" | "up", string | undefined>>;
    if (found.rm !== undefined) {
      return isForeign(found.rm) ? `removing ${found.rm} from Pulumi.${stack}.yaml` : setting(found.rm, "");
    }
    if (found.set !== undefined) return isForeign(found.set) ? command : setting(found.set, found.value ?? "...");
    return found.refresh === undefined ? words.up : words.refresh;
  });
}
