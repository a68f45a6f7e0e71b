import { Button } from '@mantine/core';
import { useQueries } from '@tanstack/react-query';
import { Link, useSearchParams } from 'react-router';
import { type Offer, offerQuery } from '../../api/offers';
import { useCan } from '../../api/session';
import { BackIcon } from '../../app/icons';
import { EmptyState } from '../../parts/EmptyState';
import { ErrorBox } from '../../parts/ErrorBox';
import { Money } from '../../parts/Money';
import { PageHead } from '../../parts/PageHead';
import { PageSkeleton } from '../../parts/Skeletons';
import { Stock, size, TypeChip } from './cells';
import { compareMost } from './filters';
import { History } from './History';
import { features } from './OfferDetail';
import './offers.css';

interface Line {
  name: string;
  show: (o: Offer) => React.ReactNode;
  /** Less or more is better; the best is highlighted. */
  less?: (o: Offer) => number;
  more?: (o: Offer) => number;
}

const lines: Line[] = [
  { name: 'Price', show: (o) => <Money usd={o.hourlyPrice} per="/hr" />, less: (o) => o.hourlyPrice },
  {
    name: 'Per GPU',
    show: (o) => <Money usd={o.hourlyPricePerGpu} per="/hr" />,
    less: (o) => o.hourlyPricePerGpu,
  },
  { name: 'Stock', show: (o) => <Stock offer={o} /> },
  { name: 'Type', show: (o) => <TypeChip type={o.instanceType} /> },
  { name: 'Region', show: (o) => `${o.regionName}${o.country ? `, ${o.country}` : ''}` },
  { name: 'Provider', show: (o) => o.provider },
  {
    name: 'GPU memory',
    show: (o) => `${size(o.gpuMemoryGb * o.gpuCount)} total`,
    more: (o) => o.gpuMemoryGb * o.gpuCount,
  },
  { name: 'vCPUs', show: (o) => o.vcpus, more: (o) => o.vcpus },
  { name: 'Memory', show: (o) => size(o.memoryGb), more: (o) => o.memoryGb },
  { name: 'Storage', show: (o) => size(o.storageGb), more: (o) => o.storageGb },
  { name: 'Interconnect', show: (o) => o.interconnect ?? '–' },
  { name: 'Operating systems', show: (o) => o.operatingSystems.join(', ') },
  { name: 'Features', show: features },
  { name: 'Minimum runtime', show: (o) => `${o.minimumRuntimeMinutes} min`, less: (o) => o.minimumRuntimeMinutes },
  { name: 'Price history', show: (o) => <History offerId={o.id} height={44} /> },
];

export default function Compare() {
  const [params] = useSearchParams();
  const ids = (params.get('ids') ?? '').split(',').filter(Boolean).slice(0, compareMost);
  const can = useCan();
  const results = useQueries({ queries: ids.map(offerQuery) });
  const offers = results.flatMap((r) => (r.data ? [r.data] : []));
  const back = `/offers${ids.length ? `?compare=${ids.join(',')}` : ''}`;
  return (
    <>
      <PageHead
        title="Compare offers"
        before={
          <Link to={back} className="link small">
            <BackIcon width={12} height={12} /> Offers
          </Link>
        }
      />
      {ids.length === 0 && (
        <EmptyState
          title="No offers selected"
          action={
            <Button component={Link} to="/offers">
              Browse offers
            </Button>
          }
        >
          Select up to {compareMost} offers in the list, then choose Compare.
        </EmptyState>
      )}
      {results.some((r) => r.isPending) && <PageSkeleton />}
      {results.map((r) => r.error && !r.data && <ErrorBox key={r.error.message} error={r.error} />)}
      {offers.length > 0 && (
        <section className="panel compare" aria-label="Comparison">
          <table>
            <thead>
              <tr>
                <td />
                {offers.map((o) => (
                  <th key={o.id} scope="col">
                    <Link to={`/offers/${o.id}`} className="plain-link">
                      {o.gpuCount} × {o.gpuType}
                    </Link>
                    <span className="cell-sub">{o.regionName}</span>
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {lines.map((line) => (
                <tr key={line.name}>
                  <th scope="row">{line.name}</th>
                  {offers.map((o) => (
                    <td key={o.id} data-best={isBest(line, o, offers) || undefined}>
                      {line.show(o)}
                    </td>
                  ))}
                </tr>
              ))}
              {can('deployments:write') && (
                <tr>
                  <th scope="row">
                    <span className="sr">Deploy</span>
                  </th>
                  {offers.map((o) => (
                    <td key={o.id}>
                      {o.available && (
                        <Button
                          component={Link}
                          to={`/deploy/${o.id}`}
                          size="xs"
                          aria-label={`Deploy ${o.gpuCount} × ${o.gpuType} in ${o.regionName}`}
                        >
                          Deploy
                        </Button>
                      )}
                    </td>
                  ))}
                </tr>
              )}
            </tbody>
          </table>
        </section>
      )}
    </>
  );
}

/** Reports whether this offer alone is the best in this row. */
function isBest(line: Line, o: Offer, all: Offer[]): boolean {
  const measure = line.less ?? line.more;
  if (!measure || all.length < 2) return false;
  const mine = measure(o);
  return all.every((other) => other === o || (line.less ? measure(other) > mine : measure(other) < mine));
}
