import { Button } from '@mantine/core';
import { useMemo, useState } from 'react';
import { Link, useSearchParams } from 'react-router';
import { bulkPath, type Deployment, type DeploymentQuery, deploymentsPage, hasEnded } from '../../api/deployments';
import { asApiError } from '../../api/error';
import { useLive } from '../../api/events';
import { useSend } from '../../api/hooks';
import { useRegionName } from '../../api/offers';
import { useCan } from '../../api/session';
import { CopyButton } from '../../parts/Copy';
import { EmptyState } from '../../parts/EmptyState';
import { Money } from '../../parts/Money';
import { PageHead } from '../../parts/PageHead';
import { ProviderNotice } from '../../parts/ProviderNotice';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import { usePagedRows, useSelection } from '../../parts/rows';
import { Chip, Status } from '../../parts/Status';
import { Ago, Elapsed } from '../../parts/Time';
import { toast } from '../../parts/toast';
import { BulkAutoTerminate } from './BulkAutoTerminate';
import { BulkTags } from './BulkTags';
import { BulkTerminate } from './BulkTerminate';
import { Filters } from './Filters';
import { bulkFilterOf, chosenStatuses, filterNames, isActive, queryOf, sortOf } from './filters';
import './deployments.css';

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
  const query = useMemo(() => queryOf(params), [params]);
  const rows = usePagedRows<Deployment>((page, limit) => deploymentsPage({ ...query, page, limit }, live));
  const filtered = ['status', 'search', ...filterNames].some((n) => params.get(n));
  // A selection is of the rows that were in view: other filters begin with none.
  const { sort: _, ...filters } = query;
  const selection = useSelection(500, JSON.stringify(filters));
  const [bulk, setBulk] = useState<'terminate' | 'addTags' | 'removeTags' | 'autoTerminate' | null>(null);
  const done = () => {
    setBulk(null);
    selection.clear();
  };
  return (
    <>
      <PageHead
        title="Deployments"
        actions={
          can('deployments:write') &&
          rows.count > 0 && (
            <Button component={Link} to="/offers">
              New deployment
            </Button>
          )
        }
      />
      {(rows.count > 0 || filtered) && (
        <Filters
          params={params}
          set={set}
          onView={(view) => setParams(new URLSearchParams(view), { replace: true })}
          rows={rows.loaded}
        />
      )}
      <ProviderNotice
        of={[...new Set(rows.loaded.filter((d) => !hasEnded(d)).map((d) => d.provider))]}
        meaning="Machines there may be running: try SSH. Their status may be outdated. Changes wait for the provider."
      />
      <ResourceTable
        label="Deployments"
        columns={columns}
        rows={{ ...rows, sort: sortOf(params), onSort: (sort) => set('sort', sort === '-createdAt' ? '' : sort) }}
        rowKey={(d) => d.id}
        empty={
          filtered ? (
            <EmptyState
              title="No deployments match your filters"
              action={
                <Button variant="default" onClick={() => setParams({}, { replace: true })}>
                  Clear filters
                </Button>
              }
            >
              Change or clear the filters to see other deployments.
            </EmptyState>
          ) : (
            <First ended={() => set('status', 'all')} />
          )
        }
        card={(d) => <Card of={d} />}
        cardHeight={104}
        rowHeight={56}
        quiet={hasEnded}
        href={(d) => `/deployments/${d.id}`}
        selection={
          can('deployments:write')
            ? {
                ...selection,
                label: (d) => `Select ${d.name}`,
                possible: (d) => !hasEnded(d),
                actions: (
                  <>
                    <Button size="compact-sm" variant="default" onClick={() => setBulk('addTags')}>
                      Add tags
                    </Button>
                    <Button size="compact-sm" variant="default" onClick={() => setBulk('removeTags')}>
                      Remove tags
                    </Button>
                    <Button size="compact-sm" variant="default" onClick={() => setBulk('autoTerminate')}>
                      Set auto-termination
                    </Button>
                    <Button
                      size="compact-sm"
                      variant="default"
                      className="danger-button"
                      onClick={() => setBulk('terminate')}
                    >
                      Terminate selected
                    </Button>
                  </>
                ),
                more: bulkFilterOf(query).status?.length !== 0 && (
                  <SelectAll
                    of={query}
                    total={chosenStatuses(params).every(isActive) ? rows.count : null}
                    chosen={selection.chosen.length}
                    choose={selection.choose}
                  />
                ),
              }
            : undefined
        }
      />
      {bulk === 'terminate' && <BulkTerminate ids={selection.chosen} onClose={() => setBulk(null)} onDone={done} />}
      {bulk === 'autoTerminate' && (
        <BulkAutoTerminate ids={selection.chosen} onClose={() => setBulk(null)} onDone={done} />
      )}
      {(bulk === 'addTags' || bulk === 'removeTags') && (
        <BulkTags
          ids={selection.chosen}
          action={bulk}
          known={[...new Set(rows.loaded.flatMap((d) => d.tags))]}
          onClose={() => setBulk(null)}
          onDone={done}
        />
      )}
    </>
  );
}

