import { Button, Select, Textarea } from '@mantine/core';
import { useState } from 'react';
import { Link } from 'react-router';
import type { Schema } from '../../api/client';
import { hasEnded } from '../../api/deployments';
import { useAll, useSend, withId } from '../../api/hooks';
import { allDeploymentsPage, allDeploymentsPath, type OperatorDeployment } from '../../api/operator';
import { useConfirm } from '../../parts/confirm';
import { EmptyState } from '../../parts/EmptyState';
import { Money } from '../../parts/Money';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import type { RowAction } from '../../parts/RowMenu';
import { usePagedRows } from '../../parts/rows';
import { Status } from '../../parts/Status';
import { Ago } from '../../parts/Time';
import { toast } from '../../parts/toast';
import { AccountFilter, ProviderFilter, SearchFilter, StatusFilter, useFilters } from './filters';
import { ServiceCreditDialog } from './ServiceCreditDialog';

type DeploymentStatus = Schema['Deployment']['status'];

/** Every status. A missing or unknown one fails the type check. */
const order: Record<DeploymentStatus, number> = {
  pending: 0,
  deploying: 1,
  running: 2,
  stopped: 3,
  terminating: 4,
  terminated: 5,
  failed: 6,
  interrupted: 7,
};
const statuses = Object.keys(order) as DeploymentStatus[];

/** The deployments of all accounts. */
export function AllDeployments() {
  const filters = useFilters();
  const gpuTypes = useAll('/api/v1/inventory/gpu-types').data ?? [];
  const chosen = (filters.get('status') ?? '').split(',');
  const status = statuses.filter((s) => chosen.includes(s));
  const rows = usePagedRows<OperatorDeployment>((page, limit) =>
    allDeploymentsPage({
      search: filters.get('search'),
      status: status.length ? status : undefined,
      provider: filters.get('provider'),
      account: filters.get('account'),
      gpuType: filters.get('gpuType'),
      page,
      limit,
    }),
  );
  const terminate = useSend('post', `${allDeploymentsPath}/{id}/terminate`);
  const confirm = useConfirm();
  const [credited, setCredited] = useState<OperatorDeployment | null>(null);
  const end = (d: OperatorDeployment) =>
    confirm({
      title: `Terminate ${d.name} of ${d.accountName}?`,
      body: (
        <>
          The machine and its data are lost, and billing ends at once. Minimum runtime and termination protection do not
          apply.
          <Textarea name="reason" label="Reason" description="Shown to the account" mt="sm" required data-autofocus />
        </>
      ),
      action: 'Terminate',
      danger: true,
      run: async (form) => {
        const reason = String(form.get('reason')).replace(/\s+/g, ' ').trim();
        await terminate.mutateAsync({ ...withId(d.id), body: { reason } });
        toast(`${d.name} is being terminated`);
      },
    });
  const actions = (d: OperatorDeployment): RowAction[] => [
    ...(d.startedAt ? [{ text: 'Create service credit', run: () => setCredited(d) }] : []),
    ...(hasEnded(d) || d.status === 'terminating' ? [] : [{ text: 'Terminate', danger: true, run: () => end(d) }]),
  ];
  return (
    <>
      <search className="filters-row">
        <SearchFilter
          of={filters}
          label="Search all deployments"
          placeholder="Search by name, ID, address or account"
        />
        <StatusFilter of={filters} statuses={statuses} none="Any status" />
        <ProviderFilter of={filters} />
        <Select
          aria-label="GPU type"
          placeholder="Any GPU"
          data={[...new Set(gpuTypes.map((g) => g.gpuType))]} // one type may have several memory sizes
          value={filters.get('gpuType') ?? null}
          onChange={(v) => filters.set('gpuType', v ?? '')}
          clearable
          clearButtonProps={{ 'aria-label': 'Clear GPU type' }}
        />
        <AccountFilter of={filters} />
      </search>
      <ResourceTable
        label="All deployments"
        columns={columns}
        rows={rows}
        rowKey={(d) => d.id}
        name={(d) => d.name}
        actions={actions}
        rowHeight={64}
        cardHeight={132}
        quiet={hasEnded}
        card={(d, menu) => (
          <div style={{ display: 'grid', gap: 5 }}>
            <div className="card-row">
              <span className="strong truncate">{d.name}</span>
              <Status value={d.status} />
            </div>
            <div className="small dim truncate">
              {d.accountName} · {d.gpuCount} × {d.gpuType} · {d.provider}
            </div>
            <div className="card-row small">
              <Money usd={d.hourlyPrice} per="/hr" />
              {menu}
            </div>
          </div>
        )}
        empty={
          filters.any ? (
            <EmptyState
              title="No deployments match your filters"
              action={
                <Button variant="default" onClick={filters.clear}>
                  Clear filters
                </Button>
              }
            >
              Change or clear the filters to see other deployments.
            </EmptyState>
          ) : (
            <EmptyState title="No deployments yet" api={{ path: allDeploymentsPath }}>
              Deployments of all accounts appear here.
            </EmptyState>
          )
        }
      />
      {credited && <ServiceCreditDialog of={credited} onClose={() => setCredited(null)} />}
    </>
  );
}

const columns: Column<OperatorDeployment>[] = [
  {
    key: 'name',
    head: 'Deployment',
    cell: (d) => (
      <>
        <span className="cell-main strong" title={d.name}>
          {d.name}
        </span>
        <span className="cell-sub mono">{d.id}</span>
      </>
    ),
  },
  {
    key: 'account',
    head: 'Account',
    cell: (d) => (
      <Link
        to={`/operator/deployments?account=${d.accountId}`}
        className="link cell-main"
        title={`Deployments of ${d.accountName}`}
      >
        {d.accountName}
      </Link>
    ),
  },
  {
    key: 'status',
    head: 'Status',
    width: '150px',
    cell: (d) => (
      <>
        <Status value={d.status} />
        {d.statusReason && (
          <span className="cell-sub" title={d.statusReason}>
            {d.statusReason}
          </span>
        )}
      </>
    ),
  },
  {
    key: 'gpu',
    head: 'GPUs',
    from: 760,
    cell: (d) => (
      <>
        <span className="cell-main">
          {d.gpuCount} × {d.gpuType}
        </span>
        <span className="cell-sub">
          {d.region} · {d.provider}
        </span>
      </>
    ),
  },
  {
    key: 'address',
    head: 'Address',
    from: 980,
    width: '140px',
    cell: (d) => (d.ipAddress ? <span className="mono">{d.ipAddress}</span> : <span className="dim">–</span>),
  },
  { key: 'created', head: 'Created', width: '120px', from: 860, cell: (d) => <Ago at={d.createdAt} /> },
  { key: 'price', head: 'Price/hr', width: '96px', end: true, cell: (d) => <Money usd={d.hourlyPrice} rate /> },
];
