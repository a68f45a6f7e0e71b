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
import { formatTotal, type Micro, micro, minus, sum } from '../../parts/money';
import { runway } from '../../parts/time';

/** The price, the hold and the balance after it, with the button and the same as curl. */
export function Summary({ offer: o, body, busy }: { offer: Offer; body: CreateDeployment; busy: boolean }) {
  const can = useCan();
  const wallet = useWallet(can('wallet:read')).data;
  const price = micro(o.hourlyPrice);
  const available = wallet ? micro(wallet.available) : null;
  const required = wallet ? (Math.max(micro(wallet.minimumToDeploy), price) as Micro) : price;
  const insufficient = available !== null && available < required;
  const chosen = useVolumes(can('volumes:read')).data?.filter((v) => body.volumeIds?.includes(v.id)) ?? [];
  // Volumes are billed already, attached or not. Only the machine is new.
  const hourly = wallet ? sum(micro(wallet.hourlyCost), price) : price;
  return (
    <aside className="summary" aria-label="Summary">
      <section className="panel">
        <div className="panel-body stack">
          <div>
            <div className="summary-price">
              <Money amount={price} per="/hr" />
            </div>
            <div className="small dim">
              <Money usd={o.hourlyPricePerGpu} rate /> per GPU · price locked while running
            </div>
          </div>
          <Facts
            items={[
              ['First-hour hold', <Money key="hold" amount={price} />],
              ['Available', available === null ? undefined : <Money key="available" amount={available} />],
              [
                'Balance after hold',
                available === null ? undefined : <Money key="after" amount={minus(available, price)} />,
              ],
              ['Runway', available === null || available <= 0 ? undefined : `≈ ${runway(available / hourly)}`],
              ['Minimum runtime', `${o.minimumRuntimeMinutes} min`],
              ['Volumes', chosen.length ? chosen.map((v) => v.name).join(', ') : undefined],
            ]}
          />
          <ul className="rules">
            <li>
              We place a hold for the first hour. You're charged only when SSH is reachable; otherwise the hold is
              released in full.
            </li>
            <li>After that, each hour is billed in advance.</li>
            <li>Terminate within the first hour and unused time is refunded to the second.</li>
          </ul>
          {available !== null && insufficient && (
            <Alert color="red" variant="outline" title="Insufficient balance">
              Add at least {formatTotal(minus(required, available))} to deploy. <Link to="/wallet">Add funds</Link>
            </Alert>
          )}
          {!o.available && (
            <Alert color="red" variant="outline" title="Sold out">
              Stock updates every few seconds. You can deploy as soon as there is capacity.{' '}
              <Link to={`/offers?gpuType=${encodeURIComponent(o.gpuType)}`}>View similar offers</Link>
            </Alert>
          )}
          <Button type="submit" size="md" loading={busy} disabled={!o.available || insufficient}>
            Deploy
          </Button>
        </div>
      </section>
      <details className="panel same">
        <summary>Deploy with the API (curl)</summary>
        <div className="panel-body">
          <CodeBlock value={curl('/api/v1/inventory/deployments', 'POST', body)} label="curl command" />
          <p className="small dim" style={{ marginBottom: 0 }}>
            Set BILLET_API_KEY to a key from <Link to="/settings/api-keys">Settings → API keys</Link>.
          </p>
        </div>
      </details>
    </aside>
  );
}
