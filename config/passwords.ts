/** Passwords that are guessed before anything else. */

/** Characters that a password has at least; 12 of letters and digits outlast every guess over a network. */
export const SHORTEST_PASSWORD = 12;

/** What such passwords consist of, beside digits and signs: default passwords of this field, and first guesses of every list. */
const GUESSED = (
  "noetl nats postgres gateway jetstream demo test admin administrator root guest user password " +
  "passwort passwd secret changeme change default welcome letmein qwerty example me my the this long " +
  "random word dev local abc a"
).split(" ");

/** Different characters that a password has at least. */
const FEWEST_DIFFERENT = 5;

/** Whether a text is nothing but words that are guessed, one after the other. */
function isGuessed(text: string): boolean {
  if (text === "") return true;
  return GUESSED.some((word) => text.startsWith(word) && isGuessed(text.slice(word.length)));
}

/** What makes a password easy to guess, in words that follow "is"; undefined where nothing does. It is never repeated. */
export function weakPassword(password: string, user: string): string | undefined {
  if (password === user) return "its user's name";
  if (password.length < SHORTEST_PASSWORD) return `shorter than ${SHORTEST_PASSWORD} characters`;
  const letters = password.toLowerCase().replace(/[^a-z]/g, "");
  // Digits and signs around a word that is guessed are guessed with it, unless there are as many as make a password.
  if (password.length - letters.length < SHORTEST_PASSWORD / 2 && isGuessed(letters))
    return "made of words that are tried first";
  if (new Set(password).size < FEWEST_DIFFERENT) return `made of fewer than ${FEWEST_DIFFERENT} different characters`;
  return "0123456789012345678901234567890".includes(password) ? "a row of digits" : undefined;
}
