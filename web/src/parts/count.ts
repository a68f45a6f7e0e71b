/** The typed whole number above 0; null where nothing is typed, undefined where it is invalid. */
export function parseCount(text: string, most: number): number | null | undefined {
  const typed = text.trim().replaceAll(',', '');
  if (typed === '') return null;
  const n = /^\d{1,7}$/.test(typed) ? Number(typed) : 0;
  return n >= 1 && n <= most ? n : undefined;
}
