import { Button, Checkbox } from '@mantine/core';
import { lazy, Suspense, useMemo } from 'react';
import { Link } from 'react-router';
import { type Offer, offersPage } from '../../api/offers';
import { useCan } from '../../api/session';
import { type Column, DataTable } from '../../parts/DataTable';
import { ErrorBox } from '../../parts/ErrorBox';
import { formatNumber } from '../../parts/locale';
import { Money } from '../../parts/Money';
import { PageHead } from '../../parts/PageHead';
import { ProviderNotice, useSilentProviders } from '../../parts/ProviderNotice';
import { usePagedRows } from '../../parts/pages';
import { PageSkeleton } from '../../parts/Skeletons';
import { Ago } from '../../parts/Time';
import { OfferName, Price, Stale, Stock, size, TypeChip } from './cells';
import { type Change, useChanges } from './changes';
import { compareMost, queryOf, useFilters } from './filters';
import './offers.css';

// The list comes first: the fields that narrow it down are as many bytes again.
const FilterBar = lazy(async () => ({ default: (await import('./FilterBar')).FilterBar }));
const EmptyState = lazy(async () => ({ default: (await import('../../parts/EmptyState')).EmptyState }));

export default function Offers() {
  const { filters, compare, set, toggle } = useFilters();
  const query = useMemo(() => queryOf(filters), [filters]);
  const list = usePagedRows<Offer>((page, limit) => offersPage({ ...query, page, limit }));
  const changeOf = useChanges(list.rows);
  const can = useCan();
  const newest = list.rows.reduce((a, o) => (o.asOf > a ? o.asOf : a), '');
  const pick = { compare, toggle, changeOf, deploy: can('deployments:write') };

  return (
    <>
      <PageHead title="Offers">
        {list.total > 0 && (
          <>
            {formatNumber(list.total)} {list.total === 1 ? 'offer' : 'offers'}
            {filters.available === 'all' ? '' : ' available'}, live prices and stock
            {newest && (
              <>
                , confirmed <Ago at={newest} />
              </>
            )}
          </>
        )}
      </PageHead>
      <Suspense fallback={<div className="filters filters-space" />}>
        <FilterBar filters={filters} set={set} />
      </Suspense>
      <ProviderNotice
        of={filters.provider ? [filters.provider] : undefined}
        meaning="Its offers are as they were then. They cannot be confirmed now, and deploying one may fail."
      />
      {list.error ? (
        <ErrorBox error={list.error} retry={list.retry} />
      ) : list.loading && list.total === 0 ? (
        <PageSkeleton />
      ) : list.total === 0 ? (
        <Suspense fallback={<PageSkeleton />}>
          <Nothing
            of={filters.provider ? [filters.provider] : undefined}
            filtered={Object.keys(filters).length > 0}
            clear={() =>
              set({
                search: null,
                provider: null,
                gpuType: null,
                region: null,
                instanceType: null,
                gpuCount: null,
                maxHourlyPrice: null,
                available: 'all',
              })
            }
          />
        </Suspense>
      ) : (
        <DataTable
          label="Offers"
          columns={columns(pick)}
          count={list.total}
          row={list.row}
          rowKey={(o) => o.id}
          onRange={list.onRange}
          card={(o) => <Card offer={o} {...pick} />}
          cardHeight={152}
          sort={filters.sort ?? 'price'}
          onSort={(sort) => set({ sort: sort === 'price' ? null : sort })}
          quiet={(o) => !o.available}
        />
      )}
      {compare.length > 0 && (
        <div className="compare-bar" role="status">
          <span>
            {compare.length} of {compareMost} to compare
          </span>
          <Button
            size="compact-md"
            component={Link}
            to={`/offers/compare?ids=${compare.join(',')}`}
            disabled={compare.length < 2}
          >
            Compare
          </Button>
          <Button size="compact-md" variant="subtle" color="gray" onClick={() => set({ compare: null })}>
            Clear
          </Button>
        </div>
      )}
    </>
  );
}

