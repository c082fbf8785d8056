/** What somebody meant who wrote a value in another way: `True`, `10GB`, `Ensure`. */
import { spelledOut, UNSEEN_SIGN } from "../contract/mask/harmless";

/** Words for yes and no, of YAML and of other tools. */
const WORDS = new Map([
  ["yes", "true"],
  ["on", "true"],
  ["1", "true"],
  ["no", "false"],
  ["off", "false"],
  ["0", "false"],
]);

/** `10 GB`, `10gib` and `10g` as Kubernetes writes them. */
const QUANTITY = /^(\d+(?:\.\d+)?)\s*([kmgt])i?b?$/i;

/** Values that a text may stand for, the likeliest first. */
function readings(text: string): string[] {
  const lower = text.toLowerCase();
  const [, number, unit] = QUANTITY.exec(text) ?? [];
  const word = WORDS.get(lower);
  return [
    lower,
    text.toUpperCase(),
    ...(word === undefined ? [] : [word]),
    ...(number === undefined || unit === undefined ? [] : [`${number}${unit.toUpperCase()}i`]),
    text.replace(/\.0+$/, ""),
    text.replaceAll("_", "-"),
    lower.replaceAll("_", "-"),
    text.replace(UNSEEN, ""),
  ];
}

/** Characters that nobody sees, or that a terminal obeys: those of logs, and what parts lines, which no value has. */
const UNSEEN = new RegExp(`${UNSEEN_SIGN.source}|[\\p{Cc}\\p{Cf}]`, "gu");

/** The value that a text stands for, where it is another one that is accepted. */
export const meantBy = (text: string, isAccepted: (value: string) => boolean): string | undefined =>
  readings(text).find((value) => value !== text && value !== "" && isAccepted(value));

/** A text with what nobody would see in it written out. */
export const visible = (text: string): string => spelledOut(text, UNSEEN);

/** Whether there is something in a text that nobody would see; white space between the values of a list is meant. */
export const holdsUnseen = (text: string, isList: boolean): boolean =>
  (isList ? text.replace(/\s/g, "") : text).search(UNSEEN) >= 0;
