import { Button } from '@mantine/core';
import { useState } from 'react';
import { type Budget, budgetsPath, leftOf, useBudgets, usedOf } from '../../api/budgets';
import { useAll, useSend, withId } from '../../api/hooks';
import { useCan } from '../../api/session';
import { useConfirm } from '../../parts/confirm';
import { EmptyState } from '../../parts/EmptyState';
import { micro } from '../../parts/money';
import { PageHead } from '../../parts/PageHead';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import { useListRows } from '../../parts/rows';
import { Chip } from '../../parts/Status';
import { Ago } from '../../parts/Time';
import { toast } from '../../parts/toast';
import { useNew } from '../../parts/useNew';
import { BudgetDialog } from './BudgetDialog';
import { BudgetMeter } from './BudgetMeter';
import { modes, scopeOf } from './words';

/** What the account wants to spend at most, and what is spent of it. */
export default function Budgets() {
  const budgets = useBudgets();
  const can = useCan();
  const write = can('deployments:write');
  const keys = useAll('/api/v1/account/api-keys', {}, { enabled: can('api-keys:read') }).data;
  const keyName = (id: string) => keys?.find((k) => k.id === id)?.name ?? id;
  const remove = useSend('delete', '/api/v1/inventory/budgets/{id}');
  const confirm = useConfirm();
  const [adding, creating] = useNew();
  const [editing, setEditing] = useState<Budget | null>(null);
  const rows = useListRows(budgets, {
    sorts: { name: (b) => b.name, used: (b) => usedOf(b) / micro(b.amount) },
    text: (b) => `${b.name} ${scopeOf(b, keyName)} ${b.id}`,
  });
  const create = write && <Button onClick={creating.open}>Create budget</Button>;
  const askToDelete = (b: Budget) =>
    confirm({
      title: `Delete budget ${b.name}?`,
      body: 'Its thresholds are no longer reported, and it no longer limits anything. Your resources stay as they are.',
      action: 'Delete budget',
      danger: true,
      run: async () => {
        await remove.mutateAsync(withId(b.id));
        toast(`Budget ${b.name} deleted`);
      },
    });
  return (
    <>
      <PageHead title="Budgets" actions={(budgets.data?.length ?? 0) > 0 && create}>
        Limits of what you spend in a day, in a month or in total. Days and months are those of UTC.
      </PageHead>
      <ResourceTable
        label="Budgets"
        columns={columns(keyName)}
        rows={rows}
        rowKey={(b) => b.id}
        name={(b) => b.name}
        rowHeight={64}
        cardHeight={190}
        empty={
          <EmptyState
            title="No budgets yet"
            action={create}
            api={{
              method: 'POST',
              path: budgetsPath,
              body: { name: 'research', scope: { project: 'research' }, period: 'month', amount: 5000, mode: 'block' },
            }}
          >
            A budget alerts you before an account, project, tag or API key spends too much. It can also refuse new
            deployments, or terminate running ones.
          </EmptyState>
        }
        actions={
          write
            ? (b) => [
                { text: 'Edit', run: () => setEditing(b) },
                { text: 'Delete', danger: true, run: () => askToDelete(b) },
              ]
            : undefined
        }
      />
      {adding && write && <BudgetDialog of={null} onClose={creating.close} />}
      {editing && <BudgetDialog of={editing} onClose={() => setEditing(null)} />}
    </>
  );
}

function columns(keyName: (id: string) => string): Column<Budget>[] {
  return [
    {
      key: 'name',
      head: 'Budget',
      sort: 'name',
      cell: (b) => (
        <>
          <span className="cell-main strong">{b.name}</span>
          <span className="cell-sub">{scopeOf(b, keyName)}</span>
        </>
      ),
    },
    { key: 'used', head: 'Spending', sort: 'used', cell: (b) => <BudgetMeter of={b} /> },
    {
      key: 'resets',
      head: 'Resets',
      width: '120px',
      from: 860,
      cell: (b) => <Ago at={b.resetsAt} never="Never" />,
    },
    {
      key: 'thresholds',
      head: 'Alerts',
      width: '140px',
      from: 980,
      cell: (b) => (b.thresholds.length ? b.thresholds.map((t) => `${t}%`).join(', ') : 'None'),
    },
    {
      key: 'mode',
      head: 'At the limit',
      width: '200px',
      cell: (b) => (
        <span title={modes[b.mode].text}>
          {modes[b.mode].label} {leftOf(b) <= 0 && <Chip tone={b.mode === 'alert' ? 'warn' : 'bad'}>reached</Chip>}
        </span>
      ),
    },
  ];
}
