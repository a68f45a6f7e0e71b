import { Button } from '@mantine/core';
import { useState } from 'react';
import type { Schema } from '../../api/client';
import { useAll, useSend, withId } from '../../api/hooks';
import { useCan } from '../../api/session';
import { useConfirm } from '../../parts/confirm';
import { EmptyState } from '../../parts/EmptyState';
import { ErrorBox } from '../../parts/ErrorBox';
import { PageHead } from '../../parts/PageHead';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import type { RowAction } from '../../parts/RowMenu';
import { useListRows } from '../../parts/rows';
import { Status } from '../../parts/Status';
import { Ago } from '../../parts/Time';
import { toast } from '../../parts/toast';
import { useNew } from '../../parts/useNew';
import { Deliveries } from './Deliveries';
import { WebhookDialog } from './WebhookDialog';
import { WebhookSecret } from './WebhookSecret';

type Webhook = Schema['Webhook'];
const path = '/api/v1/inventory/webhooks/{id}';

export default function Webhooks() {
  const webhooks = useAll('/api/v1/inventory/webhooks', {}, { refetchInterval: 15_000 });
  const write = useCan()('webhooks:write');
  const confirm = useConfirm();
  const [editing, setEditing] = useState<Webhook | null>(null);
  const [adding, creating] = useNew();
  const [created, setCreated] = useState<Schema['NewWebhook'] | null>(null);
  const [delivering, setDelivering] = useState<Webhook | null>(null);
  const remove = useSend('delete', path);
  const rotate = useSend('post', `${path}/rotate-secret`);
  const update = useSend('patch', path);
  const test = useSend('post', `${path}/test`);
  const rows = useListRows(webhooks, {
    sorts: { name: nameOf, status: (w) => w.status, lastDeliveredAt: (w) => w.lastDeliveredAt },
    text: (w) => `${w.description} ${w.url} ${w.id}`,
  });
  const create = write && <Button onClick={creating.open}>Create webhook</Button>;

  const actions = (w: Webhook): RowAction[] => {
    const deliveries = { text: 'View deliveries', run: () => setDelivering(w) };
    if (!write) return [deliveries];
    return [
      deliveries,
      {
        text: 'Send test event',
        run: () =>
          test.mutate(withId(w.id), {
            onSuccess: () => {
              toast('Test event sent');
              setDelivering(w);
            },
          }),
      },
      { text: 'Edit', run: () => setEditing(w) },
      {
        text: w.enabled ? 'Disable' : 'Enable',
        run: () => update.mutate({ ...withId(w.id), body: { enabled: !w.enabled } }),
      },
      {
        text: 'Rotate secret',
        run: () =>
          confirm({
            title: `Rotate secret of ${nameOf(w)}?`,
            body: 'The new secret is shown once. The old one stays valid for 24 hours.',
            action: 'Rotate secret',
            run: async () => setCreated(await rotate.mutateAsync(withId(w.id))),
          }),
      },
      {
        text: 'Delete',
        danger: true,
        run: () =>
          confirm({
            title: `Delete ${nameOf(w)}?`,
            body: 'No more events are sent. The delivery history is deleted.',
            action: 'Delete',
            danger: true,
            run: async () => {
              await remove.mutateAsync(withId(w.id));
              toast('Webhook deleted');
            },
          }),
      },
    ];
  };

  return (
    <>
      <PageHead title="Webhooks" actions={(webhooks.data?.length ?? 0) > 0 && create}>
        Signed event notifications to your endpoint, retried for 72 hours.
      </PageHead>
      <ErrorBox error={test.error ?? update.error} />
      <ResourceTable
        label="Webhooks"
        columns={columns}
        rows={rows}
        rowKey={(w) => w.id}
        name={nameOf}
        actions={actions}
        empty={
          <EmptyState
            title="No webhooks yet"
            action={create}
            api={{ method: 'POST', path: '/api/v1/inventory/webhooks', body: { url: 'https://example.com/billet' } }}
          >
            Get notified of events within a second: a deployment is running, a machine is lost, the balance is low.
          </EmptyState>
        }
      />
      {(editing || (adding && write)) && (
        <WebhookDialog
          of={editing}
          onClose={editing ? () => setEditing(null) : creating.close}
          onCreated={(w) => {
            setEditing(null);
            if (adding) creating.close();
            setCreated(w);
          }}
        />
      )}
      {created && <WebhookSecret of={created} onClose={() => setCreated(null)} />}
      {delivering && <Deliveries of={delivering} onClose={() => setDelivering(null)} />}
    </>
  );
}

function nameOf(w: Webhook): string {
  return w.description || w.url;
}

const columns: Column<Webhook>[] = [
  {
    key: 'name',
    head: 'Endpoint',
    sort: 'name',
    cell: (w) => (
      <span style={{ overflowWrap: 'anywhere' }}>
        <span className="strong">{nameOf(w)}</span>
        {w.description && <span className="cell-sub">{w.url}</span>}
      </span>
    ),
  },
  {
    key: 'status',
    head: 'Status',
    sort: 'status',
    width: '190px',
    cell: (w) => (
      <>
        <Status value={w.enabled && w.failingSince ? 'failing' : w.status} live />
        {w.statusReason && <span className="cell-sub wrap">{w.statusReason}</span>}
        {w.enabled && w.failingSince && (
          <span className="cell-sub">
            since <Ago at={w.failingSince} />
          </span>
        )}
      </>
    ),
  },
  { key: 'events', head: 'Events', cell: (w) => (w.types.length === 0 ? 'All' : w.types.join(', ')) },
  {
    key: 'delivered',
    head: 'Last delivery',
    sort: 'lastDeliveredAt',
    width: '140px',
    cell: (w) => <Ago at={w.lastDeliveredAt} never="Never" />,
  },
];