interface SelectAllProps {
  of: DeploymentQuery;
  /** How many match; null where the list has ended ones too. */
  total: number | null;
  chosen: number;
  choose: (ids: string[]) => void;
}

/** Selects every deployment that the list's filters match, and not only those that are loaded. */
function SelectAll({ of: query, total, chosen, choose }: SelectAllProps) {
  const preview = useSend('post', bulkPath);
  if (total !== null && chosen >= total) return null;
  const all = () =>
    preview.mutate(
      { body: { action: 'terminate', filter: bulkFilterOf(query), dryRun: true } },
      {
        onSuccess: ({ results }) => choose(results.map((r) => r.id)),
        onError: (error) => toast(asApiError(error).message),
      },
    );
  return (
    <Button size="compact-sm" variant="default" loading={preview.isPending} onClick={all}>
      {total === null ? 'Select all active that match' : `Select all ${total} that match`}
    </Button>
  );
}

function First({ ended }: { ended: () => void }) {
  const can = useCan();
  return (
    <EmptyState
      title="No active deployments"
      action={
        <>
          {can('deployments:write') && (
            <Button component={Link} to="/offers">
              Browse offers
            </Button>
          )}{' '}
          <Button variant="default" onClick={ended}>
            Show ended ones
          </Button>
        </>
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
      Pick an offer and get SSH access in minutes. Billing starts when the machine is ready.
    </EmptyState>
  );
}

/** How long the machine has run; "–" where it never did. */
function Uptime({ of: d }: { of: Deployment }) {
  if (!d.startedAt) return <span className="dim">–</span>;
  return <Elapsed since={d.startedAt} until={d.billedUntil ?? d.terminatedAt} />;
}

function Region({ slug }: { slug: string }) {
  return <>{useRegionName()(slug)}</>;
}

function Address({ of: d }: { of: Deployment }) {
  if (d.sshCommand && !hasEnded(d))
    return (
      <span className="fingerprint">
        <span className="mono truncate">{d.ipAddress}</span>
        <CopyButton value={d.sshCommand} label={`SSH command of ${d.name}`} />
      </span>
    );
  if (hasEnded(d)) return <span className="dim">–</span>;
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
          {d.project && <>{d.project} </>}
          {d.tags.length > 0 ? d.tags.map((t) => <Chip key={t}>{t}</Chip>) : !d.project && d.operatingSystem}
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
    width: '140px',
    from: 980,
    cell: (d) => (
      <>
        <Ago at={d.createdAt} />
        <span className="cell-sub">by {d.createdBy.name}</span>
      </>
    ),
  },
  {
    key: 'uptime',
    head: 'Uptime',
    width: '116px',
    from: 720,
    end: true,
    cell: (d) => <Uptime of={d} />,
  },
  {
    key: 'price',
    head: 'Price/hr',
    sort: 'hourlyPrice',
    width: '104px',
    end: true,
    cell: (d) => <Money usd={d.hourlyPrice} rate />,
  },
  {
    key: 'cost',
    head: 'Total cost',
    sort: 'costToDate',
    width: '116px',
    end: true,
    from: 760,
    cell: (d) => <Money usd={d.costToDate} />,
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
        <Money usd={d.hourlyPrice} per="/hr" />
      </div>
    </div>
  );
}
