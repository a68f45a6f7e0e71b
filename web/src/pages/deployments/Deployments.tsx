import { Button, MultiSelect, TextInput } from '@mantine/core';
import { useMemo } from 'react';
import { Link, useSearchParams } from 'react-router';
import { type Deployment, type DeploymentQuery, deploymentsPage, ended } from '../../api/deployments';
import { useLive } from '../../api/events';
import { useRegionName } from '../../api/offers';
import { useCan } from '../../api/session';
import { SearchIcon } from '../../app/icons';
import { CopyButton } from '../../parts/Copy';
import { type Column, DataTable } from '../../parts/DataTable';
import { EmptyState } from '../../parts/EmptyState';
import { ErrorBox } from '../../parts/ErrorBox';
import { Money } from '../../parts/Money';
import { PageHead } from '../../parts/PageHead';
import { ProviderNotice } from '../../parts/ProviderNotice';
import { usePagedRows } from '../../parts/pages';
import { PageSkeleton } from '../../parts/Skeletons';
import { Chip, Status } from '../../parts/Status';
import { Ago, Elapsed } from '../../parts/Time';
import { useTyped } from '../../parts/typed';
import './deployments.css';

const statuses: Deployment['status'][] = [
  'pending',
  'deploying',
  'running',
  'stopped',
  'terminating',
  'terminated',
  'failed',
  'interrupted',
];

export default function Deployments() {
  const [params, setParams] = useSearchParams();
  const live = useLive();
  const can = useCan();
  const set = (name: string, value: string) =>
    setParams(
      (old) => {
        const next = new URLSearchParams(old);
        if (value) next.set(name, value);
        else next.delete(name);
        return next;
      },
      { replace: true },
    );
  const query = useMemo((): DeploymentQuery => {
    const wanted = (params.get('status') ?? '').split(',');
    const sort = params.get('sort');
    return {
      status: statuses.filter((s) => wanted.includes(s)),
      tag: params.get('tag') ?? undefined,
      search: params.get('search') ?? undefined,
      sort: sort === 'name' || sort === '-name' || sort === 'createdAt' ? sort : '-createdAt',
    };
  }, [params]);
  const list = usePagedRows<Deployment>((page, limit) =>
    deploymentsPage({ ...query, status: query.status?.length ? query.status : undefined, page, limit }, live),
  );
  const filtered = !!(query.status?.length || query.tag || query.search);
  return (
    <>
      <PageHead
        title="Deployments"
        actions={
          can('deployments:write') &&
          list.total > 0 && (
            <Button component={Link} to="/offers">
              Deploy another
            </Button>
          )
        }
      />
      {(list.total > 0 || filtered) && (
        <search className="filters-row">
          <Search value={query.search ?? ''} onChange={(text) => set('search', text)} />
          <MultiSelect
            aria-label="Status"
            placeholder={query.status?.length ? undefined : 'Any status'}
            data={statuses}
            value={query.status ?? []}
            onChange={(v) => set('status', v.join(','))}
            clearable
            clearButtonProps={{ 'aria-label': 'Any status' }}
            className="status-filter"
          />
          {query.tag && (
            <Button
              variant="default"
              size="compact-md"
              onClick={() => set('tag', '')}
              aria-label={`Tag ${query.tag}: any instead`}
            >
              tag: {query.tag} ✕
            </Button>
          )}
        </search>
      )}
      <ProviderNotice
        of={[...new Set(list.rows.filter((d) => !ended(d)).map((d) => d.provider))]}
        meaning="Deployments there may be working: try SSH. Their status may be out of date, and changes to them wait until the provider answers."
      />
      {list.error ? (
        <ErrorBox error={list.error} retry={list.retry} />
      ) : list.loading && list.total === 0 ? (
        <PageSkeleton />
      ) : list.total === 0 ? (
        filtered ? (
          <EmptyState
            title="No deployments match"
            action={
              <Button variant="default" onClick={() => setParams({}, { replace: true })}>
                Show all
              </Button>
            }
          >
            No deployment of yours fits these filters.
          </EmptyState>
        ) : (
          <First />
        )
      ) : (
        <DataTable
          label="Deployments"
          columns={columns}
          count={list.total}
          row={list.row}
          rowKey={(d) => d.id}
          onRange={list.onRange}
          card={(d) => <Card of={d} />}
          cardHeight={104}
          rowHeight={56}
          sort={query.sort}
          onSort={(sort) => set('sort', sort === '-createdAt' ? '' : sort)}
          quiet={ended}
        />
      )}
    </>
  );
}

