import { type Budget, usedOf } from '../../api/budgets';
import { Money } from '../../parts/Money';
import { micro } from '../../parts/money';
import { periodWords } from './words';
import './budgets.css';

/** What is spent and committed of a budget, as a bar with its thresholds and in words. */
export function BudgetMeter({ of: b }: { of: Budget }) {
  const amount = micro(b.amount);
  const used = usedOf(b);
  const percent = (part: number) => `${Math.min(100, Math.max(0, (part / amount) * 100))}%`;
  return (
    <div className="budget-meter">
      <div className="budget-bar" data-full={used >= amount || undefined} aria-hidden="true">
        <span style={{ width: percent(micro(b.spent)) }} />
        <span data-committed style={{ width: percent(Math.min(micro(b.committed), amount - micro(b.spent))) }} />
        {b.thresholds
          .filter((t) => t < 100)
          .map((t) => (
            <i key={t} style={{ left: `${t}%` }} />
          ))}
      </div>
      <div className="cell-sub">
        <Money usd={b.spent} />
        {b.committed > 0 && (
          <>
            {' '}
            and <Money usd={b.committed} /> on hold
          </>
        )}{' '}
        of <Money usd={b.amount} /> {periodWords[b.period]}
      </div>
    </div>
  );
}
