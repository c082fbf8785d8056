/** Wording that the comparison and its presentations share. */

/** With a capital letter in front. */
export const sentence = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);

/** `Release noetl-release`, of a resource of the program. */
export const resourceTitle = ({ type, name }: { readonly type: string; readonly name: string }): string =>
  `${type.split(":").at(-1) ?? type} ${name}`;
