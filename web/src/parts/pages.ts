import { useQueries } from '@tanstack/react-query';
import { useCallback, useEffect, useRef, useState } from 'react';
import type { Page } from '../api/client';

const size = 100;

interface Ask<T> {
  queryKey: readonly unknown[];
  queryFn: () => Promise<Page<T>>;
  refetchInterval?: number;
}

/**
 * The rows of a paged list, for DataTable: asks for the pages in sight and for no others, however long the list is,
 * so that looking again every few seconds stays one or two calls. While a page is on its way, what was there before
 * stays: the length of the list, so that scrolling goes on, and the rows, so that a new filter does not blink.
 */
export function usePagedRows<T>(ask: (page: number, limit: number) => Ask<T>) {
  const [range, setRange] = useState({ first: 1, last: 1 });
  const numbers = Array.from({ length: range.last - range.first + 1 }, (_, i) => range.first + i);
  const results = useQueries({ queries: numbers.map((n) => ask(n, size)) });

  const filter = JSON.stringify(ask(0, size).queryKey);
  const asked = useRef(filter);
  useEffect(() => {
    if (asked.current === filter) return;
    asked.current = filter;
    // Another list begins at its beginning.
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
  const total = fresh?.pagination.total ?? before.current.total;
  const rowsOf = (n: number): T[] | undefined => {
    const data = results[n - range.first]?.data;
    // Rows of another filter stand in until the first fresh page is there, and not beside it.
    return data?.rows ?? (fresh && before.current.filter !== filter ? undefined : before.current.pages.get(n));
  };
  const onRange = useCallback((first: number, last: number) => {
    const next = { first: Math.floor(first / size) + 1, last: Math.floor(Math.max(first, last) / size) + 1 };
    setRange((old) => (old.first === next.first && old.last === next.last ? old : next));
  }, []);
  const failed = results.find((r) => r.isError);
  return {
    rows: numbers.flatMap((n) => rowsOf(n) ?? []),
    total,
    row: (index: number): T | undefined => rowsOf(Math.floor(index / size) + 1)?.[index % size],
    onRange,
    loading: results.some((r) => r.isPending),
    // With something to show, a failure is the banner's; without, it is the page's.
    error: failed && total === 0 ? failed.error : null,
    retry: () => void failed?.refetch(),
  };
}
