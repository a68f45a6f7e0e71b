import { Button, SegmentedControl, Select, Skeleton } from '@mantine/core';
import { useState } from 'react';
import { Link } from 'react-router';
import { useNow } from '../../api/clock';
import { type GroupBy, useUsage, useWallet } from '../../api/wallet';
import { type Bar, Bars } from '../../parts/Chart';
import { largest } from '../../parts/fit';
import { Loaded } from '../../parts/Loaded';
import { dateFormat, formatNumber } from '../../parts/locale';
import { Money } from '../../parts/Money';
import { formatTotal, type Micro, micro, sum } from '../../parts/money';
import { Panel } from '../../parts/Panel';

const day = 86_400_000;
const groups: Record<GroupBy, string> = {
  day: 'Day',
  deployment: 'Deployment',
  gpuType: 'GPU',
  provider: 'Provider',
  project: 'Project',
  tag: 'Tag',
  member: 'Member',
  apiKey: 'API key',
};
/** What the costs are called that belong to no group. */
const none: Partial<Record<GroupBy, string>> = {
  gpuType: 'No GPU',
  project: 'No project',
  tag: 'No tag',
  member: 'Not created by a member',
  apiKey: 'Not created by an API key',
};
const monthOf = dateFormat({ month: 'long', timeZone: 'UTC' });
const short = dateFormat({ day: 'numeric', month: 'short', timeZone: 'UTC' });

/**
 * The spending by day as a chart, or by another group as shares. Days are UTC days, as in billing.
 */
export function Spending() {
  const [by, setBy] = useState<GroupBy>('day');
  const [days, setDays] = useState('30');
  const now = useNow(60_000);
  const today = Math.floor(now / day) * day;
  const from = new Date(today - (Number(days) - 1) * day).toISOString();
  const usage = useUsage(by, from);
  return (
    <Panel
      title={
        <>
          Last {days} days: {usage.data ? <Money usd={usage.data.total} /> : '…'}
        </>
      }
      actions={
        <div style={{ display: 'flex', gap: 8, flexWrap: 'wrap' }}>
          <SegmentedControl
            size="xs"
            aria-label="Period"
            value={days}
            onChange={setDays}
            data={['7', '30', '90'].map((d) => ({ value: d, label: `${d} days` }))}
          />
          <Select
            size="xs"
            w={130}
            aria-label="Group by"
            value={by}
            onChange={(v) => setBy((v ?? 'day') as GroupBy)}
            data={Object.entries(groups).map(([value, label]) => ({ value, label }))}
            allowDeselect={false}
          />
          <Button component="a" href={focusUrl(from)} download variant="default" size="xs" title="CSV for cost tools">
            Export FOCUS
          </Button>
        </div>
      }
    >
      <Loaded query={usage} loading={<Skeleton height={200} />}>
        {(u) =>
          by === 'day' ? (
            <>
              <Bars title="Cost by day (UTC)" bars={everyDay(u.groups, today, Number(days))} />
              <Forecast />
            </>
          ) : u.groups.length === 0 ? (
            <div className="dim">No spending yet.</div>
          ) : (
            <Shares groups={u.groups} total={micro(u.total)} by={by} />
          )
        }
      </Loaded>
    </Panel>
  );
}

/** What the month will cost: what was charged so far, and what runs now until its known end. */
function Forecast() {
  const { forecast } = useWallet().data ?? {};
  const end = forecast && new Date(forecast.until);
  const from = end ? new Date(Date.UTC(end.getUTCFullYear(), end.getUTCMonth() - 1, 1)).toISOString() : '';
  const spent = useUsage('day', from, from !== '').data?.total;
  if (!forecast || spent === undefined) return null;
  return (
    <div className="small dim">
      {monthOf(from)}: <Money usd={spent} /> so far. Forecast:{' '}
      <b>{formatTotal(sum(micro(spent), micro(forecast.charges)))}</b> by the end of the month, if what runs now
      continues until its known end.
    </div>
  );
}

/** The hours since then, in the format of FOCUS. */
function focusUrl(from: string): string {
  return `/api/v1/inventory/wallet/usage?${new URLSearchParams({ format: 'focus', from })}`;
}

/** Days without cost are bars too, so that the chart has no gaps. */
function everyDay(groups: { key: string; cost: number }[], today: number, days: number): Bar[] {
  const cost = new Map(groups.map((g) => [g.key, micro(g.cost)]));
  return Array.from({ length: days }, (_, i) => {
    const at = today - (days - 1 - i) * day;
    const key = new Date(at).toISOString().slice(0, 10);
    return { key, label: short(at), value: cost.get(key) ?? (0 as Micro) };
  });
}

/** The page that shows what a group consists of. */
function pageOf(by: GroupBy, key: string): string | null {
  if (!key) return null;
  if (by === 'deployment') return key.startsWith('dep_') ? `/deployments/${key}` : null;
  const filter = { project: 'project', tag: 'tag', member: 'createdBy', apiKey: 'createdBy', provider: 'provider' }[
    by as string
  ];
  return filter ? `/deployments?${filter}=${encodeURIComponent(key)}&status=all` : null;
}

/** The rows shown at first. The rest is one more row. */
const most = 10;

function Shares({
  groups,
  total,
  by,
}: {
  groups: { key: string; name: string | null; cost: number }[];
  total: Micro;
  by: GroupBy;
}) {
  const [all, setAll] = useState(false);
  const { shown, rest } = largest(groups, (g) => g.cost, all ? groups.length : most);
  return (
    <>
      <ul className="shares" aria-label="Cost" tabIndex={all ? 0 : undefined} data-all={all || undefined}>
        {shown.map((g) => {
          const cost = micro(g.cost);
          const name = g.name ?? (g.key || (none[by] ?? 'Other'));
          return (
            <li key={g.key}>
              <div className="card-row">
                <span className="truncate">
                  {pageOf(by, g.key) ? (
                    <Link to={pageOf(by, g.key) ?? ''} className="plain-link">
                      {name}
                    </Link>
                  ) : (
                    name
                  )}
                </span>
                <Money amount={cost} />
              </div>
              <div className="meter" aria-hidden="true">
                <span style={{ width: `${total > 0 ? Math.max(1, (cost / total) * 100) : 0}%` }} />
              </div>
            </li>
          );
        })}
        {rest.length > 0 && (
          <li className="card-row dim">
            <span>{formatNumber(rest.length)} others</span>
            <Money amount={sum(...rest.map((g) => micro(g.cost)))} />
          </li>
        )}
      </ul>
      {(rest.length > 0 || all) && (
        <Button variant="subtle" color="gray" size="compact-sm" mt="sm" onClick={() => setAll(!all)}>
          {all ? `Show the ${most} largest` : `Show all ${formatNumber(groups.length)}`}
        </Button>
      )}
    </>
  );
}
