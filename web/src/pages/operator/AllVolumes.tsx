import { Button } from '@mantine/core';
import { Link } from 'react-router';
import type { Schema } from '../../api/client';
import { allVolumesPage, allVolumesPath, type OperatorVolume } from '../../api/operator';
import { EmptyState } from '../../parts/EmptyState';
import { formatNumber } from '../../parts/locale';
import { Money } from '../../parts/Money';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import { usePagedRows } from '../../parts/rows';
import { Status } from '../../parts/Status';
import { Ago } from '../../parts/Time';
import { AccountFilter, ProviderFilter, SearchFilter, StatusFilter, useFilters } from './filters';

type VolumeStatus = Schema['Volume']['status'];

/** Every status. A missing or unknown one fails the type check. */
const order: Record<VolumeStatus, number> = {
  creating: 0,
  available: 1,
  attaching: 2,
  attached: 3,
  detaching: 4,
  deleting: 5,
  deleted: 6,
  failed: 7,
};
const statuses = Object.keys(order) as VolumeStatus[];

/** The volumes of all accounts. */
export function AllVolumes() {
  const filters = useFilters();
  const chosen = (filters.get('status') ?? '').split(',');
  const status = statuses.filter((s) => chosen.includes(s));
  const rows = usePagedRows<OperatorVolume>((page, limit) =>
    allVolumesPage({
      search: filters.get('search'),
      status: status.length ? status : undefined,
      provider: filters.get('provider'),
      account: filters.get('account'),
      page,
      limit,
    }),
  );
  return (
    <>
      <search className="filters-row">
        <SearchFilter of={filters} label="Search all volumes" placeholder="Search by name, ID or account" />
        <StatusFilter of={filters} statuses={statuses} none="Not deleted" />
        <ProviderFilter of={filters} />
        <AccountFilter of={filters} />
      </search>
      <ResourceTable
        label="All volumes"
        columns={columns}
        rows={rows}
        rowKey={(v) => v.id}
        name={(v) => v.name}
        rowHeight={56}
        cardHeight={132}
        empty={
          filters.any ? (
            <EmptyState
              title="No volumes match your filters"
              action={
                <Button variant="default" onClick={filters.clear}>
                  Clear filters
                </Button>
              }
            >
              Change or clear the filters to see other volumes.
            </EmptyState>
          ) : (
            <EmptyState title="No volumes yet" api={{ path: allVolumesPath }}>
              Volumes of all accounts appear here.
            </EmptyState>
          )
        }
      />
    </>
  );
}

const columns: Column<OperatorVolume>[] = [
  {
    key: 'name',
    head: 'Volume',
    cell: (v) => (
      <>
        <span className="cell-main strong" title={v.name}>
          {v.name}
        </span>
        <span className="cell-sub mono">{v.id}</span>
      </>
    ),
  },
  {
    key: 'account',
    head: 'Account',
    cell: (v) => (
      <Link
        to={`/operator/volumes?account=${v.accountId}`}
        className="link cell-main"
        title={`Volumes of ${v.accountName}`}
      >
        {v.accountName}
      </Link>
    ),
  },
  { key: 'status', head: 'Status', width: '132px', cell: (v) => <Status value={v.status} /> },
  {
    key: 'place',
    head: 'Region',
    from: 760,
    cell: (v) => (
      <>
        <span className="cell-main">{v.region}</span>
        <span className="cell-sub">{v.provider}</span>
      </>
    ),
  },
  { key: 'size', head: 'Size', width: '110px', end: true, cell: (v) => `${formatNumber(v.sizeGb)} GB` },
  { key: 'created', head: 'Created', width: '120px', from: 860, cell: (v) => <Ago at={v.createdAt} /> },
  { key: 'price', head: 'Price/hr', width: '96px', end: true, cell: (v) => <Money usd={v.hourlyPrice} rate /> },
];
