import { Group, SegmentedControl } from '@mantine/core';
import { useState } from 'react';
import type { Schema } from '../../api/client';
import { useNow } from '../../api/clock';
import { type MarginsBy, useMargins, useOperatorAccounts } from '../../api/operator';
import { ErrorBox } from '../../parts/ErrorBox';
import { formatNumber } from '../../parts/locale';
import { Money } from '../../parts/Money';
import { PageSkeleton } from '../../parts/Skeletons';
import '../../parts/table.css';

const day = 86_400_000;

/** What tenants paid against what providers ask for the same hours. */
export function Margins() {
  const [by, setBy] = useState<MarginsBy>('provider');
  const [days, setDays] = useState('30');
  const now = useNow(60_000);
  const from = new Date((Math.floor(now / day) - Number(days) + 1) * day).toISOString();
  const margins = useMargins(by, from);
  const accounts = useOperatorAccounts().data;
  const name = (key: string) => (by === 'account' ? (accounts?.find((a) => a.id === key)?.name ?? key) : key) || '–';
  const m = margins.data;
  return (
    <>
      <Group mb="sm" gap="xs">
        <SegmentedControl
          aria-label="By"
          value={by}
          onChange={(v) => setBy(v as MarginsBy)}
          data={[
            { value: 'provider', label: 'Provider' },
            { value: 'account', label: 'Account' },
            { value: 'gpuType', label: 'GPU' },
            { value: 'day', label: 'Day' },
          ]}
        />
        <SegmentedControl
          aria-label="Days"
          value={days}
          onChange={setDays}
          data={['7', '30', '90'].map((d) => ({ value: d, label: `${d} d` }))}
        />
      </Group>
      {!m ? (
        margins.isError ? (
          <ErrorBox error={margins.error} retry={() => void margins.refetch()} />
        ) : (
          <PageSkeleton />
        )
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls sideways, which must work by keyboard too
        <section className="panel table-wrap" aria-label="Margins" tabIndex={0}>
          <table className="plain-table">
            <thead>
              <tr>
                <th scope="col">
                  {{ provider: 'Provider', account: 'Account', gpuType: 'GPU', day: 'Day (UTC)' }[by]}
                </th>
                <th scope="col" data-end>
                  Hours
                </th>
                <th scope="col" data-end>
                  Revenue
                </th>
                <th scope="col" data-end>
                  Cost
                </th>
                <th scope="col" data-end>
                  Margin
                </th>
                <th scope="col" data-end>
                  Margin, %
                </th>
              </tr>
            </thead>
            <tbody>
              {m.rows.map((r) => (
                <Row key={r.key} of={r} name={name(r.key)} />
              ))}
            </tbody>
            <tfoot>
              <Row of={m.total} name="All" />
            </tfoot>
          </table>
        </section>
      )}
    </>
  );
}

function Row({ of: r, name }: { of: Schema['MarginRow']; name: string }) {
  return (
    <tr>
      <th scope="row" className="row-name">
        {name}
      </th>
      <td data-end>{r.hours === null ? '–' : formatNumber(r.hours)}</td>
      <td data-end>
        <Money usd={r.revenue} />
      </td>
      <td data-end>
        <Money usd={r.cost} />
      </td>
      <td data-end>
        <Money usd={r.margin} />
      </td>
      <td data-end>{r.marginPercent === null ? '–' : formatNumber(r.marginPercent, 1)}</td>
    </tr>
  );
}
