// Where a ResourceTable gets its rows: all of them at once, or page by page.

import { keepPreviousData, useQueries, useQuery } from '@tanstack/react-query';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { useSearchParams } from 'react-router';
import type { Page } from '../api/client';

export interface Rows<T> {
  /** The number of rows, loaded or not, that match the filter. */
  count: number;
  /** The row at an index; undefined while it is not loaded. */
  row: (index: number) => T | undefined;
  /** The rows that are loaded. */
  loaded: T[];
  loading: boolean;
  /** Set where there is nothing to show because reading failed. */
  error: unknown;
  retry: () => void;
  /** Receives the range in view, so that only its pages are read. */
  onRange?: (first: number, last: number) => void;
  sort?: string;
  onSort?: (sort: string) => void;
  /**
   * The search of a list that is loaded as a whole; absent where the list is too short to need one.
   */
  search?: { value: string; onChange: (text: string) => void };
}

type Value = string | number | boolean | null;

interface ListOptions<T> {
  /** The values to sort by, by the name of the sort. */
  sorts?: Record<string, (row: T) => Value>;
  /** The sort to begin with; "-" before a name is descending. Without one, the API's order. */
  sort?: string;
  /** The text to search in. */
  text?: (row: T) => string;
}

/** Compares two values of a column; what has none comes last in both directions. */
export function compareValues(a: Value, b: Value, descending: boolean): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
  const order = typeof a === 'string' && typeof b === 'string' ? compareText(a, b) : Number(a) - Number(b);
  return descending ? -order : order;
}

function compareText(a: string, b: string): number {
  const [x, y] = [a.toLowerCase(), b.toLowerCase()];
  return x < y ? -1 : x > y ? 1 : 0;
}

/** A list shorter than this has no search field. */
const searchFrom = 8;

/** The rows of a list that is loaded as a whole, sorted and searched in the browser. */
export function useListRows<T>(
  query: { data: T[] | undefined; error: unknown; refetch: () => unknown },
  { sorts = {}, sort: first, text }: ListOptions<T> = {},
): Rows<T> {
  const [sort, setSort] = useState(first);
  // A link can ask for rows by ?search=.
  const asked = useSearchParams()[0].get('search') ?? '';
  const [search, setSearch] = useState(asked);
  useEffect(() => setSearch(asked), [asked]);
  const all = query.data;
  const name = sort?.replace('-', '') ?? '';
  const wanted = text ? search.trim().toLowerCase() : '';
  // The accessors are written in place by the pages and new at each render; the data is what
  // changes.
  const matching = (all ?? []).filter((row) => !wanted || text?.(row).toLowerCase().includes(wanted));
  const by = sorts[name];
  const loaded = by
    ? matching.toSorted((a, b) => compareValues(by(a), by(b), sort?.startsWith('-') ?? false))
    : matching;
  return {
    count: loaded.length,
    row: (index) => loaded[index],
    loaded,
    loading: all === undefined,
    error: all === undefined ? query.error : null,
    retry: () => void query.refetch(),
    sort,
    onSort: setSort,
    ...(text &&
      ((all?.length ?? 0) >= searchFrom || search !== '') && { search: { value: search, onChange: setSearch } }),
  };
}

const pageSize = 100;

interface PageRequest<T> {
  queryKey: readonly unknown[];
  queryFn: () => Promise<Page<T>>;
  refetchInterval?: number;
}

/**
 * The rows of a paged list. Only the pages in view are read, so that polling stays one or two calls
 * however long the list is. While a page loads, the previous length and rows stay: scrolling goes
 * on, and a new filter does not blink.
 */
export function usePagedRows<T>(request: (page: number, limit: number) => PageRequest<T>): Rows<T> {
  const [range, setRange] = useState({ first: 1, last: 1 });
  const numbers = Array.from({ length: range.last - range.first + 1 }, (_, i) => range.first + i);
  const results = useQueries({ queries: numbers.map((n) => request(n, pageSize)) });

  const filter = JSON.stringify(request(0, pageSize).queryKey);
  const shownFilter = useRef(filter);
  useEffect(() => {
    if (shownFilter.current === filter) return;
    shownFilter.current = filter;
    // Another filter begins at the top.
    setRange({ first: 1, last: 1 });
    if (window.scrollY > 400) window.scrollTo(0, 0);
  }, [filter]);
  const before = useRef({ filter, total: 0, pages: new Map<number, T[]>() });
  useEffect(() => {
    for (const { data } of results) {
      if (!data) continue;
      if (before.current.filter !== filter) before.current = { filter, total: 0, pages: new Map() };
      before.current.total = data.pagination.total;
      before.current.pages.set(data.pagination.page, data.rows);
    }
  });

  const fresh = results.find((r) => r.data)?.data;
  const count = fresh?.pagination.total ?? before.current.total;
  const rowsOf = (n: number): T[] | undefined => {
    const data = results[n - range.first]?.data;
    // Rows of the previous filter stand in until the first fresh page is there, and not beside it.
    return data?.rows ?? (fresh && before.current.filter !== filter ? undefined : before.current.pages.get(n));
  };
  const onRange = useCallback((first: number, last: number) => {
    const next = { first: Math.floor(first / pageSize) + 1, last: Math.floor(Math.max(first, last) / pageSize) + 1 };
    setRange((old) => (old.first === next.first && old.last === next.last ? old : next));
  }, []);
  const failed = results.find((r) => r.isError);
  return {
    count,
    row: (index) => rowsOf(Math.floor(index / pageSize) + 1)?.[index % pageSize],
    loaded: numbers.flatMap((n) => rowsOf(n) ?? []),
    loading: results.some((r) => r.isPending),
    // With rows in view, the banner shows the failure; without, the table does.
    error: failed && count === 0 ? failed.error : null,
    retry: () => void failed?.refetch(),
    onRange,
  };
}

/** One page of a list at a time, with the state of a Pager. */
export function useOnePage<T>(request: (page: number) => PageRequest<T>) {
  const [page, setPage] = useState(1);
  const query = useQuery({ ...request(page), placeholderData: keepPreviousData });
  const rows = useListRows({ ...query, data: query.data?.rows });
  return { rows, page, pages: query.data?.pagination.totalPages ?? 1, onPage: setPage };
}

/** A set of chosen rows by ID. It is cleared when the filter of the list changes. */
export function useSelection(most = Number.POSITIVE_INFINITY, filter = '') {
  const [chosen, setChosen] = useState<string[]>([]);
  const [chosenIn, setChosenIn] = useState(filter);
  if (chosenIn !== filter) {
    setChosenIn(filter);
    setChosen([]);
  }
  return useMemo(
    () => ({
      chosen,
      most,
      toggle: (id: string) =>
        setChosen((old) => (old.includes(id) ? old.filter((o) => o !== id) : [...old, id].slice(0, most))),
      choose: (ids: string[]) => setChosen(ids),
      clear: () => setChosen([]),
    }),
    [chosen, most],
  );
}
