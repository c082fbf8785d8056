/** Passwords that are guessed before anything else. */

/** Characters that a password has at least; 12 of letters and digits outlast every guess over a network. */
export const SHORTEST_PASSWORD = 12;

/** What such passwords consist of, beside digits and signs: default passwords of this field, and first guesses of every list. */
const GUESSED = (
  "noetl nats postgres gateway jetstream demo test admin administrator root guest user password " +
  "passwort passwd secret changeme change default welcome letmein qwerty example me my the this long " +
  "random word dev local abc iloveyou monkey dragon master login hello a"
).split(" ");

/** Keys in a row, of which the first guesses are parts; and how long such a part is at least. */
const ROWS = ["qwertyuiopasdfghjklzxcvbnm", "qwertzuiopasdfghjklyxcvbnm", "abcdefghijklmnopqrstuvwxyz"];
const SHORTEST_PART = 4;

/** Signs that are written for letters that they look like. */
const LOOKS_LIKE: Readonly<Record<string, string>> = { "0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t" };

/** Different characters that a password has at least. */
const FEWEST_DIFFERENT = 5;

/** How many signs at a text's begin are keys in a row. */
const rowAt = (text: string): number =>
  Math.max(
    ...ROWS.map((row) => {
      let length = 0;
      while (length < text.length && row.includes(text.slice(0, length + 1))) length++;
      return length;
    }),
  );

/** Whether a text is nothing but words that are guessed, one after the other. */
function isGuessed(text: string): boolean {
  // Places up to which it is. Each is gone on from once, however many ways lead to it.
  const places = new Set([0]);
  for (const place of places) {
    const row = rowAt(text.slice(place));
    if (row >= SHORTEST_PART) places.add(place + row);
    for (const word of GUESSED) if (text.startsWith(word, place)) places.add(place + word.length);
  }
  return places.has(text.length);
}

/** Whether a password consists of such words. Digits and signs around one are guessed with it, unless there are as many as make a password. */
function hasWordsAlone(password: string): boolean {
  const text = password.toLowerCase();
  const letters = text.replace(/[^a-z]/g, "");
  // What only parts words is guessed, too.
  const others = text.replace(/[a-z]|[-._~]/g, "").length;
  return others < SHORTEST_PASSWORD / 2 && isGuessed(letters);
}

/** What makes a password easy to guess, in words that follow "is"; undefined where nothing does. It is never repeated. */
export function weakPassword(password: string, user: string): string | undefined {
  if (password === user) return "its user's name";
  if (password.length < SHORTEST_PASSWORD) return `shorter than ${SHORTEST_PASSWORD} characters`;
  const spelled = password.replace(/\d/g, (digit) => LOOKS_LIKE[digit] ?? digit);
  if (hasWordsAlone(password) || hasWordsAlone(spelled)) return "made of words that are tried first";
  if (new Set(password).size < FEWEST_DIFFERENT) return `made of fewer than ${FEWEST_DIFFERENT} different characters`;
  return "0123456789012345678901234567890".includes(password) ? "a row of digits" : undefined;
}
