/** A code in its written form, "BCDF-GHJK", as far as it is typed. */
export function formatCode(typed: string): string {
  const letters = typed
    .toUpperCase()
    .replace(/[^A-Z0-9]/g, '')
    .slice(0, 8);
  return letters.length > 4 ? `${letters.slice(0, 4)}-${letters.slice(4)}` : letters;
}

/** The code, or "" while it is incomplete. */
export function completeCode(typed: string): string {
  const code = formatCode(typed);
  return code.length === 9 ? code : '';
}
