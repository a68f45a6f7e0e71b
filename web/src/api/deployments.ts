import { useMutation, useQuery } from '@tanstack/react-query';
import { call, page, type Query, type Schema } from './client';
import { learnServerTime } from './clock';
import { useLive } from './events';
import { pageQuery, useGet, useSend, withId } from './hooks';
import type { paths } from './schema';

export type Deployment = Schema['Deployment'];
export type CreateDeployment = Schema['CreateDeployment'];
export type Event = Schema['Event'];
export type DeploymentQuery = Query<'/api/v1/inventory/deployments'>;

export const deploymentsPath = '/api/v1/inventory/deployments';
export const bulkPath = '/api/v1/inventory/deployments/bulk';
const path = '/api/v1/inventory/deployments/{id}';

/** Reports whether the background may change the deployment at any moment. */
function isChanging(d: Deployment): boolean {
  return ['pending', 'deploying', 'terminating'].includes(d.status) || d.pendingAction !== null;
}

/** Reports whether the deployment has ended, in whatever way. */
export function hasEnded(d: Deployment): boolean {
  return ['terminated', 'failed', 'interrupted'].includes(d.status);
}

export function deploymentsPage(query: DeploymentQuery, live: boolean) {
  return { ...pageQuery(deploymentsPath, { params: { query } }), refetchInterval: live ? 60_000 : 5_000 };
}

export function useDeployment(id: string) {
  const live = useLive();
  return useGet(path, withId(id), {
    refetchInterval: ({ state: { data: d } }) => {
      if (d && hasEnded(d)) return false;
      if (live) return 60_000;
      return d && isChanging(d) ? 2_000 : 10_000;
    },
  });
}

/** The events, oldest first, and how many between the first and the last page are left out. */
export function useDeploymentEvents(id: string, all: boolean) {
  const live = useLive();
  return useQuery({
    queryKey: [`${path}/events`, id, all],
    queryFn: async () => {
      const read = (n: number) => page(`${path}/events`, { params: { path: { id }, query: { page: n, limit: 100 } } });
      const first = await read(1);
      const rows = [...first.rows];
      // Page numbers reach the 10,000th entry.
      const pages = Math.min(first.pagination.totalPages, 100);
      for (let n = all ? 2 : Math.max(2, pages); n <= pages; n++) rows.push(...(await read(n)).rows);
      return { rows, hidden: Math.max(0, first.pagination.total - rows.length) };
    },
    refetchInterval: live ? 60_000 : 5_000,
  });
}

export function useCanTerminate(id: string) {
  return useQuery({
    queryKey: [`${path}/can-terminate`, id],
    queryFn: async () => {
      const answer = await call('get', `${path}/can-terminate`, withId(id));
      if (answer.remainingSeconds > 0)
        learnServerTime(Date.parse(answer.terminableAt) - answer.remainingSeconds * 1000);
      return answer;
    },
    refetchInterval: 15_000,
  });
}

/** The checks of the GPUs. They change with the deployment, and while one is in progress. */
export function useHealth(d: Deployment) {
  return useGet(`${path}/health`, withId(d.id), {
    enabled: d.health.policy !== 'off',
    refetchInterval: ({ state: { data } }) => {
      if (data?.checks.some((c) => c.finishedAt === null)) return 2_000;
      return hasEnded(d) ? false : 15_000;
    },
  });
}

export function useCheckHealth() {
  return useSend('post', `${path}/health-checks`);
}

export function useUpdateDeployment() {
  return useSend('patch', path);
}

export function useTerminate() {
  return useSend('delete', path);
}

type DeploymentPath = Extract<keyof paths, `${typeof path}/${string}`>;
/** What can be done to a machine, named as in the API's paths. */
export type Action = Extract<
  DeploymentPath extends `${typeof path}/${infer Name}` ? Name : never,
  'reboot' | 'power-on' | 'power-off' | 'reinstall' | 'rescue' | 'end-rescue'
>;

export function useAction(id: string) {
  return useMutation({
    mutationFn: ({ action, with: what }: { action: Action; with?: { operatingSystem?: string; imageId?: string } }) =>
      action === 'reinstall'
        ? call('post', `${path}/reinstall`, { ...withId(id), body: { ...what, eraseLocalDisks: true } })
        : call('post', `${path}/${action}`, withId(id)),
  });
}
