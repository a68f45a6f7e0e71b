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
import { Panel } from '../../parts/Panel';
import { ProviderNotice } from '../../parts/ProviderNotice';
import { PageSkeleton } from '../../parts/Skeletons';
import { Ago } from '../../parts/Time';
import { duration } from '../../parts/time';
import { Outdated, Stock, size, TypeChip } from './cells';
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
      <ProviderNotice of={[o.provider]} meaning="Price and stock may be outdated, and deploying may fail." />
      <div className="figures" style={{ marginBottom: 16 }}>
        <Figure name="Price">
          <Money usd={o.hourlyPrice} per="/hr" />
        </Figure>
        <Figure name="Per GPU">
          <Money usd={o.hourlyPricePerGpu} per="/hr" />
        </Figure>
        <Figure
          name="Stock"
          note={
            o.stale ? (
              <Outdated offer={o} />
            ) : (
              <>
                updated <Ago at={o.asOf} />
              </>
            )
          }
        >
          <Stock offer={o} />
        </Figure>
        <Figure name="Minimum runtime">{o.minimumRuntimeMinutes} min</Figure>
      </div>
      <div className="split">
        <Panel title="Machine">
          <Facts items={specs(o)} />
        </Panel>
        <div className="stack">
          <Panel title="Price history (30 days)">
            <History offerId={o.id} />
          </Panel>
          <CodeBlock value={curl(`/api/v1/inventory/offers/${o.id}`)} label="curl command" />
        </div>
      </div>
    </>
  );
}

type Feature = Exclude<keyof Offer['capabilities'], 'singleKey'>;

/** Every capability and its label. A missing or unknown one fails the type check. */
const featureNames: Record<Feature, string> = {
  reboot: 'reboot',
  power: 'power control',
  reinstall: 'reinstall',
  console: 'serial console',
  rescue: 'rescue system',
  volumes: 'volumes',
  cloudInit: 'cloud-init',
  customImages: 'own images',
};

export function features(o: Offer): string {
  const names = Object.entries(featureNames).filter(([f]) => o.capabilities[f as Feature]);
  return names.length ? sentenceCase(names.map(([, name]) => name).join(', ')) : 'None';
}

/** The success rate of launches in the last 30 days, and the last failure for lack of capacity. */
function LaunchRate({ offer: o }: { offer: Offer }) {
  const r = o.reliability;
  return (
    <>
      {r.reachedSsh === null ? (
        'No data yet (30 days)'
      ) : (
        <>
          {formatPercent(r.reachedSsh * 100)} of {formatNumber(r.deployments)} (30 days)
          {r.medianSecondsToSsh !== null && ` · typical start ${duration(r.medianSecondsToSsh * 1000)}`}
          {r.basis === 'instanceType' && <span className="dim"> · all offers of this type at {o.provider}</span>}
        </>
      )}
      {o.lastNoCapacityAt && (
        <span className="cell-sub">
          Last sold out <Ago at={o.lastNoCapacityAt} />
        </span>
      )}
    </>
  );
}

export function specs(o: Offer): [string, React.ReactNode][] {
  return [
    ['GPUs', `${o.gpuCount} × ${o.gpuType}`],
    ['GPU memory', `${size(o.gpuMemoryGb)} each, ${size(o.gpuMemoryGb * o.gpuCount)} total`],
    ['vCPUs', o.vcpus],
    ['Memory', size(o.memoryGb)],
    ['Storage', `${size(o.storageGb)} local (ephemeral)`],
    ['Interconnect', o.interconnect],
    ['Operating systems', o.operatingSystems.join(', ')],
    ['Features', features(o)],
    ['SSH keys', o.capabilities.singleKey ? 'One per machine' : undefined],
    ['Launch success rate', <LaunchRate key="launches" offer={o} />],
    [
      'Offer',
      <code key="id" className="mono">
        {o.id}
      </code>,
    ],
  ];
}

function sentenceCase(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
