import { Alert, Button } from '@mantine/core';
import { Link } from 'react-router';
import type { CreateDeployment } from '../../api/deployments';
import type { Offer } from '../../api/offers';
import { useCan } from '../../api/session';
import { useVolumes } from '../../api/volumes';
import { useWallet } from '../../api/wallet';
import { CodeBlock } from '../../parts/Copy';
import { curl } from '../../parts/curl';
import { Facts } from '../../parts/Facts';
import { Money } from '../../parts/Money';
import { formatMoney, type Micro, micro, minus, sum } from '../../parts/money';
import { runway } from '../../parts/time';

/** What it costs, what is set aside, what comes back; the button; the same with curl. */
export function Summary({ offer: o, body, busy }: { offer: Offer; body: CreateDeployment; busy: boolean }) {
  const can = useCan();
  const wallet = useWallet(can('wallet:read')).data;
  const price = micro(o.hourlyPrice);
  const available = wallet ? micro(wallet.available) : null;
  const least = wallet ? (Math.max(micro(wallet.minimumToDeploy), price) as Micro) : price;
  const short = available !== null && available < least;
  const chosen = useVolumes(can('volumes:read')).data?.filter((v) => body.volumeIds?.includes(v.id)) ?? [];
  // Volumes are billed already, attached or not; only the machine is new.
  const hourly = wallet ? sum(micro(wallet.hourlyCost), price) : price;
  return (
    <aside className="summary" aria-label="Summary">
      <section className="panel">
        <div className="panel-body stack">
          <div>
            <div className="summary-price">
              <Money amount={price} />
              <span className="dim"> an hour</span>
            </div>
            <div className="small dim">
              <Money usd={o.hourlyPricePerGpu} most={4} /> per GPU; stays as it is while the machine runs
            </div>
          </div>
          <Facts
            items={[
              ['Held now', <Money key="hold" amount={price} />],
              ['Available', available === null ? undefined : <Money key="a" amount={available} />],
              ['Left after', available === null ? undefined : <Money key="l" amount={minus(available, price)} />],
              ['Runway', available === null || available <= 0 ? undefined : runway(available / hourly)],
              ['Runs at least', `${o.minimumRuntimeMinutes} min`],
              ['Volumes', chosen.length ? chosen.map((v) => v.name).join(', ') : undefined],
            ]}
          />
          <ul className="rules">
            <li>
              The hold is the first hour. It becomes a charge when SSH answers, and comes back whole if it never does.
            </li>
            <li>Each further hour is charged when it begins.</li>
            <li>Terminate within the first hour, and its unused seconds are refunded.</li>
          </ul>
          {short && (
            <Alert color="red" variant="outline" title="Not enough available">
              {formatMoney(least)} must be available to deploy this. <Link to="/wallet">To the wallet</Link>
            </Alert>
          )}
          {!o.available && (
            <Alert color="red" variant="outline" title="Sold out at the moment">
              Stock is looked at every few seconds; the button works again as soon as there is some.{' '}
              <Link to={`/offers?gpuType=${encodeURIComponent(o.gpuType)}`}>Others like it</Link>
            </Alert>
          )}
          <Button type="submit" size="md" loading={busy} disabled={!o.available || short}>
            Deploy
          </Button>
        </div>
      </section>
      <details className="panel same">
        <summary>The same as curl</summary>
        <div className="panel-body">
          <CodeBlock value={curl('/api/v1/inventory/deployments', 'POST', body)} label="curl command" />
          <p className="small dim" style={{ marginBottom: 0 }}>
            BILLET_KEY is a key of <Link to="/settings/api-keys">Settings → API Keys</Link>.
          </p>
        </div>
      </details>
    </aside>
  );
}
