import { Link } from 'react-router';
import { useNow } from '../../api/clock';
import { type Deployment, ended } from '../../api/deployments';
import { Facts } from '../../parts/Facts';
import { Money } from '../../parts/Money';
import { formatMoney, micro, share } from '../../parts/money';
import { remaining } from '../../parts/time';

const hour = 3_600_000;

/** What it has cost, ticking while it does, and when the next hour is charged. */
export function Cost({ of: d }: { of: Deployment }) {
  const now = useNow(1000);
  const price = micro(d.hourlyPrice);
  const started = d.startedAt ? Date.parse(d.startedAt) : null;
  const running = started !== null && d.billedUntil === null && !ended(d);
  const elapsed = started === null ? 0 : Math.max(0, now - started);
  return (
    <section className="panel" aria-labelledby="cost">
      <div className="panel-head">
        <h2 id="cost">Cost</h2>
        <Link to={`/wallet?deploymentId=${d.id}`} className="link small">
          Its lines on the statement
        </Link>
      </div>
      <div className="panel-body stack">
        {running ? (
          <div>
            <div className="clock">{formatMoney(share(price, Math.floor(elapsed / 1000), 3600), 4, 4)}</div>
            <div className="small dim">used so far, of what is charged</div>
          </div>
        ) : (
          <div>
            <div className="clock">
              <Money usd={d.costToDate} />
            </div>
            <div className="small dim">{ended(d) ? 'in all, refund taken off' : 'charged so far'}</div>
          </div>
        )}
        <Facts
          items={[
            ['Price', <Money key="p" amount={price} per="/h, agreed" />],
            ['Charged', <Money key="c" usd={d.costToDate} />],
            ['Held', started === null && !ended(d) ? <Money key="h" amount={price} /> : undefined],
            ['Next charge', running ? `in ${remaining(hour - (elapsed % hour))}` : undefined],
          ]}
        />
      </div>
    </section>
  );
}
