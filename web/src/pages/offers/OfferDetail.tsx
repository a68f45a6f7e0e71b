import { Button } from '@mantine/core';
import { Link, useParams } from 'react-router';
import { type Offer, useOffer } from '../../api/offers';
import { useCan } from '../../api/session';
import { BackIcon } from '../../app/icons';
import { CodeBlock } from '../../parts/Copy';
import { curl } from '../../parts/curl';
import { ErrorBox } from '../../parts/ErrorBox';
import { Facts, Figure } from '../../parts/Facts';
import { formatNumber, formatPercent } from '../../parts/locale';
import { Money } from '../../parts/Money';
import { PageHead } from '../../parts/PageHead';
import { ProviderNotice } from '../../parts/ProviderNotice';
import { PageSkeleton } from '../../parts/Skeletons';
import { Ago } from '../../parts/Time';
import { duration } from '../../parts/time';
import { Stale, Stock, size, TypeChip } from './cells';
import { History } from './History';
import './offers.css';

export default function OfferDetail() {
  const { offerId = '' } = useParams();
  const offer = useOffer(offerId);
  const can = useCan();
  if (!offer.data)
    return offer.isError ? <ErrorBox error={offer.error} retry={() => void offer.refetch()} /> : <PageSkeleton />;
  const o = offer.data;
  return (
    <>
      <PageHead
        title={`${o.gpuCount} × ${o.gpuType}`}
        before={
          <Link to="/offers" className="link small">
            <BackIcon width={12} height={12} /> Offers
          </Link>
        }
        actions={
          can('deployments:write') &&
          o.available && (
            <Button component={Link} to={`/deploy/${o.id}`}>
              Deploy
            </Button>
          )
        }
      >
        {o.regionName}
        {o.country && `, ${o.country}`} · {o.provider} · <TypeChip type={o.instanceType} />
      </PageHead>
      <ProviderNotice
        of={[o.provider]}
        meaning="Price and stock are as they were then. They cannot be confirmed now, and deploying may fail."
      />
      <div className="figures" style={{ marginBottom: 16 }}>
        <Figure name="Price">
          <Money usd={o.hourlyPrice} per="/h" />
        </Figure>
        <Figure name="Per GPU">
          <Money usd={o.hourlyPricePerGpu} most={4} per="/h" />
        </Figure>
        <Figure
          name="Stock"
          note={
            o.stale ? (
              <Stale offer={o} />
            ) : (
              <>
                confirmed <Ago at={o.asOf} />
              </>
            )
          }
        >
          <Stock offer={o} />
        </Figure>
        <Figure name="Runs at least" note="before it can be terminated">
          {o.minimumRuntimeMinutes} min
        </Figure>
      </div>
      <div className="split">
        <section className="panel" aria-labelledby="machine">
          <div className="panel-head">
            <h2 id="machine">Machine</h2>
          </div>
          <div className="panel-body">
            <Facts items={specs(o)} />
          </div>
        </section>
        <div className="stack">
          <section className="panel" aria-labelledby="history">
            <div className="panel-head">
              <h2 id="history">Price, last 30 days</h2>
            </div>
            <div className="panel-body">
              <History offerId={o.id} />
            </div>
          </section>
          <CodeBlock value={curl(`/api/v1/inventory/offers/${o.id}`)} label="curl command" />
        </div>
      </div>
    </>
  );
}

const abilityNames: [keyof Offer['capabilities'], string][] = [
  ['reboot', 'reboot'],
  ['power', 'power on and off'],
  ['reinstall', 'reinstall'],
  ['volumes', 'volumes'],
  ['cloudInit', 'cloud-init'],
];

export function capabilities(o: Offer): string {
  const names = abilityNames.filter(([a]) => o.capabilities[a]).map(([, name]) => name);
  return names.length ? names.join(', ') : 'none';
}

/** What launches of the last 30 days came to, and whether any lately found nothing left. */
function Launches({ offer: o }: { offer: Offer }) {
  const r = o.reliability;
  return (
    <>
      {r.reachedSsh === null ? (
        'None in the last 30 days'
      ) : (
        <>
          {formatPercent(r.reachedSsh * 100)} of {formatNumber(r.deployments)} reached running
          {r.medianSecondsToSsh !== null && `, half of them within ${duration(r.medianSecondsToSsh * 1000)}`}
          {r.basis === 'instanceType' && <span className="dim"> (all of this type at {o.provider})</span>}
        </>
      )}
      {o.lastNoCapacityAt && (
        <span className="cell-sub">
          None left <Ago at={o.lastNoCapacityAt} />
        </span>
      )}
    </>
  );
}

export function specs(o: Offer): [string, React.ReactNode][] {
  return [
    ['GPUs', `${o.gpuCount} × ${o.gpuType}`],
    ['GPU memory', `${size(o.gpuMemoryGb)} each, ${size(o.gpuMemoryGb * o.gpuCount)} in all`],
    ['vCPUs', o.vcpus],
    ['Memory', size(o.memoryGb)],
    ['Storage', `${size(o.storageGb)}, ends with the machine`],
    ['Interconnect', o.interconnect],
    ['Operating systems', o.operatingSystems.join(', ')],
    ['Can', capabilities(o)],
    ['Launches', <Launches key="launches" offer={o} />],
    [
      'Offer',
      <code key="id" className="mono">
        {o.id}
      </code>,
    ],
  ];
}
