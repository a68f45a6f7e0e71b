import { Button, Checkbox, TextInput } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { useWindowVirtualizer } from '@tanstack/react-virtual';
import { Fragment, lazy, type ReactNode, Suspense, useLayoutEffect, useRef, useState } from 'react';
import { SearchIcon } from '../app/icons';
import { ErrorBox } from './ErrorBox';
import type { RowAction } from './RowMenu';
import { useRowLink } from './rowLink';
import type { Rows } from './rows';
import { PageSkeleton } from './Skeletons';
import './table.css';

// Menus come after the rows that they belong to.
const RowMenu = lazy(() => import('./RowMenu'));

export interface Column<T> {
  key: string;
  head: ReactNode;
  cell: (row: T) => ReactNode;
  /** CSS width; columns without one share the rest. */
  width?: string;
  end?: boolean;
  /** The sort that the head asks for. */
  sort?: string;
  /** Hidden below this width of the table, in pixels. */
  from?: number;
}

interface Selection<T> {
  chosen: string[];
  most: number;
  toggle: (id: string) => void;
  clear: () => void;
  /** The label of a row's checkbox. */
  label: (row: T) => string;
  /** Reports whether a row can be chosen; all can without it. */
  possible?: (row: T) => boolean;
  /** What can be done with the chosen rows. Without it, the page shows that itself. */
  actions?: ReactNode;
  /** What chooses more rows than those that were clicked. */
  more?: ReactNode;
}

interface Props<T> {
  /** The table's name for screen readers. */
  label: string;
  columns: Column<T>[];
  rows: Rows<T>;
  rowKey: (row: T) => string;
  /** Shown where there are no rows at all. */
  empty: ReactNode;
  /** Shown where a filter of the page matches no row. */
  noMatch?: ReactNode;
  /** The menu of a row, and the row's name in its label. */
  actions?: (row: T) => RowAction[];
  name?: (row: T) => string;
  selection?: Selection<T>;
  /** A row on a narrow screen. Without it: the first column above the others with their heads. */
  card?: (row: T, menu: ReactNode) => ReactNode;
  /**
   * The heights of a long list, in pixels, so that the scroll bar is right before everything is
   * loaded.
   */
  rowHeight?: number;
  cardHeight?: number;
  /** Rows that matter less, such as ended deployments. */
  quiet?: (row: T) => boolean;
  /**
   * The page that a click anywhere in a row opens; null for a row without one. A cell has the link
   * for the keys.
   */
  href?: (row: T) => string | null;
}

/** A longer list renders only the rows in view, all of them equally high. */
const renderAllUpTo = 100;

/**
 * The list of every page: a table, or cards on a narrow screen, with its loading, error and empty
 * states.
 */
export function ResourceTable<T>(p: Props<T>) {
  const { rows } = p;
  if (rows.error) return <ErrorBox error={rows.error} retry={rows.retry} />;
  if (rows.count === 0 && rows.loading) return <PageSkeleton />;
  if (rows.count === 0 && !rows.search) return <>{p.noMatch ?? p.empty}</>;
  return (
    <>
      {rows.search && (
        <TextInput
          type="search"
          aria-label={`Search ${p.label.toLowerCase()}`}
          placeholder="Search"
          leftSection={<SearchIcon />}
          value={rows.search.value}
          onChange={(e) => rows.search?.onChange(e.currentTarget.value)}
          className="table-search"
        />
      )}
      {p.selection?.actions && p.selection.chosen.length > 0 && (
        <div className="table-selection" role="status">
          <span>{p.selection.chosen.length} selected</span>
          {p.selection.more}
          {p.selection.actions}
          <Button size="compact-sm" variant="subtle" color="gray" onClick={p.selection.clear}>
            Clear selection
          </Button>
        </div>
      )}
      {rows.count === 0 ? <div className="panel panel-body dim">No matches.</div> : <Body {...p} />}
    </>
  );
}

