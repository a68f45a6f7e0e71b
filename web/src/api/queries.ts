// The query client: what is asked again, when, and what a failure does.

import { QueryClient } from '@tanstack/react-query';
import { asApiError } from './error';

/** The roots of all query keys; the second part is what was asked for. */
export const key = {
  me: ['me'],
  signIn: ['sign-in'],
  offers: ['offers'],
  facets: ['facets'],
  providers: ['providers'],
  deployments: ['deployments'],
  volumes: ['volumes'],
  volumePricing: ['volume-pricing'],
  sshKeys: ['ssh-keys'],
  wallet: ['wallet'],
  apiKeys: ['api-keys'],
  webhooks: ['webhooks'],
  deliveries: ['deliveries'],
  people: ['people'],
  invitation: ['invitation'],
  deviceAuthorization: ['deviceAuthorization'],
  invitations: ['invitations'],
  sessions: ['sessions'],
  passkeys: ['passkeys'],
  audit: ['audit'],
  operator: ['operator'],
} as const;

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      // What failed for good is not asked again; what may pass is, at the pace that the server names.
      retry: (count, thrown) => {
        const error = asApiError(thrown);
        return (error.outage || error.status === 429) && count < 2;
      },
      retryDelay: (count, thrown) => {
        const wait = asApiError(thrown).retryAfter;
        return wait ? wait * 1000 : 1000 * 2 ** count;
      },
      // navigator.onLine is wrong often enough (and always on loopback) not to hold calls back.
      networkMode: 'always',
    },
    mutations: { networkMode: 'always' },
  },
});

// What belongs to nobody in particular, and what says who it is.
const anybodys = new Set<unknown>([key.me[0], key.signIn[0], key.invitation[0]]);

/** After another user or account came in: nothing of the one before may stay in sight. */
export async function startOver() {
  const others = { predicate: (q: { queryKey: readonly unknown[] }) => !anybodys.has(q.queryKey[0]) };
  queryClient.removeQueries({ ...others, type: 'inactive' });
  await queryClient.invalidateQueries({ queryKey: key.me });
  await queryClient.resetQueries(others);
}
