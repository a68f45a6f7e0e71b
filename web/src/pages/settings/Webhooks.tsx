import { ActionIcon, Button, Menu } from '@mantine/core';
import { useState } from 'react';
import { useCan } from '../../api/session';
import {
  type NewWebhook,
  useDeleteWebhook,
  useRotateSecret,
  useTestWebhook,
  useUpdateWebhook,
  useWebhooks,
  type Webhook,
} from '../../api/webhooks';
import { MoreIcon } from '../../app/icons';
import { Confirm } from '../../parts/Confirm';
import { EmptyState } from '../../parts/EmptyState';
import { ErrorBox } from '../../parts/ErrorBox';
import { PageHead } from '../../parts/PageHead';
import { PageSkeleton } from '../../parts/Skeletons';
import { Status } from '../../parts/Status';
import { Ago } from '../../parts/Time';
import '../../parts/table.css';
import { toast } from '../../parts/toast';
import { Deliveries } from './Deliveries';
import { SecretShown, WebhookDialog } from './WebhookDialog';

export default function Webhooks() {
  const hooks = useWebhooks();
  const write = useCan()('webhooks:write');
  const [editing, setEditing] = useState<Webhook | 'new' | null>(null);
  const [made, setMade] = useState<NewWebhook | null>(null);
  const [looking, setLooking] = useState<Webhook | null>(null);
  const [asking, setAsking] = useState<{ to: 'delete' | 'rotate'; of: Webhook } | null>(null);
  const remove = useDeleteWebhook();
  const rotate = useRotateSecret();
  const update = useUpdateWebhook();
  const test = useTestWebhook();
  const act = asking?.to === 'rotate' ? rotate : remove;
  const create = <Button onClick={() => setEditing('new')}>Create a webhook</Button>;
  const closeAsking = () => {
    setAsking(null);
    remove.reset();
    rotate.reset();
  };
  const confirm = (of: Webhook) =>
    asking?.to === 'rotate'
      ? rotate.mutate(of.id, {
          onSuccess: (w) => {
            closeAsking();
            setMade(w);
          },
        })
      : remove.mutate(of.id, {
          onSuccess: () => {
            toast('The webhook is deleted');
            closeAsking();
          },
        });

  return (
    <>
      <PageHead title="Webhooks" actions={write && (hooks.data?.length ?? 0) > 0 && create}>
        What happens in this account, sent to an address of yours, signed, and tried for 72 hours.
      </PageHead>
      {(test.error || update.error) && <ErrorBox error={test.error ?? update.error} />}
      {!hooks.data ? (
        hooks.isError ? (
          <ErrorBox error={hooks.error} retry={() => void hooks.refetch()} />
        ) : (
          <PageSkeleton />
        )
      ) : hooks.data.length === 0 ? (
        <EmptyState
          title="Be told when something happens"
          action={write && create}
          api={{ method: 'POST', path: '/api/v1/inventory/webhooks', body: { url: 'https://example.com/billet' } }}
        >
          A deployment that runs, a machine that is lost, money that runs out: your program hears of it within a second.
        </EmptyState>
      ) : (
        <section className="panel table-wrap" aria-label="Webhooks">
          <table className="plain-table">
            <thead>
              <tr>
                <th scope="col">Address</th>
                <th scope="col">Status</th>
                <th scope="col" className="wide">
                  Events
                </th>
                <th scope="col" className="wide">
                  Last delivered
                </th>
                <th scope="col">
                  <span className="sr">Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {hooks.data.map((w) => (
                <tr key={w.id}>
                  <td style={{ overflowWrap: 'anywhere' }}>
                    <span className="strong">{w.description || w.url}</span>
                    {w.description && <span className="cell-sub">{w.url}</span>}
                  </td>
                  <td>
                    <Status value={w.enabled && w.failingSince ? 'failing' : w.status} live />
                    {w.statusReason && <span className="cell-sub">{w.statusReason}</span>}
                    {w.enabled && w.failingSince && (
                      <span className="cell-sub">
                        since <Ago at={w.failingSince} />
                      </span>
                    )}
                  </td>
                  <td className="wide">{w.types.length === 0 ? 'everything' : w.types.join(', ')}</td>
                  <td className="wide">
                    <Ago at={w.lastDeliveredAt} never="never" />
                  </td>
                  <td data-end>
                    <Menu position="bottom-end">
                      <Menu.Target>
                        <ActionIcon variant="subtle" color="gray" aria-label={`Actions for ${w.description || w.url}`}>
                          <MoreIcon />
                        </ActionIcon>
                      </Menu.Target>
                      <Menu.Dropdown>
                        <Menu.Item onClick={() => setLooking(w)}>Deliveries</Menu.Item>
                        {write && (
                          <>
                            <Menu.Item
                              onClick={() =>
                                test.mutate(w.id, {
                                  onSuccess: () => {
                                    toast('A test is on its way');
                                    setLooking(w);
                                  },
                                })
                              }
                            >
                              Send a test
                            </Menu.Item>
                            <Menu.Item onClick={() => setEditing(w)}>Change</Menu.Item>
                            <Menu.Item onClick={() => update.mutate({ id: w.id, enabled: !w.enabled })}>
                              {w.enabled ? 'Disable' : 'Enable'}
                            </Menu.Item>
                            <Menu.Item onClick={() => setAsking({ to: 'rotate', of: w })}>Replace the secret</Menu.Item>
                            <Menu.Item className="danger-button" onClick={() => setAsking({ to: 'delete', of: w })}>
                              Delete
                            </Menu.Item>
                          </>
                        )}
                      </Menu.Dropdown>
                    </Menu>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
      {editing && (
        <WebhookDialog
          of={editing === 'new' ? null : editing}
          onClose={() => setEditing(null)}
          onMade={(w) => {
            setEditing(null);
            setMade(w);
          }}
        />
      )}
      {made && <SecretShown of={made} onClose={() => setMade(null)} />}
      {looking && <Deliveries of={looking} onClose={() => setLooking(null)} />}
      {asking && (
        <Confirm
          opened
          onClose={closeAsking}
          title={asking.to === 'rotate' ? 'Replace the secret?' : 'Delete the webhook?'}
          action={asking.to === 'rotate' ? 'Replace' : 'Delete'}
          danger={asking.to === 'delete'}
          busy={act.isPending}
          error={act.error}
          onConfirm={() => confirm(asking.of)}
        >
          {asking.to === 'rotate'
            ? 'You get a new one, which is shown once. The old one signs, too, for another 24 hours.'
            : 'Nothing more is sent to it, and what was sent is forgotten.'}
        </Confirm>
      )}
    </>
  );
}
