// How a budget reads.

import type { Budget, BudgetMode, BudgetPeriod } from '../../api/budgets';

export const periods: Record<BudgetPeriod, string> = { day: 'Day (UTC)', month: 'Month (UTC)', total: 'In total' };

/** The end of "$80 of $100 …". */
export const periodWords: Record<BudgetPeriod, string> = { day: 'today', month: 'this month', total: 'in total' };

export const modes: Record<BudgetMode, { label: string; text: string }> = {
  alert: { label: 'Alert only', text: 'Nothing is stopped. You get an event and an email at each threshold.' },
  block: {
    label: 'Block new resources',
    text: 'New deployments and volumes that would pass the amount are refused. Running ones continue.',
  },
  terminate: {
    label: 'Terminate deployments',
    text: 'Deployments end before the hour that would pass the amount, and new ones are refused. Volumes are kept.',
  },
};

/** What counts toward a budget: "Project research". */
export function scopeOf({ scope }: Budget, keyName: (id: string) => string): string {
  if (scope.project) return `Project ${scope.project}`;
  if (scope.tag) return `Tag ${scope.tag}`;
  if (scope.apiKeyId) return `API key ${keyName(scope.apiKeyId)}`;
  return 'Whole account';
}
