import { Button, Group } from '@mantine/core';
import { useState } from 'react';
import type { Schema } from '../../api/client';
import { useSend, withId } from '../../api/hooks';
import { useOperatorProviders } from '../../api/operator';
import { useConfirm } from '../../parts/confirm';
import { formatPercent } from '../../parts/locale';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import { useListRows } from '../../parts/rows';
import { Chip, Status } from '../../parts/Status';
import { Ago } from '../../parts/Time';
import { toast } from '../../parts/toast';
import { ProviderCheckDialog } from './ProviderCheckDialog';
import { ProviderDialog } from './ProviderDialog';
import { ProviderKeyDialog } from './ProviderKeyDialog';

type Provider = Schema['OperatorProvider'];

export function Providers() {
  const [adding, setAdding] = useState(false);
  const [keyOf, setKeyOf] = useState<Provider | null>(null);
  const [checked, setChecked] = useState<Provider | null>(null);
  const pause = useSend('post', '/api/v1/operator/provider-accounts/{id}/pause');
  const resume = useSend('post', '/api/v1/operator/provider-accounts/{id}/resume');
  const remove = useSend('delete', '/api/v1/operator/provider-accounts/{id}');
  const confirm = useConfirm();
  const rows = useListRows(useOperatorProviders(), {
    sorts: {
      name: (p) => p.name,
      status: (p) => p.status,
      lastSyncAt: (p) => p.lastSyncAt,
      offers: (p) => p.available,
      machines: (p) => p.machines,
      deployments: (p) => p.deployments,
      markup: (p) => p.markupPercent,
    },
    text: (p) => `${p.name} ${p.slug}`,
  });
  const askPause = (p: Provider) =>
    confirm({
      title: `Pause ${p.name}?`,
      body: 'Its offers become unavailable, and nothing new is launched there. Machines that run are kept.',
      action: 'Pause',
      run: async () => {
        await pause.mutateAsync(withId(p.slug));
        toast(`${p.name} is paused`);
      },
    });
  const askRemove = (p: Provider) =>
    confirm({
      title: `Remove ${p.name}?`,
      body: 'The account and its API key are deleted. It must be paused, and have no machines and no volumes.',
      action: 'Remove',
      danger: true,
      run: async () => {
        await remove.mutateAsync(withId(p.slug));
        toast(`${p.name} removed`);
      },
    });
  const actions = (p: Provider) =>
    p.stored
      ? [
          { text: 'Check', run: () => setChecked(p) },
          { text: 'Replace API key', run: () => setKeyOf(p) },
          p.pausedAt
            ? {
                text: 'Resume',
                run: () => resume.mutate(withId(p.slug), { onSuccess: () => toast(`${p.name} is resumed`) }),
              }
            : { text: 'Pause', run: () => askPause(p) },
          { text: 'Remove', danger: true, run: () => askRemove(p) },
        ]
      : [];
  return (
    <>
      <Group justify="flex-end" mb="sm">
        <Button variant="default" onClick={() => setAdding(true)}>
          Add provider
        </Button>
      </Group>
      <ResourceTable
        label="Providers"
        columns={columns}
        rows={rows}
        rowKey={(p) => p.slug}
        name={(p) => p.name}
        actions={actions}
        empty={<div className="panel panel-body dim">No provider is connected yet.</div>}
      />
      {adding && <ProviderDialog onClose={() => setAdding(false)} />}
      {keyOf && <ProviderKeyDialog slug={keyOf.slug} name={keyOf.name} onClose={() => setKeyOf(null)} />}
      {checked && <ProviderCheckDialog slug={checked.slug} name={checked.name} onClose={() => setChecked(null)} />}
    </>
  );
}

const columns: Column<Provider>[] = [
  {
    key: 'name',
    head: 'Provider',
    sort: 'name',
    cell: (p) => (
      <>
        <span className="cell-main strong">{p.name}</span>
        <span className="cell-sub mono">{p.slug}</span>
      </>
    ),
  },
  {
    key: 'health',
    head: 'Health',
    sort: 'status',
    cell: (p) => (
      <>
        <Status value={p.status} /> {p.pausedAt && <Chip tone="warn">paused</Chip>}
        {p.lastError && (
          <span className="cell-sub" title={p.lastError}>
            {p.consecutiveFailures} failed {p.consecutiveFailures === 1 ? 'sync' : 'syncs'}: {p.lastError}
          </span>
        )}
      </>
    ),
  },
  {
    key: 'sync',
    head: 'Last sync',
    sort: 'lastSyncAt',
    width: '130px',
    cell: (p) => (
      <>
        <Ago at={p.lastSyncAt} never="Never" />
        {p.stale && (
          <span className="cell-sub">
            <Chip tone="warn">outdated</Chip>
          </span>
        )}
      </>
    ),
  },
  {
    key: 'offers',
    head: 'Offers',
    sort: 'offers',
    width: '104px',
    end: true,
    cell: (p) => `${p.available} of ${p.offers}`,
  },
  { key: 'machines', head: 'Machines', sort: 'machines', width: '104px', end: true, cell: (p) => p.machines },
  {
    key: 'deployments',
    head: 'Deployments',
    sort: 'deployments',
    width: '126px',
    end: true,
    cell: (p) => p.deployments,
  },
  {
    key: 'markup',
    head: 'Markup',
    sort: 'markup',
    width: '96px',
    end: true,
    cell: (p) => (p.markupPercent === null ? '–' : formatPercent(p.markupPercent)),
  },
];
