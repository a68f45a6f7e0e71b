// The filters of the list of deployments, as they stand in the address.

import type { Schema } from '../../api/client';
import type { Deployment, DeploymentQuery } from '../../api/deployments';

/** Every status and its label. A missing or unknown one fails the type check. */
export const statusLabels: Record<Deployment['status'], string> = {
  pending: 'Pending',
  deploying: 'Deploying',
  running: 'Running',
  stopped: 'Stopped',
  terminating: 'Terminating',
  terminated: 'Terminated',
  failed: 'Failed',
  interrupted: 'Interrupted',
};
export const statuses = Object.keys(statusLabels) as Deployment['status'][];

/** Those that have not ended: the list without a choice. */
const active: Deployment['status'][] = ['pending', 'deploying', 'running', 'stopped', 'terminating'];

/** The filters with one value, by their names in the API, and their labels. */
export const filterLabels = {
  project: 'Project',
  tag: 'Tag',
  createdBy: 'Created by',
  provider: 'Provider',
  gpuType: 'GPU',
} as const;
export type FilterName = keyof typeof filterLabels;
export const filterNames = Object.keys(filterLabels) as FilterName[];

const sorts = [
  'createdAt',
  '-createdAt',
  'name',
  '-name',
  'hourlyPrice',
  '-hourlyPrice',
  'costToDate',
  '-costToDate',
] as const;
export type Sort = (typeof sorts)[number];

/** The chosen statuses; "all" alone for every status; none for the active ones. */
export function chosenStatuses(params: URLSearchParams): string[] {
  const wanted = (params.get('status') ?? '').split(',');
  return wanted.includes('all') ? ['all'] : statuses.filter((s) => wanted.includes(s));
}

export function sortOf(params: URLSearchParams): Sort {
  return sorts.find((s) => s === params.get('sort')) ?? '-createdAt';
}

/** The API's query for the address. */
export function queryOf(params: URLSearchParams): DeploymentQuery {
  const chosen = chosenStatuses(params);
  return {
    status: chosen[0] === 'all' ? undefined : chosen.length > 0 ? (chosen as Deployment['status'][]) : active,
    search: params.get('search') ?? undefined,
    sort: [sortOf(params)],
    ...Object.fromEntries(filterNames.flatMap((n) => (params.get(n) ? [[n, params.get(n)]] : []))),
  };
}

export function isActive(status: string): boolean {
  return (active as string[]).includes(status);
}

/** The filter of a bulk action for what the list shows, but for ended deployments. */
export function bulkFilterOf(q: DeploymentQuery): NonNullable<Schema['BulkDeployments']['filter']> {
  const { status, search, project, tag, createdBy, provider, gpuType } = q;
  return { status: status?.filter(isActive) ?? active, search, project, tag, createdBy, provider, gpuType };
}

/** The values of a filter that rows have, with their labels. */
export function valuesOf(name: FilterName, d: Deployment): [value: string, label: string][] {
  switch (name) {
    case 'tag':
      return d.tags.map((t) => [t, t]);
    case 'project':
      return d.project ? [[d.project, d.project]] : [];
    case 'createdBy':
      return d.createdBy.id ? [[d.createdBy.id, d.createdBy.name]] : [];
    default:
      return [[d[name], d[name]]];
  }
}

/** A set of filters under a name. */
export interface View {
  name: string;
  query: string;
}

const storage = (user: string) => `billet-deployment-views-${user}`;

/** The user's views, kept in this browser. */
export function loadViews(user: string): View[] {
  try {
    const views: unknown = JSON.parse(localStorage.getItem(storage(user)) ?? '[]');
    return Array.isArray(views) ? (views as View[]) : [];
  } catch {
    return [];
  }
}

export function saveViews(user: string, views: View[]) {
  try {
    localStorage.setItem(storage(user), JSON.stringify(views));
  } catch {
    // Storage may be blocked; then views live as long as the page.
  }
}
