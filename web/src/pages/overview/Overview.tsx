import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { page, type Schema } from '../../api/client';
import { useNow } from '../../api/clock';
import { type Deployment, deploymentsPage } from '../../api/deployments';
import { useLive } from '../../api/events';
import { eventLabels } from '../../api/eventTypes';
import { useCan } from '../../api/session';
import { useUsage, useWallet } from '../../api/wallet';
import { EmptyState } from '../../parts/EmptyState';
import { Figure } from '../../parts/Facts';
import { Loaded } from '../../parts/Loaded';
import { autoTerminatesAt } from '../../parts/limits';
import { Money } from '../../parts/Money';
import { PageHead } from '../../parts/PageHead';
import { Panel } from '../../parts/Panel';
import { useRowLink } from '../../parts/rowLink';
import { Status } from '../../parts/Status';
import { Ago, Time } from '../../parts/Time';
import { runway } from '../../parts/time';
import '../../parts/table.css';
import './overview.css';

const day = 86_400_000;

/** The events that are shown: not each hour's charge and each step. */
const telling = (Object.keys(eventLabels) as (keyof typeof eventLabels)[]).filter(
  (type) => !/\.(charged|refunded|progress|test)$/.test(type),
);

/** The first page: what runs, what it costs, what needs attention, and what happened last. */
export default function Overview() {
  const can = useCan();
  return (
    <>
      <PageHead
        title="Overview"
        actions={
          can('deployments:write') && (
            <Button component={Link} to="/offers">
              New deployment
            </Button>
          )
        }
      />
      {can('wallet:read') && <Figures />}
      {can('deployments:read') && (
        <div className="overview">
          <div className="stack">
            <Running />
            <Attention />
          </div>
          <LatestEvents />
        </div>
      )}
    </>
  );
}

function Figures() {
  const wallet = useWallet();
  const now = useNow(60_000);
  const date = new Date(now);
  const month = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1)).toISOString();
  const usage = useUsage({ groupBy: 'day', from: month });
  const today = date.toISOString().slice(0, 10);
  return (
    <Loaded query={wallet}>
      {(w) => (
        <div className="figures">
          <Figure name="Running" note={w.volumes.length === 1 ? '1 volume' : `${w.volumes.length} volumes`}>
            <Link to="/deployments" className="plain-link">
              {w.activeDeployments.length === 1 ? '1 deployment' : `${w.activeDeployments.length} deployments`}
            </Link>
          </Figure>
          <Figure name="Hourly spend" note="at present">
            <Money usd={w.hourlyCost} />
            <span className="dim">/hr</span>
          </Figure>
          <Figure name="Today" note="UTC, hours begun">
            {usage.data ? <Money usd={usage.data.groups.find((g) => g.key === today)?.cost ?? 0} /> : '…'}
          </Figure>
          <Figure name="This month" note="UTC">
            {usage.data ? <Money usd={usage.data.total} /> : '…'}
          </Figure>
          <Figure
            name="Runway"
            note={
              w.runsDryAt ? (
                <>
                  until <Time at={w.runsDryAt} />
                </>
              ) : (
                'nothing is billed'
              )
            }
          >
            {w.hoursLeft === null ? '–' : `≈ ${runway(w.hoursLeft)}`}
          </Figure>
        </div>
      )}
    </Loaded>
  );
}

