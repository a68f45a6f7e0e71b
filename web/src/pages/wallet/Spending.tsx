import { Button, Select, Skeleton } from '@mantine/core';
import { useState } from 'react';
import { useNow } from '../../api/clock';
import { type GroupBy, type UsageQuery, usageFile, useUsage, useWallet } from '../../api/wallet';
import { Bars } from '../../parts/Chart';
import { Loaded } from '../../parts/Loaded';
import { dateFormat } from '../../parts/locale';
import { Money } from '../../parts/Money';
import { formatTotal, micro, sum } from '../../parts/money';
import { Panel } from '../../parts/Panel';
import { barsOf, day, type Period, periodOf, periodsAt, seriesOf, tagKeys } from './days';
import { Shares } from './Shares';

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
/** What the costs of no group are called. */
const none: Partial<Record<GroupBy, string>> = {
  gpuType: 'No GPU',
  project: 'No project',
  tag: 'No tag',
  member: 'Not created by a member',
  apiKey: 'Not created by an API key',
};
const monthOf = dateFormat({ month: 'long', timeZone: 'UTC' });

/** The spending of a period by day, divided into groups. */
export function Spending() {
  const [by, setBy] = useState<GroupBy>('day');
  const [tagKey, setTagKey] = useState('');
  const [choice, setChoice] = useState('30');
  const [table, setTable] = useState(false);
  const now = useNow(60_000);
  const { days, months } = periodsAt(now);
  const period = periodOf(choice, now);
  const daily = by !== 'day' && by !== 'deployment' && (by !== 'tag' || tagKey !== '');
  const interval = {
    from: new Date(period.from).toISOString(),
    ...(period.to && { to: new Date(period.to).toISOString() }),
  };
  const query: UsageQuery = {
    groupBy: by,
    ...(by === 'tag' && tagKey && { tagKey }),
    ...(daily && { daily: true }),
    ...interval,
  };
  const usage = useUsage(query);
  const tags = useUsage({ groupBy: 'tag', ...interval }, by === 'tag').data?.groups ?? [];
  const keys = tagKeys(tags.map((g) => g.key));
  return (
    <Panel
      title={
        <>
          {period.title}: {usage.data ? <Money usd={usage.data.total} /> : '…'}
        </>
      }
      actions={
        <div style={{ display: 'flex', gap: 8, flexWrap: 'wrap' }}>
          <Select
            size="xs"
            w={150}
            aria-label="Period"
            value={choice}
            onChange={(v) => setChoice(v ?? '30')}
            data={[
              { group: 'Until today', items: days.map((d) => ({ value: d, label: `Last ${d} days` })) },
              { group: 'Months', items: months },
            ]}
            allowDeselect={false}
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
          {by === 'tag' && (keys.length > 0 || tagKey) && (
            <Select
              size="xs"
              w={130}
              aria-label="Tag key"
              value={tagKey}
              onChange={(v) => setTagKey(v ?? '')}
              data={[
                { value: '', label: 'All tags' },
                ...[...new Set([...keys, ...(tagKey ? [tagKey] : [])])].map((k) => ({ value: k, label: k })),
              ]}
              allowDeselect={false}
            />
          )}
        </div>
      }
    >
      <Loaded query={usage} loading={<Skeleton height={200} />}>
        {(u) => {
          const names = new Map(u.groups.map((g) => [g.key, g.name]));
          const nameOf = (key: string) =>
            key === '' ? nameOfNone(by, tagKey) : (names.get(key) ?? (tagKey && by === 'tag' ? tagValue(key) : key));
          const series = daily ? seriesOf(u.groups, nameOf) : undefined;
          const cells = by === 'day' ? u.groups.map((g) => ({ day: g.key, key: '', cost: g.cost })) : u.days;
          return (
            <>
              {(by === 'day' || (series && series.length > 0)) && (
                <Days period={period} series={series} cells={cells} table={table} by={by} />
              )}
              {by !== 'day' &&
                (u.groups.length === 0 ? (
                  <div className="dim">No spending in this period.</div>
                ) : (
                  <Shares groups={u.groups} total={micro(u.total)} by={by} nameOf={nameOf} series={series} />
                ))}
              {by === 'tag' && !tagKey && u.groups.length > 0 && (
                <div className="small dim">
                  A deployment with several tags counts for each.
                  {keys.length > 0 && ' Choose a tag key to see each day.'}
                </div>
              )}
            </>
          );
        }}
      </Loaded>
      <div className="spending-foot">
        {(by === 'day' || daily) && (
          <Button variant="default" size="xs" onClick={() => setTable(!table)}>
            {table ? 'Show as chart' : 'Show as table'}
          </Button>
        )}
        <Button
          component="a"
          href={usageFile({ ...textOf(query), format: 'csv' })}
          download
          variant="default"
          size="xs"
          title="The groups of this period; also by day if the chart shows days"
        >
          Download CSV
        </Button>
        <Button
          component="a"
          href={usageFile({ ...textOf(interval), format: 'focus' })}
          download
          variant="default"
          size="xs"
          title="CSV for cost tools"
        >
          Export FOCUS
        </Button>
        <span className="small dim">
          An hour and its refund count toward the day (UTC) on which the hour began. Invoices show a refund in the month
          in which it was made.
        </span>
      </div>
    </Panel>
  );
}

