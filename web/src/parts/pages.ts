import { keepPreviousData, useQueries } from '@tanstack/react-query';
import { useCallback, useState } from 'react';
import type { Page } from '../api/client';

const size = 100;

interface Ask<T> {
  queryKey: readonly unknown[];
  queryFn: () => Promise<Page<T>>;
  refetchInterval?: number;
}

/**
 * The rows of a paged list, for DataTable: asks for the pages in sight and for no others, however long the list is,
 * so that looking again every few seconds stays one or two calls.
 */
export function usePagedRows<T>(ask: (page: number, limit: number) => Ask<T>) {
  const [range, setRange] = useState({ first: 1, last: 1 });
  const numbers = Array.from({ length: range.last - range.first + 1 }, (_, i) => range.first + i);
  const results = useQueries({
    queries: numbers.map((n) => ({ ...ask(n, size), placeholderData: keepPreviousData })),
  });
  const total = results.find((r) => r.data)?.data?.pagination.total ?? 0;
  const onRange = useCallback((first: number, last: number) => {
    const next = { first: Math.floor(first / size) + 1, last: Math.floor(Math.max(first, last) / size) + 1 };
    setRange((old) => (old.first === next.first && old.last === next.last ? old : next));
  }, []);
  const row = (index: number): T | undefined => {
    const n = Math.floor(index / size) + 1;
    // A placeholder is the page before, under the filters before: right only while it has the same number.
    const result = results[n - range.first];
    return result?.data?.pagination.page === n ? result.data.rows[index % size] : undefined;
  };
  const first = results[0];
  return {
    rows: results.flatMap((r) => r.data?.rows ?? []),
    total,
    row,
    onRange,
    loading: results.some((r) => r.isPending),
    changing: results.some((r) => r.isPlaceholderData),
    // With something to show, a failure is the banner's; without, it is the page's.
    error: first?.isError && !first.data ? first.error : null,
    retry: () => void first?.refetch(),
  };
}