interface Pick {
  compare: string[];
  toggle: (id: string) => void;
  changeOf: (id: string) => Change | undefined;
  deploy: boolean;
}

function CompareBox({ offer: o, compare, toggle }: { offer: Offer } & Pick) {
  const chosen = compare.includes(o.id);
  return (
    <Checkbox
      size="xs"
      aria-label={`Compare ${o.gpuCount} × ${o.gpuType} in ${o.regionName}`}
      checked={chosen}
      disabled={!chosen && compare.length >= compareMost}
      onChange={() => toggle(o.id)}
    />
  );
}

function DeployButton({ offer: o }: { offer: Offer }) {
  if (!o.available) return null;
  return (
    <Button
      component={Link}
      to={`/deploy/${o.id}`}
      size="compact-sm"
      variant="default"
      aria-label={`Deploy ${o.gpuCount} × ${o.gpuType} in ${o.regionName}`}
    >
      Deploy
    </Button>
  );
}

function columns(pick: Pick): Column<Offer>[] {
  const all: Column<Offer>[] = [
    {
      key: 'pick',
      head: <span className="sr">Compare</span>,
      width: '40px',
      cell: (o) => <CompareBox offer={o} {...pick} />,
    },
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
            {o.provider} <Stale offer={o} />
          </span>
        </>
      ),
    },
    {
      key: 'host',
      head: 'Machine',
      from: 860,
      cell: (o) => (
        <>
          <span className="cell-main">
            {o.vcpus} vCPUs · {size(o.memoryGb)} memory
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
      cell: (o) => <Stock offer={o} change={pick.changeOf(o.id)} />,
    },
    {
      key: 'each',
      head: '$ / GPU h',
      sort: 'pricePerGpu',
      width: '104px',
      end: true,
      from: 760,
      cell: (o) => <Money usd={o.hourlyPricePerGpu} most={4} />,
    },
    {
      key: 'price',
      head: '$ / h',
      sort: 'price',
      width: '116px',
      end: true,
      cell: (o) => <Price offer={o} change={pick.changeOf(o.id)} />,
    },
  ];
  if (pick.deploy)
    all.push({
      key: 'go',
      head: <span className="sr">Deploy</span>,
      width: '106px',
      end: true,
      cell: (o) => <DeployButton offer={o} />,
    });
  return all;
}

function Card({ offer: o, ...pick }: { offer: Offer } & Pick) {
  return (
    <div style={{ display: 'grid', gap: 5 }}>
      <div className="card-row">
        <Link to={`/offers/${o.id}`} className="plain-link truncate">
          {o.gpuCount} × {o.gpuType}
        </Link>
        <Price offer={o} change={pick.changeOf(o.id)} per="/h" />
      </div>
      <div className="card-row small dim">
        <span className="truncate">
          {o.regionName} · {o.provider} <Stale offer={o} />
        </span>
        <span>
          <Money usd={o.hourlyPricePerGpu} most={4} per="/h per GPU" />
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
          <CompareBox offer={o} {...pick} />
          <TypeChip type={o.instanceType} />
          <Stock offer={o} change={pick.changeOf(o.id)} words />
        </span>
        {pick.deploy && <DeployButton offer={o} />}
      </div>
    </div>
  );
}

function Nothing({ of, filtered, clear }: { of?: string[]; filtered: boolean; clear: () => void }) {
  const silent = useSilentProviders(of);
  if (!filtered)
    return (
      <EmptyState title="No offers yet" api={{ path: '/api/v1/inventory/offers' }}>
        Offers appear here as soon as a provider's catalog has been read. The operator sees under Operator → Providers
        whether one answers.
      </EmptyState>
    );
  return (
    <EmptyState
      title={
        silent.length > 0
          ? `No offers match while ${silent.map((p) => p.name).join(' and ')} ${silent.length === 1 ? 'is' : 'are'} not answering`
          : 'No offers match'
      }
      action={
        <Button variant="default" onClick={clear}>
          Show all offers, including sold out
        </Button>
      }
    >
      No available machine matches all of these filters. Sold-out offers become available again as others end theirs.
    </EmptyState>
  );
}
