/** A text as a sentence: a capital first, and one mark at its end, whether the text brings its own or not. */
export function sentence(text: string): string {
  const bare = text.trim();
  if (bare === '') return '';
  const first = bare.charAt(0).toUpperCase() + bare.slice(1);
  return /[.!?…:]$/.test(first) ? first : `${first}.`;
}
