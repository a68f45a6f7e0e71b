// How much of a long row or list is shown.

/**
 * Which of `count` places of equal width get their label, so that no two overlap and none ends beyond the row: the first,
 * and every so many after it.
 */
export function labelled(count: number, width: number, label: number): (i: number) => boolean {
  if (count === 0 || width < label) return () => false;
  const place = width / count;
  const every = Math.max(1, Math.ceil(label / place));
  return (i) => i % every === 0 && i * place + label <= width;
}

export interface Top<T> {
  shown: T[];
  /** What is left out: how many, and what they come to. */
  rest: T[];
}

/** The largest of a list, and what is left. One that is left alone is shown, too: a row for it takes no less. */
export function largest<T>(all: T[], of: (item: T) => number, most: number): Top<T> {
  const sorted = [...all].sort((a, b) => of(b) - of(a));
  const cut = sorted.length <= most + 1 ? sorted.length : most;
  return { shown: sorted.slice(0, cut), rest: sorted.slice(cut) };
}
