import { Button } from '@mantine/core';
import { lazy, type ReactNode, Suspense, useMemo } from 'react';
import { Link } from 'react-router';
import { type Offer, offersPage } from '../../api/offers';
import { useCan } from '../../api/session';
import { formatNumber } from '../../parts/locale';
import { Money } from '../../parts/Money';
import { PageHead } from '../../parts/PageHead';
import { ProviderNotice } from '../../parts/ProviderNotice';
import { Choice, type Column, ResourceTable } from '../../parts/ResourceTable';
import { usePagedRows } from '../../parts/rows';
import { PageSkeleton } from '../../parts/Skeletons';
import { Ago } from '../../parts/Time';
import { OfferName, Outdated, Price, Stock, size, TypeChip } from './cells';
import { type Change, useChanges } from './changes';
import { compareMost, noFilters, queryOf, useFilters } from './filters';
import './offers.css';

// The list loads first. The filters are as many bytes again.
const FilterBar = lazy(async () => ({ default: (await import('./FilterBar')).FilterBar }));
const NoOffers = lazy(async () => ({ default: (await import('./NoOffers')).NoOffers }));

export default function Offers() {
  const { filters, compare, set, toggle } = useFilters();
  const query = useMemo(() => queryOf(filters), [filters]);
  const rows = usePagedRows<Offer>((page, limit) => offersPage({ ...query, page, limit }));
  const changeOf = useChanges(rows.loaded);
  const can = useCan();
  const newest = rows.loaded.reduce((a, o) => (o.asOf > a ? o.asOf : a), '');
  const deploy = can('deployments:write');
  const selection = {
    chosen: compare,
    most: compareMost,
    toggle,
    clear: () => set({ compare: null }),
    label: (o: Offer) => `Compare ${nameOf(o)}`,
  };
  const providers = filters.provider ? [filters.provider] : undefined;

  return (
    <>
      <PageHead title="Offers">
        {rows.count > 0 && (
          <>
            {formatNumber(rows.count)}
            {filters.available === 'all' ? '' : ' available'} {rows.count === 1 ? 'offer' : 'offers'}
            {newest && (
              <>
                {' '}
                · updated <Ago at={newest} />
              </>
            )}
          </>
        )}
      </PageHead>
      <Suspense fallback={<div className="filters filters-space" />}>
        <FilterBar filters={filters} set={set} />
      </Suspense>
      <ProviderNotice of={providers} meaning="Its offers may be outdated, and deploying one may fail." />
      <ResourceTable
        label="Offers"
        columns={columns(changeOf, deploy)}
        rows={{
          ...rows,
          sort: filters.sort ?? 'price',
          onSort: (sort) => set({ sort: sort === 'price' ? null : sort }),
        }}
        rowKey={(o) => o.id}
        empty={
          <Suspense fallback={<PageSkeleton />}>
            <NoOffers
              of={providers}
              filtered={Object.keys(filters).length > 0}
              clear={() => set({ ...noFilters, available: 'all' })}
            />
          </Suspense>
        }
        selection={selection}
        card={(o) => (
          <Card
            offer={o}
            change={changeOf(o.id)}
            choice={<Choice row={o} id={o.id} selection={selection} />}
            deploy={deploy}
          />
        )}
        cardHeight={152}
        quiet={(o) => !o.available}
        href={(o) => `/offers/${o.id}`}
      />
      {compare.length > 0 && (
        <div className="compare-bar" role="status">
          <span>
            {compare.length} of {compareMost} selected
          </span>
          <Button
            size="compact-md"
            component={Link}
            to={`/offers/compare?ids=${compare.join(',')}`}
            disabled={compare.length < 2}
          >
            Compare
          </Button>
          <Button size="compact-md" variant="subtle" color="gray" onClick={selection.clear}>
            Clear selection
          </Button>
        </div>
      )}
    </>
  );
}