/** What runs, the dearest first, and who started it. */
function Running() {
  const live = useLive();
  const can = useCan();
  const rowLink = useRowLink();
  const status: Deployment['status'][] = ['pending', 'deploying', 'running', 'stopped', 'terminating'];
  const list = useQuery(deploymentsPage({ status, sort: ['-hourlyPrice'], page: 1, limit: 8 }, live));
  return (
    <Panel
      title="Deployments"
      bare
      actions={
        <Link to="/deployments" className="link small">
          {list.data && list.data.pagination.total > 8 ? `All ${list.data.pagination.total}` : 'All'}
        </Link>
      }
    >
      <Loaded query={list}>
        {({ rows }) =>
          rows.length === 0 ? (
            <div className="panel-body">
              <EmptyState
                title="Nothing runs"
                action={
                  can('offers:read') && (
                    <Button component={Link} to="/offers" variant="default">
                      Browse offers
                    </Button>
                  )
                }
              >
                Pick an offer and get SSH access in minutes.
              </EmptyState>
            </div>
          ) : (
            <div className="table-wrap">
              <table className="plain-table">
                <caption className="sr">Deployments, the dearest first</caption>
                <thead>
                  <tr>
                    <th scope="col">Name</th>
                    <th scope="col">Status</th>
                    <th scope="col" data-end>
                      Price/hr
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {rows.map((d) => (
                    <tr key={d.id} {...rowLink(`/deployments/${d.id}`)}>
                      <td>
                        <Link to={`/deployments/${d.id}`} className="plain-link">
                          {d.name}
                        </Link>
                        <span className="cell-sub">
                          {d.gpuCount} × {d.gpuType}
                          {d.project && ` · ${d.project}`}
                        </span>
                      </td>
                      <td>
                        <Status value={d.status} />
                        <span className="cell-sub">
                          by {d.createdBy.name}
                          {d.createdBy.type === 'api_key' && ' (API key)'} · <Ago at={d.createdAt} />
                        </span>
                      </td>
                      <td data-end>
                        <Money usd={d.hourlyPrice} rate />
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )
        }
      </Loaded>
    </Panel>
  );
}

/** What ended unasked within a day, and what ends soon. Money has its own banner. */
function Attention() {
  const live = useLive();
  const now = useNow(60_000);
  const failed = useQuery(deploymentsPage({ status: ['failed', 'interrupted'], page: 1, limit: 20 }, live));
  const running = useQuery(deploymentsPage({ status: ['running', 'stopped'], page: 1, limit: 100 }, live));
  const recent = (failed.data?.rows ?? []).filter((d) => now - Date.parse(d.terminatedAt ?? d.createdAt) < day);
  const soon = (running.data?.rows ?? []).filter((d) => Date.parse(autoTerminatesAt(d) ?? '') - now < day);
  return (
    <Panel title="Needs attention">
      {recent.length + soon.length === 0 ? (
        <div className="dim">Nothing needs attention.</div>
      ) : (
        <ul className="overview-list">
          {recent.map((d) => (
            <li key={d.id}>
              <Link to={`/deployments/${d.id}`} className="plain-link">
                {d.name}
              </Link>{' '}
              <Status value={d.status} />
              {d.statusReason && <span className="cell-sub">{d.statusReason}</span>}
            </li>
          ))}
          {soon.map((d) => (
            <li key={d.id}>
              <Link to={`/deployments/${d.id}`} className="plain-link">
                {d.name}
              </Link>{' '}
              terminates <Ago at={autoTerminatesAt(d)} />
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}

function LatestEvents() {
  const live = useLive();
  const events = useQuery({
    queryKey: ['/api/v1/inventory/events', 'latest'],
    queryFn: () =>
      page('/api/v1/inventory/events', {
        params: { query: { limit: 15, type: telling } },
        headers: { Accept: 'application/json' },
      }),
    refetchInterval: live ? 60_000 : 10_000,
  });
  return (
    <Panel title="Latest events">
      <Loaded query={events}>
        {({ rows }) =>
          rows.length === 0 ? (
            <div className="dim">No events yet.</div>
          ) : (
            <ol className="overview-list">
              {(rows as Schema['Event'][]).map((e) => (
                <li key={e.id}>
                  <div className="card-row">
                    <span>
                      <Subject of={e} /> {((eventLabels as Record<string, string>)[e.type] ?? e.type).toLowerCase()}
                    </span>
                    <span className="small dim">
                      <Ago at={e.createdAt} />
                    </span>
                  </div>
                </li>
              ))}
            </ol>
          )
        }
      </Loaded>
    </Panel>
  );
}

/** What an event is about, by name where it has one. */
function Subject({ of: e }: { of: Schema['Event'] }) {
  const name = typeof e.data.name === 'string' ? e.data.name : e.subject;
  if (e.subject.startsWith('dep_'))
    return (
      <Link to={`/deployments/${e.subject}`} className="plain-link">
        {name}
      </Link>
    );
  if (e.subject.startsWith('acc_')) return <>Account:</>;
  return <b>{name}</b>;
}
