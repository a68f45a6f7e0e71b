import { Link, useParams } from 'react-router';
import { useAll } from '../../api/hooks';
import { type Offer, useOffer } from '../../api/offers';
import { BackIcon } from '../../app/icons';
import { ErrorBox } from '../../parts/ErrorBox';
import { PageHead } from '../../parts/PageHead';
import { ProviderNotice } from '../../parts/ProviderNotice';
import { PageSkeleton } from '../../parts/Skeletons';
import './deploy.css';
import { DeployForm } from './DeployForm';

export default function Deploy() {
  const { offerId = '' } = useParams();
  const offer = useOffer(offerId);
  const keys = useAll('/api/v1/inventory/ssh-keys');
  if (!offer.data)
    return offer.isError ? (
      <>
        <PageHead title="Deploy" />
        <ErrorBox error={offer.error} retry={() => void offer.refetch()} />
        <p>
          <Link to="/offers" className="link">
            Browse offers
          </Link>
        </p>
      </>
    ) : (
      <PageSkeleton />
    );
  if (!keys.data && !keys.isError) return <PageSkeleton />;
  const o = offer.data;
  return (
    <>
      <PageHead
        title={`Deploy ${o.gpuCount} × ${o.gpuType}`}
        before={
          <Link to={`/offers/${o.id}`} className="link small">
            <BackIcon width={12} height={12} /> Offer
          </Link>
        }
      >
        {where(o)}
      </PageHead>
      <ProviderNotice
        of={[o.provider]}
        meaning="Price and stock may be outdated. You aren't charged if the deployment fails."
      />
      <DeployForm key={o.id} offer={o} keys={keys.data ?? []} keysError={keys.error} />
    </>
  );
}

function where(o: Offer): string {
  return `${o.regionName}${o.country ? `, ${o.country}` : ''} · ${o.provider}`;
}
