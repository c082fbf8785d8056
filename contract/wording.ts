/** `1 change`, `2 changes`, `2 fetches` */
export const plural = (count: number, noun: string): string =>
  `${count} ${noun}${count === 1 ? "" : /(s|x|ch|sh)$/.test(noun) ? "es" : "s"}`;

/** The text as it begins a sentence. */
export const sentenceCase = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
