import { Alert, Button } from '@mantine/core';
import type { ReactNode } from 'react';
import { Link } from 'react-router';
import type { Data } from '../../api/client';
import type { CreateDeployment, Deployment } from '../../api/deployments';
import type { Offer } from '../../api/offers';
import { useCan } from '../../api/session';
import { useVolumes } from '../../api/volumes';
import { useWallet } from '../../api/wallet';
import { CodeBlock } from '../../parts/Copy';
import { curl } from '../../parts/curl';
import { Facts } from '../../parts/Facts';
import { Money } from '../../parts/Money';
import { formatTotal, type Micro, micro, minus, sum, times } from '../../parts/money';
import { sentence } from '../../parts/text';
import { localTime, runway } from '../../parts/time';
import { BudgetLeft, BudgetWarning, useBindingBudget } from './Budget';
import { Capacity } from './Capacity';

interface Props {
  offer: Offer;
  fallbacks: Offer[];
  /** The quote whose price applies. */
  quote?: Data<'/api/v1/inventory/quotes/{quoteId}', 'get'>;
  /** What locks the price. */
  lock: ReactNode;
  body: CreateDeployment;
  busy: boolean;
  /** A chosen offer is not loaded yet, so that the request is not complete. */
  loading: boolean;
  validating: boolean;
  /** The deployment that a dry run describes. */
  valid?: Deployment;
  onValidate: () => void;
}

/** The price, the hold and the balance after it, with the button and the same as curl. */
export function Summary({
  offer: o,
  fallbacks,
  quote,
  lock,
  body,
  busy,
  loading,
  validating,
  valid,
  onValidate,
}: Props) {
  const can = useCan();
  const wallet = useWallet(can('wallet:read')).data;
  const price = micro(quote?.hourlyPrice ?? o.hourlyPrice);
  // The hold is that of the dearest offer, since any of them may be the one that runs.
  const hold = Math.max(price, ...fallbacks.map((f) => micro(f.hourlyPrice))) as Micro;
  const available = wallet ? micro(wallet.available) : null;
  const required = wallet ? (Math.max(micro(wallet.minimumToDeploy), hold) as Micro) : hold;
  const insufficient = available !== null && available < required;
  const soldOut = ![o, ...fallbacks].some((c) => c.available);
  const hours = Math.max(1, Math.ceil(o.minimumRuntimeMinutes / 60));
  const needed = times(hold, hours);
  const budget = useBindingBudget(can('wallet:read'), body.project ?? '', body.tags ?? [], needed);
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
              <Money amount={Math.round(price / o.gpuCount) as Micro} rate /> per GPU · price locked while running
            </div>
          </div>
          {lock}
          <Facts
            items={[
              ['First-hour hold', <Money key="hold" amount={hold} />],
              ['Available', available === null ? undefined : <Money key="available" amount={available} />],
              [
                'Balance after hold',
                available === null ? undefined : <Money key="after" amount={minus(available, hold)} />,
              ],
              ['Runway', available === null || available <= 0 ? undefined : `≈ ${runway(available / hourly)}`],
              ['Budget', budget && <BudgetLeft key="budget" of={budget} />],
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
          {budget && <BudgetWarning of={budget} needed={needed} />}
          {available !== null && insufficient && (
            <Alert color="red" variant="outline" title="Insufficient balance">
              Add at least {formatTotal(minus(required, available))} to deploy. <Link to="/wallet">Add funds</Link>
            </Alert>
          )}
          {soldOut && (
            <Alert color="red" variant="outline" title="Sold out">
              Stock updates every few seconds. You can deploy as soon as there is capacity.{' '}
              <Link to={`/offers?gpuType=${encodeURIComponent(o.gpuType)}`}>View similar offers</Link>
            </Alert>
          )}
          <Button type="submit" size="md" loading={busy} disabled={soldOut || insufficient || loading}>
            Deploy
          </Button>
          <Button variant="default" loading={validating} disabled={busy || loading} onClick={onValidate}>
            Dry run
          </Button>
          {valid && <DryRun of={valid} hold={hold} />}
        </div>
      </section>
      <Capacity offer={o} />
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

/** What can end a deployment first. */
const limitNames = {
  autoTerminateAt: 'Auto-terminate',
  maxRuntimeMinutes: 'Maximum runtime',
  maxSpend: 'Maximum spend',
  budget: 'Budget',
  balance: 'Balance',
};

/** What a dry run says: everything was checked, and nothing deployed. */
function DryRun({ of: d, hold }: { of: Deployment; hold: Micro }) {
  const { estimate } = d;
  return (
    <div role="status">
      <Alert color="green" variant="outline" title="The request is valid. Nothing was deployed.">
        <Facts
          items={[
            ['Offer', `${d.gpuCount} × ${d.gpuType}, ${d.region}`],
            ['Operating system', d.operatingSystem],
            ['Price', <Money key="price" usd={d.hourlyPrice} per="/hr" />],
            ['Hold', <Money key="hold" amount={estimate ? micro(estimate.hold) : hold} />],
            ['Earliest end', estimate && `${localTime(estimate.earliestEnd)}, if SSH is reachable at once`],
            ['Refund then', estimate?.refunds[0] && <Money key="refund" usd={estimate.refunds[0].amount} />],
            ['SSH keys', d.sshKeys.map((k) => k.name ?? k.fingerprint).join(', ')],
            [
              'First limit',
              estimate?.bindingLimit
                ? `${limitNames[estimate.bindingLimit.limit]}, ${localTime(estimate.bindingLimit.at)}`
                : 'None',
            ],
            [
              'Skipped offers',
              d.attempts.length > 0
                ? d.attempts.map((a) => <div key={a.offerId}>{sentence(a.reason)}</div>)
                : undefined,
            ],
          ]}
        />
      </Alert>
    </div>
  );
}
