import { Button, SegmentedControl, Skeleton } from '@mantine/core';
import { useState } from 'react';
import { Link } from 'react-router';
import { useNow } from '../../api/clock';
import { type GroupBy, useUsage } from '../../api/wallet';
import { type Bar, Bars } from '../../parts/Chart';
import { largest } from '../../parts/fit';
import { Loaded } from '../../parts/Loaded';
import { dateFormat, formatNumber } from '../../parts/locale';
import { Money } from '../../parts/Money';
import { type Micro, micro, sum } from '../../parts/money';
import { Panel } from '../../parts/Panel';

const day = 86_400_000;
const groups: Record<GroupBy, string> = {
  day: 'Day',
  deployment: 'Deployment',
  gpuType: 'GPU',
  provider: 'Provider',
};
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
          <SegmentedControl
            size="xs"
            aria-label="Group by"
            value={by}
            onChange={(v) => setBy(v as GroupBy)}
            data={Object.entries(groups).map(([value, label]) => ({ value, label }))}
          />
        </div>
      }
    >
      <Loaded query={usage} loading={<Skeleton height={200} />}>
        {(u) =>
          by === 'day' ? (
            <Bars title="Cost by day (UTC)" bars={everyDay(u.groups, today, Number(days))} />
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

/** Days without cost are bars too, so that the chart has no gaps. */
function everyDay(groups: { key: string; cost: number }[], today: number, days: number): Bar[] {
  const cost = new Map(groups.map((g) => [g.key, micro(g.cost)]));
  return Array.from({ length: days }, (_, i) => {
    const at = today - (days - 1 - i) * day;
    const key = new Date(at).toISOString().slice(0, 10);
    return { key, label: short(at), value: cost.get(key) ?? (0 as Micro) };
  });
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
          const name = g.name ?? (g.key || 'No GPU');
          return (
            <li key={g.key}>
              <div className="card-row">
                <span className="truncate">
                  {by === 'deployment' && g.key.startsWith('dep_') ? (
                    <Link to={`/deployments/${g.key}`} className="plain-link">
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
