import { spellings } from "./mask";

/** What stands in place of a secret. */
const MASK = "***";

/** The shortest text that is masked wherever it stands; anything shorter would mask ordinary words. */
const SHORTEST = 4;

/** The password of a URL's user part, as NoETL's clients read it: everything between the first `:` and the `@`. */
const URL_PASSWORD = /(\b[a-z][a-z0-9+.-]*:\/\/[^\s:@/]*:)[^\s@/]+(?=@)/gi;

const PRIVATE_KEY = /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z0-9 ]*PRIVATE KEY-----|$)/g;

/**
 * Makes a function that hides secrets in text: those that are known, wherever they stand and however they are written (as
 * JSON, in a URL, in base64), the password of any URL, and private keys.
 *
 * A secret shorter than four characters, or the same as its user's name (`noetl:noetl`, the specification's example),
 * is hidden in URLs only.
 */
export function masker(secrets: readonly string[], plain: readonly string[] = []): (text: string) => string {
  const known = [...new Set(secrets)]
    .filter((secret) => secret.length >= SHORTEST && !plain.includes(secret))
    .flatMap(spellings)
    // The longest first: a URL that holds the password is a secret too.
    .sort((a, b) => b.length - a.length);
  return (text) =>
    known.reduce(
      (masked, secret) => masked.replaceAll(secret, MASK),
      text.replace(PRIVATE_KEY, MASK).replace(URL_PASSWORD, `$1${MASK}`),
    );
}
