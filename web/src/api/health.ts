// Whether the API answers. Pages keep showing their last data while it does not; a banner says so.

import { useSyncExternalStore } from 'react';
import { type ApiError, asApiError } from './error';
import { queryClient } from './queries';

function failing() {
  return queryClient
    .getQueryCache()
    .getAll()
    .filter((q) => q.isActive() && q.state.status === 'error' && passing(asApiError(q.state.error)));
}

/** Failures of the API as a whole, or of too many calls: what another try may cure. */
function passing(error: ApiError) {
  return error.outage || error.status === 429;
}

/** The failure that some query in sight is in at present, or null. */
export function useOutage(): ApiError | null {
  return useSyncExternalStore(
    (tell) => queryClient.getQueryCache().subscribe(() => queueMicrotask(tell)),
    () => (failing()[0]?.state.error as ApiError | undefined) ?? null,
  );
}

/** Asks again for everything in sight that failed. */
export function retryFailing() {
  for (const query of failing()) void queryClient.refetchQueries({ queryKey: query.queryKey, exact: true });
}
