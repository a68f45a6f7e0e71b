import type { Schema } from '../../api/client';
import { useOperatorProviders } from '../../api/operator';
import { formatPercent } from '../../parts/locale';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import { useListRows } from '../../parts/rows';
import { Chip, Status } from '../../parts/Status';
import { Ago } from '../../parts/Time';

type Provider = Schema['OperatorProvider'];

export function Providers() {
  const rows = useListRows(useOperatorProviders(), {
    sorts: {
      name: (p) => p.name,
      status: (p) => p.status,
      lastSyncAt: (p) => p.lastSyncAt,
      offers: (p) => p.available,
      machines: (p) => p.machines,
      deployments: (p) => p.deployments,
      markup: (p) => p.markupPercent,
    },
    text: (p) => `${p.name} ${p.slug}`,
  });
  return (
    <ResourceTable
      label="Providers"
      columns={columns}
      rows={rows}
      rowKey={(p) => p.slug}
      empty={<div className="panel panel-body dim">No provider is connected yet.</div>}
    />
  );
}

const columns: Column<Provider>[] = [
  {
    key: 'name',
    head: 'Provider',
    sort: 'name',
    cell: (p) => (
      <>
        <span className="cell-main strong">{p.name}</span>
        <span className="cell-sub mono">{p.slug}</span>
      </>
    ),
  },
  {
    key: 'health',
    head: 'Health',
    sort: 'status',
    cell: (p) => (
      <>
        <Status value={p.status} />
        {p.lastError && (
          <span className="cell-sub" title={p.lastError}>
            {p.consecutiveFailures} failed {p.consecutiveFailures === 1 ? 'sync' : 'syncs'}: {p.lastError}
          </span>
        )}
      </>
    ),
  },
  {
    key: 'sync',
    head: 'Last sync',
    sort: 'lastSyncAt',
    width: '130px',
    cell: (p) => (
      <>
        <Ago at={p.lastSyncAt} never="Never" />
        {p.stale && (
          <span className="cell-sub">
            <Chip tone="warn">outdated</Chip>
          </span>
        )}
      </>
    ),
  },
  {
    key: 'offers',
    head: 'Offers',
    sort: 'offers',
    width: '104px',
    end: true,
    cell: (p) => `${p.available} of ${p.offers}`,
  },
  { key: 'machines', head: 'Machines', sort: 'machines', width: '104px', end: true, cell: (p) => p.machines },
  {
    key: 'deployments',
    head: 'Deployments',
    sort: 'deployments',
    width: '126px',
    end: true,
    cell: (p) => p.deployments,
  },
  {
    key: 'markup',
    head: 'Markup',
    sort: 'markup',
    width: '96px',
    end: true,
    cell: (p) => (p.markupPercent === null ? '–' : formatPercent(p.markupPercent)),
  },
];
