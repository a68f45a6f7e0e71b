import { Alert } from '@mantine/core';
import { Link } from 'react-router';
import { type Budget, counts, leftOf, useBudgets } from '../../api/budgets';
import { Money } from '../../parts/Money';
import { formatTotal, type Micro } from '../../parts/money';
import { periodWords } from '../budgets/words';

/**
 * The budget that would bind a deployment of this project with these tags: of those that count it,
 * the one with the least left. One that refuses it comes before one that only alerts.
 */
export function useBindingBudget(enabled: boolean, project: string, tags: string[], needed: Micro): Budget | undefined {
  const budgets = useBudgets(enabled).data ?? [];
  const refuses = (b: Budget) => b.mode !== 'alert' && leftOf(b) < needed;
  return budgets
    .filter((b) => counts(b, project.trim(), tags))
    .toSorted((a, b) => Number(refuses(b)) - Number(refuses(a)) || leftOf(a) - leftOf(b))[0];
}

/** What is left of the budget, for the summary. */
export function BudgetLeft({ of: b }: { of: Budget }) {
  return (
    <>
      <Link to="/budgets" className="link">
        {b.name}
      </Link>
      : <Money amount={leftOf(b)} /> left {periodWords[b.period]}
    </>
  );
}

/** What the budget does to the deployment, where its first hours would pass it. */
export function BudgetWarning({ of: b, needed }: { of: Budget; needed: Micro }) {
  const left = leftOf(b);
  if (left >= needed) return null;
  const refused = b.mode !== 'alert';
  return (
    <Alert
      color={refused ? 'red' : 'amber'}
      variant="outline"
      title={refused ? 'A budget refuses this deployment' : 'This deployment passes a budget'}
    >
      Its minimum runtime costs {formatTotal(needed)}. The budget {b.name} has {formatTotal(left)} left{' '}
      {periodWords[b.period]}. <Link to="/budgets">View budgets</Link>
    </Alert>
  );
}
