// Whether the API responds. While it does not, pages keep their last data and a banner explains it.

import { useSyncExternalStore } from 'react';
import { type ApiError, asApiError } from './error';
import { queryClient } from './queries';

function failing() {
  return queryClient
    .getQueryCache()
    .getAll()
    .filter((q) => q.isActive() && q.state.status === 'error' && temporary(asApiError(q.state.error)));
}

/** Failures that a retry may fix: of the API as a whole, or of a rate limit. */
function temporary(error: ApiError) {
  return error.outage || error.status === 429;
}

/** The failure of a query in view, or null. */
export function useOutage(): ApiError | null {
  return useSyncExternalStore(
    (notify) => queryClient.getQueryCache().subscribe(() => queueMicrotask(notify)),
    () => (failing()[0]?.state.error as ApiError | undefined) ?? null,
  );
}

/** Retries every failed query in view. */
export function retryFailing() {
  for (const query of failing()) void queryClient.refetchQueries({ queryKey: query.queryKey, exact: true });
}