function Search({ value, onChange }: { value: string; onChange: (text: string) => void }) {
  const [text, type] = useTyped(value, onChange);
  return (
    <TextInput
      type="search"
      aria-label="Search deployments by name"
      placeholder="Search by name"
      leftSection={<SearchIcon />}
      value={text}
      onChange={(e) => type(e.currentTarget.value)}
      className="filter-search"
    />
  );
}

function First() {
  const can = useCan();
  return (
    <EmptyState
      title="Nothing has been deployed yet"
      action={
        can('deployments:write') && (
          <Button component={Link} to="/offers">
            Browse offers
          </Button>
        )
      }
      api={{
        method: 'POST',
        path: '/api/v1/inventory/deployments',
        body: {
          offerId: 'off_…',
          name: 'my-training-run',
          operatingSystem: 'Ubuntu 22.04',
          ssh_public_key: 'ssh-ed25519 AAAA… you@laptop',
        },
      }}
    >
      Choose an offer, and a machine of your own answers SSH some minutes later. It is billed by the hour from then on.
    </EmptyState>
  );
}

/** How long it has run; nothing where it never did. */
function Runtime({ of: d }: { of: Deployment }) {
  if (!d.startedAt) return <span className="dim">–</span>;
  return <Elapsed since={d.startedAt} until={d.billedUntil ?? d.terminatedAt} />;
}

function Region({ slug }: { slug: string }) {
  return <>{useRegionName()(slug)}</>;
}

function Address({ of: d }: { of: Deployment }) {
  if (d.sshCommand && !ended(d))
    return (
      <span className="fingerprint">
        <span className="mono truncate">{d.ipAddress}</span>
        <CopyButton value={d.sshCommand} label={`SSH command of ${d.name}`} />
      </span>
    );
  if (ended(d)) return <span className="dim">–</span>;
  const active = d.steps.find((s) => s.status === 'active');
  return <span className="dim">{active?.detail ?? active?.name ?? ''}</span>;
}

const columns: Column<Deployment>[] = [
  {
    key: 'name',
    head: 'Name',
    sort: 'name',
    cell: (d) => (
      <>
        <Link to={`/deployments/${d.id}`} className="plain-link cell-main">
          {d.name}
        </Link>
        <span className="cell-sub">
          {d.tags.length > 0 ? d.tags.map((t) => <Chip key={t}>{t}</Chip>) : d.operatingSystem}
        </span>
      </>
    ),
  },
  { key: 'status', head: 'Status', width: '132px', cell: (d) => <Status value={d.status} /> },
  {
    key: 'gpu',
    head: 'GPUs',
    cell: (d) => (
      <>
        <span className="cell-main">
          {d.gpuCount} × {d.gpuType}
        </span>
        <span className="cell-sub">
          <Region slug={d.region} /> · {d.provider}
        </span>
      </>
    ),
  },
  { key: 'address', head: 'Address', from: 820, cell: (d) => <Address of={d} /> },
  {
    key: 'created',
    head: 'Created',
    sort: 'createdAt',
    width: '132px',
    from: 980,
    cell: (d) => <Ago at={d.createdAt} />,
  },
  {
    key: 'runtime',
    head: 'Runtime',
    width: '116px',
    from: 720,
    end: true,
    cell: (d) => <Runtime of={d} />,
  },
  { key: 'price', head: '$ / h', width: '96px', end: true, cell: (d) => <Money usd={d.hourlyPrice} /> },
  {
    key: 'cost',
    head: 'Charged',
    width: '116px',
    end: true,
    from: 760,
    cell: (d) => <Money usd={d.costToDate} most={2} />,
  },
];

function Card({ of: d }: { of: Deployment }) {
  return (
    <div style={{ display: 'grid', gap: 5 }}>
      <div className="card-row">
        <Link to={`/deployments/${d.id}`} className="plain-link truncate">
          {d.name}
        </Link>
        <Status value={d.status} />
      </div>
      <div className="small dim truncate">
        {d.gpuCount} × {d.gpuType} · <Region slug={d.region} />
      </div>
      <div className="card-row small">
        <span style={{ minWidth: 0, overflow: 'hidden' }}>
          <Address of={d} />
        </span>
        <Money usd={d.hourlyPrice} per="/h" />
      </div>
    </div>
  );
}
