import { Button, Group } from '@mantine/core';
import { useState } from 'react';
import type { Schema } from '../../api/client';
import { useSend, withId } from '../../api/hooks';
import { useOperatorProviders } from '../../api/operator';
import { useConfirm } from '../../parts/confirm';
import { formatNumber, formatPercent } from '../../parts/locale';
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
  const drain = useSend('post', '/api/v1/operator/provider-accounts/{id}/drain');
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
      body: 'Its offers become unavailable to new deployments. Machines and volumes are kept.',
      action: 'Pause provider',
      run: async () => {
        await pause.mutateAsync(withId(p.slug));
        toast(`${p.name} is paused`);
      },
    });
  const askDrain = (p: Provider) =>
    confirm({
      title: `Drain ${p.name}?`,
      body: (
        <>
          Its offers are hidden from new deployments. Machines and volumes are kept until their tenants end them. You
          can remove the provider when none are left.
        </>
      ),
      action: 'Drain provider',
      run: async () => {
        await drain.mutateAsync(withId(p.slug));
        toast(`${p.name} is draining`);
      },
    });
  const askRemove = (p: Provider) =>
    confirm({
      title: `Remove ${p.name}?`,
      body: (
        <>
          The account and its API key are deleted. Drain or pause the provider first. It must have no machines and no
          volumes.
        </>
      ),
      action: 'Remove provider',
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
          ...(p.pausedAt || p.drainingAt
            ? [
                {
                  text: 'Resume',
                  run: () => resume.mutate(withId(p.slug), { onSuccess: () => toast(`${p.name} is resumed`) }),
                },
              ]
            : []),
          ...(p.pausedAt ? [] : [{ text: 'Pause', run: () => askPause(p) }]),
          ...(p.drainingAt ? [] : [{ text: 'Drain', run: () => askDrain(p) }]),
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

function count(n: number, what: string): string {
  return `${formatNumber(n)} ${what}${n === 1 ? '' : 's'}`;
}

/** What keeps a provider from being removed. */
function left(p: Provider): string {
  if (p.remaining === 0) return 'Nothing left. You can remove it.';
  const machines = p.remaining - p.volumes - p.candidates;
  const parts = [
    machines > 0 && count(machines, 'deployment'),
    p.volumes > 0 && count(p.volumes, 'volume'),
    p.candidates > 0 && `${count(p.candidates, 'pending deployment')} that may still use it`,
  ].filter(Boolean);
  return `Left: ${parts.join(', ')}`;
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
        <Status value={p.status} />{' '}
        {p.state !== 'active' && <Chip tone={p.state === 'error' ? 'bad' : 'warn'}>{p.state}</Chip>}
        {p.state === 'draining' && <span className="cell-sub">{left(p)}</span>}
        {p.lastError && (
          <span className="cell-sub wrap">
            {p.state === 'error' ? 'Not managed: ' : `${count(p.consecutiveFailures, 'failed sync')}: `}
            {p.lastError}
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
    cell: (p) => (
      <>
        {p.markupPercent === null ? '–' : formatPercent(p.markupPercent)}
        {p.stored && p.ownMarkupPercent === null && <span className="cell-sub">Default</span>}
      </>
    ),
  },
];
