import { Link } from 'react-router';
import { useNow } from '../../api/clock';
import { type Deployment, hasEnded } from '../../api/deployments';
import { Facts } from '../../parts/Facts';
import { Money } from '../../parts/Money';
import { micro, share } from '../../parts/money';
import { Panel } from '../../parts/Panel';
import { roughly } from '../../parts/time';

const hour = 3_600_000;

/** What the deployment has cost, counting while it runs, and when the next hour is charged. */
export function Cost({ of: d }: { of: Deployment }) {
  const now = useNow(1000);
  const price = micro(d.hourlyPrice);
  const started = d.startedAt ? Date.parse(d.startedAt) : null;
  const ended = hasEnded(d);
  const running = started !== null && d.billedUntil === null && !ended;
  const elapsed = started === null ? 0 : Math.max(0, now - started);
  return (
    <Panel
      title="Cost"
      actions={
        <Link to={`/wallet?deploymentId=${d.id}`} className="link small">
          View transactions
        </Link>
      }
    >
      {running ? (
        <div>
          <div className="clock">
            <Money amount={share(price, Math.floor(elapsed / 1000), 3600)} />
          </div>
          <div className="small dim">
            used of <Money usd={d.costToDate} /> billed
          </div>
        </div>
      ) : (
        <div>
          <div className="clock">
            <Money usd={d.costToDate} />
          </div>
          <div className="small dim">{ended ? 'Total, net of refunds' : 'Billed so far'}</div>
        </div>
      )}
      <Facts
        items={[
          ['Price', <Money key="price" amount={price} per="/hr (locked)" />],
          ['Billed', running ? <Money key="billed" usd={d.costToDate} /> : undefined],
          ['On hold', started === null && !ended ? <Money key="hold" amount={price} /> : undefined],
          ['Next charge', running ? `in ${roughly(hour - (elapsed % hour))}` : undefined],
        ]}
      />
    </Panel>
  );
}
