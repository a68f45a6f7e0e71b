import type { ReactNode } from 'react';
import { ErrorBox } from './ErrorBox';
import { PageSkeleton } from './Skeletons';

interface Query<T> {
  data: T | undefined;
  error: unknown;
  refetch: () => unknown;
}

interface Props<T> {
  query: Query<T>;
  children: (data: T) => ReactNode;
  /** Shown while the data loads. */
  loading?: ReactNode;
}

/** The data of a query once it is there; until then a skeleton, or the error with a retry. */
export function Loaded<T>({ query, children, loading = <PageSkeleton /> }: Props<T>) {
  if (query.data !== undefined) return children(query.data);
  return query.error ? <ErrorBox error={query.error} retry={() => void query.refetch()} /> : loading;
}
