import { type Micro, micro, minus, sum } from '../parts/money';
import type { Schema } from './client';
import { useAll } from './hooks';

export type Budget = Schema['Budget'];
export type BudgetMode = Budget['mode'];
export type BudgetPeriod = Budget['period'];

export const budgetsPath = '/api/v1/inventory/budgets';

/** The account's budgets, newest first. */
export function useBudgets(enabled = true) {
  return useAll(budgetsPath, {}, { refetchInterval: 60_000, enabled });
}

/** What the period may still cost; below zero where more was charged already. */
export function leftOf(b: Budget): Micro {
  return minus(micro(b.amount), usedOf(b));
}

/** What counts toward the amount: what was charged, and what is on hold. */
export function usedOf(b: Budget): Micro {
  return sum(micro(b.spent), micro(b.committed));
}

/** Reports whether something of this project with these tags counts, if a user creates it. */
export function counts({ scope }: Budget, project: string, tags: string[]): boolean {
  if (scope.apiKeyId) return false;
  if (scope.project) return scope.project === project;
  return !scope.tag || tags.includes(scope.tag);
}
