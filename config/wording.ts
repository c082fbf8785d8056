/** `1 change`, `2 changes`, `2 fetches` */
export const many = (count: number, noun: string): string =>
  `${count} ${noun}${count === 1 ? "" : /(s|x|ch|sh)$/.test(noun) ? "es" : "s"}`;