/** What the costs of no group are called: with a tag key, those without a tag of this key. */
function nameOfNone(by: GroupBy, tagKey: string): string {
  return by === 'tag' && tagKey ? `No ${tagKey} tag` : (none[by] ?? 'Other');
}

/** What is after the key of a tag. */
function tagValue(tag: string): string {
  return tag.replace(/^[^:=]+[:=]/, '') || tag;
}

function textOf(query: object): Record<string, string> {
  return Object.fromEntries(Object.entries(query).map(([name, value]) => [name, String(value)]));
}

interface DaysProps {
  period: Period;
  series?: ReturnType<typeof seriesOf>;
  cells: { day: string; key: string; cost: number }[];
  by: GroupBy;
  table: boolean;
}

/** The days of a period, and of the rest of the month what is expected. */
function Days({ period, series, cells, by, table }: DaysProps) {
  const { forecast } = useWallet().data ?? {};
  const goesOn = period.to === undefined;
  const until = forecast && Date.parse(forecast.until);
  const ahead = goesOn && until ? forecast.days : [];
  const last = goesOn && until ? Math.max(period.last, until - day) : period.last;
  const title =
    by === 'day'
      ? 'Cost by day (UTC)'
      : `Cost by day (UTC) and ${by === 'gpuType' || by === 'apiKey' ? groups[by] : by}`;
  const all = series ?? [{ key: '', name: 'Cost', color: 0 }];
  return (
    <>
      <Bars title={title} series={all} bars={barsOf(all, cells, period.from, last, ahead)} table={table} />
      {goesOn && <Forecast />}
    </>
  );
}

/** What the month will cost: what was charged so far, and what runs now until its scheduled end. */
function Forecast() {
  const { forecast } = useWallet().data ?? {};
  const end = forecast && new Date(forecast.until);
  const from = end ? new Date(Date.UTC(end.getUTCFullYear(), end.getUTCMonth() - 1, 1)).toISOString() : '';
  const spent = useUsage({ groupBy: 'day', from }, from !== '').data?.total;
  if (!forecast || spent === undefined) return null;
  return (
    <div className="small dim">
      <i className="swatch" data-expected aria-hidden="true" />
      {monthOf(from)}: <Money usd={spent} /> so far. Forecast:{' '}
      <b>{formatTotal(sum(micro(spent), micro(forecast.charges)))}</b> by the end of the month, if what runs now keeps
      running until its scheduled end.
    </div>
  );
}
