import { Button } from '@mantine/core';
import { Link } from 'react-router';
import { leftOf, useBudgets, usedOf } from '../../api/budgets';
import { micro } from '../../parts/money';
import { Panel } from '../../parts/Panel';
import { BudgetMeter } from './BudgetMeter';

/** How many budgets the panel shows: those of which the largest part is used. */
const most = 3;

/** The budgets that are nearest to their limits. */
export function BudgetPanel() {
  const budgets = useBudgets().data;
  if (!budgets) return null;
  const used = (b: (typeof budgets)[number]) => usedOf(b) / micro(b.amount);
  const nearest = budgets.toSorted((a, b) => used(b) - used(a) || leftOf(a) - leftOf(b)).slice(0, most);
  return (
    <Panel
      title="Budgets"
      actions={
        <Button component={Link} to="/budgets" variant="default" size="compact-sm">
          {budgets.length > most ? `View all ${budgets.length}` : 'View budgets'}
        </Button>
      }
    >
      {nearest.length === 0 ? (
        <div className="dim">No budgets. A budget alerts you before you spend too much.</div>
      ) : (
        <ul className="budget-list">
          {nearest.map((b) => (
            <li key={b.id}>
              <div className="strong truncate" style={{ marginBottom: 4 }}>
                {b.name}
              </div>
              <BudgetMeter of={b} />
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}
