import { Button, SegmentedControl, Skeleton } from '@mantine/core';
import { useState } from 'react';
import { Link } from 'react-router';
import { useNow } from '../../api/clock';
import { type GroupBy, useUsage } from '../../api/wallet';
import { type Bar, Bars } from '../../parts/Chart';
import { ErrorBox } from '../../parts/ErrorBox';
import { largest } from '../../parts/fit';
import { dateFormat, formatNumber } from '../../parts/locale';
import { formatMoney, type Micro, micro, sum } from '../../parts/money';

const day = 86_400_000;
const short = dateFormat({ day: 'numeric', month: 'short', timeZone: 'UTC' });

/** What was spent: by day as a chart, else as shares. Days are UTC days, as the bill's are. */
export function Spending() {
  const [by, setBy] = useState<GroupBy>('day');
  const [days, setDays] = useState('30');
  const now = useNow(60_000);
  const today = Math.floor(now / day) * day;
  const from = new Date(today - (Number(days) - 1) * day).toISOString();
  const usage = useUsage(by, from);
  const total = usage.data ? formatMoney(micro(usage.data.total), 2, 2) : '…';
  return (
    <section className="panel" aria-labelledby="spending">
      <div className="panel-head">
        <h2 id="spending">
          Spent in {days} days: {total}
        </h2>
        <div style={{ display: 'flex', gap: 8, flexWrap: 'wrap' }}>
          <SegmentedControl
            size="xs"
            aria-label="Days"
            value={days}
            onChange={setDays}
            data={['7', '30', '90'].map((d) => ({ value: d, label: `${d} days` }))}
          />
          <SegmentedControl
            size="xs"
            aria-label="By"
            value={by}
            onChange={(v) => setBy(v as GroupBy)}
            data={[
              { value: 'day', label: 'Day' },
              { value: 'deployment', label: 'Deployment' },
              { value: 'gpuType', label: 'GPU' },
              { value: 'provider', label: 'Provider' },
            ]}
          />
        </div>
      </div>
      <div className="panel-body">
        {!usage.data ? (
          usage.isError ? (
            <ErrorBox error={usage.error} />
          ) : (
            <Skeleton height={200} />
          )
        ) : by === 'day' ? (
          <Bars title="Cost by day (UTC)" bars={everyDay(usage.data.groups, today, Number(days))} />
        ) : usage.data.groups.length === 0 ? (
          <div className="dim">Nothing yet.</div>
        ) : (
          <Shares groups={usage.data.groups} total={micro(usage.data.total)} by={by} />
        )}
      </div>
    </section>
  );
}

/** Days without cost are bars too: a gap in the chart would hide them. */
function everyDay(groups: { key: string; cost: number }[], today: number, days: number): Bar[] {
  const cost = new Map(groups.map((g) => [g.key, micro(g.cost)]));
  return Array.from({ length: days }, (_, i) => {
    const at = today - (days - 1 - i) * day;
    const key = new Date(at).toISOString().slice(0, 10);
    return { key, label: short(at), value: cost.get(key) ?? (0 as Micro) };
  });
}

/** So many rows are shown at first; what is left is one row more. */
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
          const name = g.name ?? (g.key || 'without GPUs');
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
                <span>{formatMoney(cost)}</span>
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
            <span>{formatMoney(sum(...rest.map((g) => micro(g.cost))))}</span>
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
