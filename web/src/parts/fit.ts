// How much of a chart's labels or of a long list is shown.

/**
 * Which of `count` columns of equal width get a label, so that no two overlap and none ends beyond
 * the row.
 */
export function labelled(count: number, width: number, label: number): (i: number) => boolean {
  if (count === 0 || width < label) return () => false;
  const column = width / count;
  const every = Math.max(1, Math.ceil(label / column));
  return (i) => i % every === 0 && i * column + label <= width;
}

export interface Top<T> {
  shown: T[];
  /** What is left out. */
  rest: T[];
}

/**
 * The largest of a list, and the rest. A rest of one is shown too: its own row takes no more space.
 */
export function largest<T>(all: T[], of: (item: T) => number, most: number): Top<T> {
  const sorted = [...all].sort((a, b) => of(b) - of(a));
  const cut = sorted.length <= most + 1 ? sorted.length : most;
  return { shown: sorted.slice(0, cut), rest: sorted.slice(cut) };
}
