import { useMutation, useQuery } from '@tanstack/react-query';
import { api, data, page, type Schema } from './client';
import { learnServerTime } from './clock';
import { useLive } from './events';
import { key, queryClient } from './queries';
import type { paths } from './schema';

export type Deployment = Schema['Deployment'];
export type CreateDeployment = Schema['CreateDeployment'];
export type Event = Schema['Event'];
export type DeploymentQuery = NonNullable<paths['/api/v1/inventory/deployments']['get']['parameters']['query']>;

const path = '/api/v1/inventory/deployments/{id}';

/** Statuses that the background may change at any moment. */
export function moving(d: Deployment): boolean {
  return ['pending', 'deploying', 'terminating'].includes(d.status) || d.pendingAction !== null;
}

export function ended(d: Deployment): boolean {
  return ['terminated', 'failed', 'interrupted'].includes(d.status);
}

/** Everything that a change of a deployment may change with it. */
export function deploymentsChanged() {
  void queryClient.invalidateQueries({ queryKey: key.deployments });
  void queryClient.invalidateQueries({ queryKey: key.wallet });
  void queryClient.invalidateQueries({ queryKey: key.volumes });
}

export function deploymentsPage(query: DeploymentQuery, live: boolean) {
  return {
    queryKey: [...key.deployments, 'page', query],
    queryFn: () => page(api.GET('/api/v1/inventory/deployments', { params: { query } })),
    refetchInterval: live ? 60_000 : 5_000,
  };
}

export function useDeployment(id: string) {
  const live = useLive();
  return useQuery({
    queryKey: [...key.deployments, 'one', id],
    queryFn: () => data(api.GET(path, { params: { path: { id } } })),
    refetchInterval: (query) => {
      const d = query.state.data;
      if (d && ended(d)) return false;
      if (live) return 60_000;
      return d && moving(d) ? 2_000 : 10_000;
    },
  });
}

export function useDeploymentEvents(id: string) {
  const live = useLive();
  return useQuery({
    queryKey: [...key.deployments, 'events', id],
    queryFn: async () => {
      const read = (n: number) =>
        page(api.GET(`${path}/events`, { params: { path: { id }, query: { page: n, limit: 100 } } }));
      const first = await read(1);
      // Oldest first: what just happened is on the last page, so a long history shows its two ends.
      if (first.pagination.totalPages <= 1) return { rows: first.rows, left: 0 };
      // Page numbers reach the 10,000th entry.
      const last = await read(Math.min(first.pagination.totalPages, 100));
      const left = first.pagination.total - first.rows.length - last.rows.length;
      return { rows: [...first.rows, ...last.rows], left: Math.max(0, left) };
    },
    refetchInterval: live ? 60_000 : 5_000,
  });
}

export function useCanTerminate(id: string, enabled: boolean) {
  return useQuery({
    queryKey: [...key.deployments, 'can-terminate', id],
    queryFn: async () => {
      const answer = await data(api.GET(`${path}/can-terminate`, { params: { path: { id } } }));
      if (answer.remainingSeconds > 0)
        learnServerTime(Date.parse(answer.terminableAt) - answer.remainingSeconds * 1000);
      return answer;
    },
    enabled,
    refetchInterval: 15_000,
  });
}

export function useDeploy() {
  return useMutation({
    mutationFn: ({ body, once }: { body: CreateDeployment; once: string }) =>
      data(api.POST('/api/v1/inventory/deployments', { body, params: { header: { 'Idempotency-Key': once } } })),
    onSuccess: deploymentsChanged,
  });
}

export function useUpdateDeployment(id: string) {
  return useMutation({
    mutationFn: (body: Schema['UpdateDeployment']) => data(api.PATCH(path, { params: { path: { id } }, body })),
    onSuccess: deploymentsChanged,
  });
}

export function useTerminate(id: string) {
  return useMutation({
    mutationFn: (when: 'now' | 'earliest') => data(api.DELETE(path, { params: { path: { id }, query: { when } } })),
    onSuccess: deploymentsChanged,
  });
}

export type Action = 'reboot' | 'power-on' | 'power-off' | 'reinstall';

export function useAction(id: string) {
  return useMutation({
    mutationFn: ({ action, operatingSystem }: { action: Action; operatingSystem?: string }) => {
      const params = { path: { id } };
      switch (action) {
        case 'reboot':
          return data(api.POST(`${path}/reboot`, { params }));
        case 'power-on':
          return data(api.POST(`${path}/power-on`, { params }));
        case 'power-off':
          return data(api.POST(`${path}/power-off`, { params }));
        case 'reinstall':
          return data(api.POST(`${path}/reinstall`, { params, body: { operatingSystem, eraseLocalDisks: true } }));
      }
    },
    onSuccess: deploymentsChanged,
  });
}