function nameOf(o: Offer): string {
  return `${o.gpuCount} × ${o.gpuType} in ${o.regionName}`;
}

function DeployButton({ offer: o }: { offer: Offer }) {
  if (!o.available) return null;
  return (
    <Button
      component={Link}
      to={`/deploy/${o.id}`}
      size="compact-sm"
      variant="default"
      aria-label={`Deploy ${nameOf(o)}`}
    >
      Deploy
    </Button>
  );
}

function columns(changeOf: (id: string) => Change | undefined, deploy: boolean): Column<Offer>[] {
  const all: Column<Offer>[] = [
    { key: 'gpu', head: 'GPUs', sort: 'name', width: '15%', cell: (o) => <OfferName offer={o} /> },
    { key: 'type', head: 'Type', width: '122px', cell: (o) => <TypeChip type={o.instanceType} /> },
    {
      key: 'where',
      head: 'Region',
      sort: 'region',
      cell: (o) => (
        <>
          <span className="cell-main">
            {o.regionName}
            {o.country && <span className="dim"> {o.country}</span>}
          </span>
          <span className="cell-sub">
            {o.provider} <Outdated offer={o} />
          </span>
        </>
      ),
    },
    {
      key: 'host',
      head: 'Machine',
      width: '196px',
      from: 860,
      cell: (o) => (
        <>
          <span className="cell-main">
            {o.vcpus} vCPUs · {size(o.memoryGb)} RAM
          </span>
          <span className="cell-sub">{size(o.storageGb)} storage</span>
        </>
      ),
    },
    {
      key: 'net',
      head: 'Interconnect',
      from: 1300,
      cell: (o) => <span className="cell-main">{o.interconnect ?? <span className="dim">–</span>}</span>,
    },
    {
      key: 'stock',
      head: 'Stock',
      width: '92px',
      end: true,
      cell: (o) => <Stock offer={o} change={changeOf(o.id)} />,
    },
    {
      key: 'each',
      head: 'Price/GPU/hr',
      sort: 'pricePerGpu',
      width: '124px',
      end: true,
      from: 760,
      cell: (o) => <Money usd={o.hourlyPricePerGpu} rate />,
    },
    {
      key: 'price',
      head: 'Price/hr',
      sort: 'price',
      width: '116px',
      end: true,
      cell: (o) => <Price offer={o} change={changeOf(o.id)} />,
    },
  ];
  if (deploy)
    all.push({
      key: 'go',
      head: <span className="sr">Deploy</span>,
      width: '106px',
      end: true,
      cell: (o) => <DeployButton offer={o} />,
    });
  return all;
}

interface CardProps {
  offer: Offer;
  change?: Change;
  choice: ReactNode;
  deploy: boolean;
}

function Card({ offer: o, change, choice, deploy }: CardProps) {
  return (
    <div style={{ display: 'grid', gap: 5 }}>
      <div className="card-row">
        <Link to={`/offers/${o.id}`} className="plain-link truncate">
          {o.gpuCount} × {o.gpuType}
        </Link>
        <Price offer={o} change={change} per="/hr" />
      </div>
      <div className="card-row small dim">
        <span className="truncate">
          {o.regionName} · {o.provider} <Outdated offer={o} />
        </span>
        <span>
          <Money usd={o.hourlyPricePerGpu} per="/hr per GPU" />
        </span>
      </div>
      <div className="small dim">
        <div className="truncate">
          {size(o.gpuMemoryGb)} GPU memory each · {o.vcpus} vCPUs
        </div>
        <div className="truncate">
          {size(o.memoryGb)} memory · {size(o.storageGb)} storage
        </div>
      </div>
      <div className="card-row">
        <span style={{ display: 'flex', gap: 10, alignItems: 'center' }} className="small">
          {choice}
          <TypeChip type={o.instanceType} />
          <Stock offer={o} change={change} words />
        </span>
        {deploy && <DeployButton offer={o} />}
      </div>
    </div>
  );
}
