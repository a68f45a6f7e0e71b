import { Group, SegmentedControl, Text } from '@mantine/core';
import { useState } from 'react';
import type { Schema } from '../../api/client';
import { useNow } from '../../api/clock';
import { useGet } from '../../api/hooks';
import { useOperatorAccounts } from '../../api/operator';
import { formatNumber, formatPercent } from '../../parts/locale';
import { Money } from '../../parts/Money';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import { useListRows } from '../../parts/rows';

type Margin = Schema['MarginRow'];
type By = Schema['Margins']['by'];

const day = 86_400_000;
const groups: Record<By, string> = { provider: 'Provider', account: 'Account', gpuType: 'GPU', day: 'Day' };

/** What was earned of what tenants paid, and what the providers charge for the same time. */
export function Margins() {
  const [by, setBy] = useState<By>('provider');
  const [days, setDays] = useState('30');
  const now = useNow(60_000);
  const from = new Date((Math.floor(now / day) - Number(days) + 1) * day).toISOString();
  const margins = useGet('/api/v1/operator/margins', { params: { query: { by, from } } });
  const accounts = useOperatorAccounts().data;
  const { data } = margins;
  const nameOf = (r: Margin) => {
    if (r === data?.total) return 'Total';
    return (by === 'account' ? (accounts?.find((a) => a.id === r.key)?.name ?? r.key) : r.key) || '–';
  };
  const rows = useListRows({ ...margins, data: data && [...data.rows, data.total] });
  return (
    <>
      <Group mb="sm" gap="xs">
        <SegmentedControl
          aria-label="Group by"
          value={by}
          onChange={(v) => setBy(v as By)}
          data={Object.entries(groups).map(([value, label]) => ({ value, label }))}
        />
        <SegmentedControl
          aria-label="Period"
          value={days}
          onChange={setDays}
          data={['7', '30', '90'].map((d) => ({ value: d, label: `${d} days` }))}
        />
      </Group>
      <ResourceTable
        label="Margins"
        columns={columns(by === 'day' ? 'Day (UTC)' : groups[by], nameOf)}
        rows={rows}
        rowKey={(r) => (r === data?.total ? 'total' : r.key)}
        empty={null}
      />
      <Text size="sm" c="dimmed" mt="sm">
        Tenants pay each hour when it begins. It counts as revenue second by second, like the provider’s cost. When a
        deployment or volume ends, the part of its last hour that is not refunded counts at once.
      </Text>
    </>
  );
}

function columns(head: string, nameOf: (r: Margin) => string): Column<Margin>[] {
  return [
    { key: 'name', head, cell: (r) => <span className="strong">{nameOf(r)}</span> },
    {
      key: 'hours',
      head: 'Hours',
      end: true,
      cell: (r) => (r.hours === null ? '–' : formatNumber(r.hours, 1)),
    },
    { key: 'revenue', head: 'Revenue', end: true, cell: (r) => <Money usd={r.revenue} /> },
    { key: 'cost', head: 'Cost', end: true, cell: (r) => <Money usd={r.cost} /> },
    { key: 'margin', head: 'Margin', end: true, cell: (r) => <Money usd={r.margin} /> },
    {
      key: 'percent',
      head: 'Margin (%)',
      end: true,
      cell: (r) => (r.marginPercent === null ? '–' : formatPercent(r.marginPercent)),
    },
  ];
}
