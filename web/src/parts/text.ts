/** A text as a sentence: with a capital first and one punctuation mark at its end. */
export function sentence(text: string): string {
  const bare = text.trim();
  if (bare === '') return '';
  const first = bare.charAt(0).toUpperCase() + bare.slice(1);
  return /[.!?…:]$/.test(first) ? first : `${first}.`;
}
