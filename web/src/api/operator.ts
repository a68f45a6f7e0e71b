// What only whoever runs this cloud may see.

import { useMutation, useQuery } from '@tanstack/react-query';
import { api, data, everything, page, type Schema } from './client';
import { learnServerTime } from './clock';
import { asApiError } from './error';
import { key, queryClient } from './queries';
import type { paths } from './schema';

export type Issue = Schema['Issue'];
export type IssueQuery = NonNullable<paths['/api/v1/operator/issues']['get']['parameters']['query']>;
export type OperatorAccount = Schema['OperatorAccount'];
export type MarginsBy = Schema['Margins']['by'];

const all = (n: number) => ({ params: { query: { page: n, limit: 100 } } });
const again = () => queryClient.invalidateQueries({ queryKey: key.operator });

export function useIssues(query: IssueQuery) {
  return useQuery({
    queryKey: [...key.operator, 'issues', query],
    queryFn: () => page(api.GET('/api/v1/operator/issues', { params: { query: { ...query, limit: 100 } } })),
    refetchInterval: 20_000,
  });
}

export function useEndIssue() {
  return useMutation({
    mutationFn: (id: string) => data(api.POST('/api/v1/operator/issues/{id}/terminate', { params: { path: { id } } })),
    onSuccess: again,
  });
}

export function useDismissIssue() {
  return useMutation({
    mutationFn: ({ id, note }: { id: string; note: string }) =>
      data(api.POST('/api/v1/operator/issues/{id}/dismiss', { params: { path: { id } }, body: note ? { note } : {} })),
    onSuccess: again,
  });
}

export function useOperatorAccounts() {
  return useQuery({
    queryKey: [...key.operator, 'accounts'],
    queryFn: () => everything((n) => api.GET('/api/v1/operator/accounts', all(n))),
    refetchInterval: 30_000,
  });
}

export function useCreateAccount() {
  return useMutation({
    mutationFn: (body: Schema['CreateAccount']) => data(api.POST('/api/v1/operator/accounts', { body })),
    onSuccess: again,
  });
}

export function useCredit(id: string) {
  return useMutation({
    mutationFn: ({ body, once }: { body: Schema['CreditAccount']; once: string }) =>
      data(
        api.POST('/api/v1/operator/accounts/{id}/credit', {
          params: { path: { id }, header: { 'Idempotency-Key': once } },
          body,
        }),
      ),
    onSuccess: () => {
      void again();
      // It may be the operator's own account.
      void queryClient.invalidateQueries({ queryKey: key.wallet });
    },
  });
}

export function useSetMarkup(id: string) {
  return useMutation({
    mutationFn: (percent: number | null) =>
      data(api.PUT('/api/v1/operator/accounts/{id}/markup', { params: { path: { id } }, body: { percent } })),
    onSuccess: again,
  });
}

export function useOperatorProviders() {
  return useQuery({
    queryKey: [...key.operator, 'providers'],
    queryFn: () => everything((n) => api.GET('/api/v1/operator/provider-accounts', all(n))),
    refetchInterval: 20_000,
  });
}

export function useFailingJobs() {
  return useQuery({
    queryKey: [...key.operator, 'jobs'],
    queryFn: () =>
      everything((n) =>
        api.GET('/api/v1/operator/jobs', { params: { query: { state: 'failing', page: n, limit: 100 } } }),
      ),
    refetchInterval: 20_000,
  });
}

export function useMargins(by: MarginsBy, from: string) {
  return useQuery({
    queryKey: [...key.operator, 'margins', by, from],
    queryFn: () => data(api.GET('/api/v1/operator/margins', { params: { query: { by, from } } })),
  });
}

/** The simulator's state; null where the server has none. */
export function useSimulator() {
  return useQuery({
    queryKey: [...key.operator, 'simulator'],
    queryFn: async () => {
      try {
        const state = await data(api.GET('/api/v1/operator/simulator'));
        learnServerTime(state.now);
        return state;
      } catch (thrown) {
        if (asApiError(thrown).status === 404) return null;
        throw thrown;
      }
    },
    refetchInterval: 30_000,
  });
}

export function useAdvance() {
  return useMutation({
    mutationFn: (seconds: number) => data(api.POST('/api/v1/operator/simulator/advance', { body: { seconds } })),
    onSuccess: (state) => {
      learnServerTime(state.now);
      // Hours have passed everywhere.
      void queryClient.invalidateQueries();
    },
  });
}

/** The faults that are on, and the kinds that there are. */
export function useSimulatorFaults() {
  return useQuery({
    queryKey: [...key.operator, 'faults'],
    queryFn: () => data(api.GET('/api/v1/operator/simulator/faults')),
    refetchInterval: 10_000,
  });
}

export function useAddFault() {
  return useMutation({
    mutationFn: (body: Schema['AddSimulatorFault']) => data(api.POST('/api/v1/operator/simulator/faults', { body })),
    onSuccess: again,
  });
}

/** Takes one fault back, or all of them. */
export function useClearFaults() {
  return useMutation({
    mutationFn: (id?: string) =>
      data(
        id
          ? api.DELETE('/api/v1/operator/simulator/faults/{id}', { params: { path: { id } } })
          : api.DELETE('/api/v1/operator/simulator/faults'),
      ),
    onSuccess: again,
  });
}