function Body<T>(p: Props<T>) {
  const { rows } = p;
  const rowLink = useRowLink();
  const cards = useMediaQuery('(max-width: 47.99em)', undefined, { getInitialValueInEffect: false }) ?? false;
  const all = !rows.onRange && rows.count <= renderAllUpTo;
  const size = cards ? (p.cardHeight ?? 120) : (p.rowHeight ?? 52);
  const box = useRef<HTMLDivElement>(null);
  const place = usePlace(box);
  const virtual = useWindowVirtualizer({
    count: rows.count,
    estimateSize: () => size,
    overscan: 8,
    scrollMargin: place.top,
    enabled: !all,
    onChange: (v) => {
      if (v.range) rows.onRange?.(v.range.startIndex, v.range.endIndex);
    },
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: the row height changes with `size`
  useLayoutEffect(() => virtual.measure(), [size]);
  const items = all ? [] : virtual.getVirtualItems();
  const indexes = all ? Array.from({ length: rows.count }, (_, i) => i) : items.map((i) => i.index);
  const before = (items[0]?.start ?? place.top) - place.top;
  const after = all ? 0 : virtual.getTotalSize() - ((items.at(-1)?.end ?? place.top) - place.top);
  const height = all ? undefined : size;

  const menu = (row: T) =>
    p.actions && (
      <Suspense fallback={null}>
        <RowMenu name={p.name?.(row) ?? p.rowKey(row)} actions={p.actions(row)} />
      </Suspense>
    );
  if (cards)
    return (
      <div ref={box} className="table-box">
        <ul className="cards" aria-label={p.label} style={{ paddingTop: before, paddingBottom: Math.max(0, after) }}>
          {indexes.map((index) => {
            const row = rows.row(index);
            return (
              <li
                key={row ? p.rowKey(row) : index}
                style={{ height }}
                aria-setsize={rows.count}
                aria-posinset={index + 1}
                data-quiet={(row && p.quiet?.(row)) || undefined}
                {...rowLink(row && p.href?.(row))}
              >
                {row ? (p.card?.(row, menu(row)) ?? <Card {...p} row={row} menu={menu(row)} />) : <Placeholder />}
              </li>
            );
          })}
        </ul>
      </div>
    );

  const columns = columnsOf(p, menu).filter((c) => !c.from || place.width >= c.from);
  return (
    <div ref={box} className="table-box">
      <table className="table" aria-label={p.label} aria-rowcount={rows.count + 1}>
        <thead>
          <tr>
            {columns.map((c) => (
              <Head key={c.key} column={c} sort={rows.sort} onSort={rows.onSort} />
            ))}
          </tr>
        </thead>
        <tbody>
          {before > 0 && <Space height={before} span={columns.length} />}
          {indexes.map((index) => {
            const row = rows.row(index);
            return (
              <tr
                key={row ? p.rowKey(row) : index}
                aria-rowindex={index + 2}
                style={{ height: height ?? p.rowHeight ?? 52 }}
                data-quiet={(row && p.quiet?.(row)) || undefined}
                {...rowLink(row && p.href?.(row))}
              >
                {columns.map((c) => (
                  <td
                    key={c.key}
                    data-end={c.end || undefined}
                    data-row={c.key === 'select' || c.key === 'menu' ? 'off' : undefined}
                  >
                    {row ? c.cell(row) : <Placeholder />}
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

/** Where the table begins on the page, and how wide it is. */
function usePlace(box: React.RefObject<HTMLDivElement | null>) {
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
    // The table moves when anything above it grows, which changes the body's height too.
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    observer.observe(document.body);
    return () => observer.disconnect();
  }, [box]);
  return place;
}

/** The page's columns, with the checkboxes of the selection before them and the menu after them. */
function columnsOf<T>(p: Props<T>, menu: (row: T) => ReactNode): Column<T>[] {
  const columns = [...p.columns];
  if (p.selection)
    columns.unshift({
      key: 'select',
      head: <span className="sr">Select</span>,
      width: '40px',
      cell: (row) => <Choice row={row} id={p.rowKey(row)} selection={p.selection} />,
    });
  if (p.actions)
    columns.push({ key: 'menu', head: <span className="sr">Actions</span>, width: '60px', end: true, cell: menu });
  return columns;
}

/** The checkbox of a row, for a card of a page's own too. */
export function Choice<T>({ row, id, selection }: { row: T; id: string; selection?: Selection<T> }) {
  if (!selection || selection.possible?.(row) === false) return null;
  const chosen = selection.chosen.includes(id);
  return (
    <Checkbox
      size="xs"
      aria-label={selection.label(row)}
      checked={chosen}
      disabled={!chosen && selection.chosen.length >= selection.most}
      onChange={() => selection.toggle(id)}
    />
  );
}

function Card<T>({ row, menu, ...p }: Props<T> & { row: T; menu: ReactNode }) {
  const [first, ...rest] = p.columns;
  return (
    <div className="card">
      <div className="card-row">
        <Choice row={row} id={p.rowKey(row)} selection={p.selection} />
        <div className="card-main">{first?.cell(row)}</div>
        {menu}
      </div>
      <dl className="card-facts">
        {rest.map((c) => (
          <Fragment key={c.key}>
            <dt>{c.head}</dt>
            <dd>{c.cell(row)}</dd>
          </Fragment>
        ))}
      </dl>
    </div>
  );
}

function Placeholder() {
  return <span className="placeholder" />;
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
