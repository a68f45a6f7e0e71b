import { useMediaQuery } from '@mantine/hooks';
import { useWindowVirtualizer } from '@tanstack/react-virtual';
import { type ReactNode, useLayoutEffect, useRef, useState } from 'react';
import './table.css';

export interface Column<T> {
  key: string;
  head: ReactNode;
  cell: (row: T) => ReactNode;
  /** CSS width; what has none shares the rest. */
  width?: string;
  end?: boolean;
  /** Name of the sort that a press on the head asks for. */
  sort?: string;
  /** Left out below this width of the table, in pixels. */
  from?: number;
}

interface Props<T> {
  /** For screen readers. */
  label: string;
  columns: Column<T>[];
  /** How many rows there are, loaded or not. */
  count: number;
  /** The row at a place; undefined while it is not loaded. */
  row: (index: number) => T | undefined;
  rowKey: (row: T) => string;
  rowHeight?: number;
  /** Shown in place of the table on narrow screens, each of `cardHeight` pixels. */
  card: (row: T) => ReactNode;
  cardHeight: number;
  sort?: string;
  onSort?: (sort: string) => void;
  /** Tells which rows are in sight, so that only their pages are asked for. */
  onRange?: (first: number, last: number) => void;
  /** Rows that matter less, such as what has ended. */
  quiet?: (row: T) => boolean;
}

/**
 * A list of any length: only the rows in sight are in the document. A real table where there is room for one, cards
 * where there is not. Rows have a fixed height, so that the scroll bar is right before everything is loaded.
 */
export function DataTable<T>(p: Props<T>) {
  const cards = useMediaQuery('(max-width: 47.99em)', undefined, { getInitialValueInEffect: false }) ?? false;
  const size = cards ? p.cardHeight : (p.rowHeight ?? 52);
  const box = useRef<HTMLDivElement>(null);
  const [place, setPlace] = useState({ top: 0, width: 2000 });
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const measure = () => {
      const rect = element.getBoundingClientRect();
      const top = rect.top + window.scrollY;
      setPlace((old) => (old.top === top && old.width === rect.width ? old : { top, width: rect.width }));
    };
    measure();
    // The box moves when anything above it grows, which changes the body's height too.
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    observer.observe(document.body);
    return () => observer.disconnect();
  }, []);
  const virtual = useWindowVirtualizer({
    count: p.count,
    estimateSize: () => size,
    overscan: 8,
    scrollMargin: place.top,
    onChange: (v) => {
      const range = v.range;
      if (range) p.onRange?.(range.startIndex, range.endIndex);
    },
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: sizes are measured anew when the kind of row changes
  useLayoutEffect(() => virtual.measure(), [size]);
  const items = virtual.getVirtualItems();
  const before = (items[0]?.start ?? place.top) - place.top;
  const after = virtual.getTotalSize() - ((items.at(-1)?.end ?? place.top) - place.top);

  if (cards)
    return (
      <div ref={box} className="table-box">
        <ul className="cards" aria-label={p.label} style={{ paddingTop: before, paddingBottom: Math.max(0, after) }}>
          {items.map((item) => {
            const row = p.row(item.index);
            return (
              <li
                key={row ? p.rowKey(row) : item.index}
                style={{ height: size }}
                aria-setsize={p.count}
                aria-posinset={item.index + 1}
                data-quiet={(row && p.quiet?.(row)) || undefined}
              >
                {row ? p.card(row) : <span className="ghost" />}
              </li>
            );
          })}
        </ul>
      </div>
    );

  const columns = p.columns.filter((c) => !c.from || place.width >= c.from);
  return (
    <div ref={box} className="table-box">
      <table className="table" aria-label={p.label} aria-rowcount={p.count + 1}>
        <thead>
          <tr>
            {columns.map((c) => (
              <Head key={c.key} column={c} sort={p.sort} onSort={p.onSort} />
            ))}
          </tr>
        </thead>
        <tbody>
          {before > 0 && <Space height={before} span={columns.length} />}
          {items.map((item) => {
            const row = p.row(item.index);
            return (
              <tr
                key={row ? p.rowKey(row) : item.index}
                aria-rowindex={item.index + 2}
                style={{ height: size }}
                data-quiet={(row && p.quiet?.(row)) || undefined}
              >
                {columns.map((c) => (
                  <td key={c.key} data-end={c.end || undefined}>
                    {row ? c.cell(row) : <span className="ghost" />}
                  </td>
                ))}
              </tr>
            );
          })}
          {after > 0 && <Space height={after} span={columns.length} />}
        </tbody>
      </table>
    </div>
  );
}

function Space({ height, span }: { height: number; span: number }) {
  return (
    // biome-ignore lint/a11y/noAriaHiddenOnFocusable: a row is not focusable
    <tr aria-hidden="true" className="table-space">
      <td colSpan={span} style={{ height, padding: 0, border: 0 }} />
    </tr>
  );
}

function Head<T>({ column: c, sort, onSort }: { column: Column<T>; sort?: string; onSort?: (s: string) => void }) {
  const up = sort === c.sort;
  const down = sort === `-${c.sort}`;
  if (!c.sort || !onSort)
    return (
      <th scope="col" style={{ width: c.width }} data-end={c.end || undefined}>
        {c.head}
      </th>
    );
  return (
    <th
      scope="col"
      style={{ width: c.width }}
      data-end={c.end || undefined}
      aria-sort={up ? 'ascending' : down ? 'descending' : 'none'}
    >
      <button type="button" onClick={() => onSort(up ? `-${c.sort}` : (c.sort ?? ''))}>
        {c.head}
        <span aria-hidden="true" className="table-arrow">
          {up ? '↑' : down ? '↓' : ''}
        </span>
      </button>
    </th>
  );
}
