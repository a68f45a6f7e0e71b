// The query client: what is read again, when, and what a failure does.

import { MutationCache, type Query, QueryClient } from '@tanstack/react-query';
import type { Schema } from './client';
import { asApiError } from './error';

export const queryClient: QueryClient = new QueryClient({
  // A change of one resource shows in others: a deployment costs money and holds volumes.
  mutationCache: new MutationCache({ onSuccess: () => void queryClient.invalidateQueries() }),
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      // A refusal is final. An outage or a rate limit is retried at the pace that the server names.
      retry: (count, thrown) => {
        const error = asApiError(thrown);
        return (error.outage || error.status === 429) && count < 2;
      },
      retryDelay: (count, thrown) => {
        const wait = asApiError(thrown).retryAfter;
        return wait ? wait * 1000 : 1000 * 2 ** count;
      },
      // navigator.onLine is wrong too often (and always on loopback) to hold calls back.
      networkMode: 'always',
    },
    mutations: { networkMode: 'always' },
  },
});

export const mePath = '/api/v1/account/me';
export const signInPath = '/api/v1/account/sign-in';
export const setupPath = '/api/v1/setup';
export const sitePath = '/api/v1/public/site';

/** Reads again every query in view whose path starts with one of these. */
export function refresh(...paths: string[]) {
  void queryClient.invalidateQueries({ predicate: (q) => paths.some((p) => String(q.queryKey[0]).startsWith(p)) });
}

// These belong to no account, or are what identifies it.
const ofNoAccount = new Set<unknown>([mePath, signInPath, setupPath, sitePath, 'invitation', 'registration']);

/** After another user or account came in: nothing of the previous one may stay in view. */
export async function startOver() {
  const others = { predicate: (q: Query) => !ofNoAccount.has(q.queryKey[0]) };
  queryClient.removeQueries({ ...others, type: 'inactive' });
  await queryClient.invalidateQueries({ queryKey: [mePath] });
  // The operator's pages go away in a view, which may not read what they show.
  if (!queryClient.getQueryData<Schema['SignedInUser'] | null>([mePath])?.user.operator) {
    queryClient.removeQueries({ predicate: (q) => String(q.queryKey[0]).startsWith('/api/v1/operator/') });
  }
  await queryClient.resetQueries(others);
}
