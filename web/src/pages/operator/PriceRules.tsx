import { Button, Group, Text } from '@mantine/core';
import { useState } from 'react';
import { useSend, withId } from '../../api/hooks';
import { type PriceRule, useOperatorAccounts, usePriceRules } from '../../api/operator';
import { useConfirm } from '../../parts/confirm';
import { formatPercent } from '../../parts/locale';
import { formatMoney, micro } from '../../parts/money';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import { useListRows } from '../../parts/rows';
import { Chip } from '../../parts/Status';
import { toast } from '../../parts/toast';
import { PriceRuleDialog } from './PriceRuleDialog';

/** What offers cost tenants, and which offers they do not see. */
export function PriceRules() {
  const [edited, setEdited] = useState<PriceRule | 'new' | null>(null);
  const rules = usePriceRules();
  const accounts = useOperatorAccounts().data;
  const update = useSend('patch', '/api/v1/operator/price-rules/{id}');
  const remove = useSend('delete', '/api/v1/operator/price-rules/{id}');
  const confirm = useConfirm();
  const rows = useListRows(rules);
  const count = rules.data?.length ?? 0;
  const accountName = (id: string) => accounts?.find((a) => a.id === id)?.name ?? id;
  const name = (r: PriceRule) => `rule ${r.position}`;
  const move = (r: PriceRule, position: number) =>
    update.mutate(
      { ...withId(r.id), body: { position } },
      { onSuccess: (moved) => toast(`Price rule moved to position ${moved.position}`) },
    );
  const askRemove = (r: PriceRule) =>
    confirm({
      title: `Delete price rule ${r.position}?`,
      body: 'The next rule that matches decides, or else the markups. Existing deployments keep their prices.',
      action: 'Delete',
      danger: true,
      run: async () => {
        await remove.mutateAsync(withId(r.id));
        toast('Price rule deleted');
      },
    });
  const actions = (r: PriceRule) => [
    { text: 'Edit', run: () => setEdited(r) },
    ...(r.position > 1 ? [{ text: 'Move up', run: () => move(r, r.position - 1) }] : []),
    ...(r.position < count ? [{ text: 'Move down', run: () => move(r, r.position + 1) }] : []),
    { text: 'Delete', danger: true, run: () => askRemove(r) },
  ];
  return (
    <>
      <Group justify="space-between" mb="sm" gap="sm">
        <Text size="sm" c="dimmed" maw={720}>
          The first rule that matches an offer and an account sets the price, in place of all markups. Where no rule
          matches, the markups apply. Volumes have no price rules.
        </Text>
        <Button variant="default" onClick={() => setEdited('new')}>
          Create price rule
        </Button>
      </Group>
      <ResourceTable
        label="Price rules"
        columns={columns(accountName)}
        rows={rows}
        rowKey={(r) => r.id}
        name={name}
        actions={actions}
        empty={<div className="panel panel-body dim">There are no price rules. The markups set all prices.</div>}
      />
      {edited && (
        <PriceRuleDialog rule={edited === 'new' ? null : edited} count={count} onClose={() => setEdited(null)} />
      )}
    </>
  );
}

function columns(accountName: (id: string) => string): Column<PriceRule>[] {
  return [
    {
      key: 'position',
      head: 'Position',
      width: '96px',
      cell: (r) => <span className="strong">{r.position}</span>,
    },
    {
      key: 'offers',
      head: 'Offers',
      cell: (r) => {
        const parts = [r.gpuType, r.provider, r.region].filter((part) => part !== null);
        return parts.length === 0 ? 'All offers' : parts.join(' · ');
      },
    },
    {
      key: 'account',
      head: 'Account',
      cell: (r) => (r.accountId === null ? 'All accounts' : accountName(r.accountId)),
    },
    {
      key: 'price',
      head: 'Price',
      cell: (r) => (r.hidden ? <Chip tone="idle">hidden</Chip> : describePrice(r)),
    },
  ];
}

/** "Cost + 10% + $0.10 per GPU, at least $1.50 per GPU, rounded up to $0.01" */
function describePrice(r: PriceRule): string {
  const signed = (n: number, text: string) => `${n < 0 ? ' − ' : ' + '}${text.replace('−', '')}`;
  const percent = r.percent ?? 0;
  let text = 'Cost';
  if (percent !== 0) text += signed(percent, formatPercent(percent));
  if (r.fixedPerGpu !== 0) text += `${signed(r.fixedPerGpu, formatMoney(micro(r.fixedPerGpu)))} per GPU`;
  if (r.floorPerGpu > 0) text += `, at least ${formatMoney(micro(r.floorPerGpu))} per GPU`;
  if (r.roundUpTo > 0) text += `, rounded up to a multiple of ${formatMoney(micro(r.roundUpTo))}`;
  return text;
}
