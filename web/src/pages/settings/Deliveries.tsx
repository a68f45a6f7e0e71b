import { Modal } from '@mantine/core';
import type { Schema } from '../../api/client';
import { pageQuery, useSend } from '../../api/hooks';
import { useCan } from '../../api/session';
import { ErrorBox } from '../../parts/ErrorBox';
import { Pager } from '../../parts/Pager';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import { useOnePage } from '../../parts/rows';
import { Status } from '../../parts/Status';
import { Ago, Time } from '../../parts/Time';
import { toast } from '../../parts/toast';

type Delivery = Schema['WebhookDelivery'];
const path = '/api/v1/inventory/webhooks/{id}/deliveries';

/** The deliveries of a webhook, newest first, each with its result. */
export function Deliveries({ of: w, onClose }: { of: Schema['Webhook']; onClose: () => void }) {
  const { rows, ...pages } = useOnePage((page) => ({
    ...pageQuery(path, { params: { path: { id: w.id }, query: { page, limit: 20 } } }),
    // The user waits for the result of a test.
    refetchInterval: 3000,
  }));
  const replay = useSend('post', `${path}/{deliveryId}/replay`);
  const write = useCan()('webhooks:write');
  return (
    <Modal opened onClose={onClose} title="Deliveries" size="xl">
      <div className="stack">
        <div className="small dim" style={{ overflowWrap: 'anywhere' }}>
          To {w.url}, newest first. Kept for 30 days.
        </div>
        <ErrorBox error={replay.error} />
        <ResourceTable
          label="Deliveries"
          columns={columns}
          rows={rows}
          rowKey={(d) => d.id}
          name={(d) => d.type}
          empty={<div className="dim">No deliveries yet. Choose “Send test event” to try the endpoint.</div>}
          actions={
            write && w.enabled
              ? (d) => [
                  {
                    text: 'Send again',
                    run: () =>
                      replay.mutate(
                        { params: { path: { id: w.id, deliveryId: d.id } } },
                        { onSuccess: () => toast('Event sent again') },
                      ),
                  },
                ]
              : undefined
          }
        />
        <Pager {...pages} />
      </div>
    </Modal>
  );
}

const columns: Column<Delivery>[] = [
  {
    key: 'event',
    head: 'Event',
    cell: (d) => (
      <>
        <span className="strong">{d.type}</span>
        <span className="cell-sub">
          <Time at={d.createdAt} seconds />
        </span>
      </>
    ),
  },
  {
    key: 'status',
    head: 'Status',
    width: '150px',
    cell: (d) => (
      <>
        <Status value={d.status} />
        {d.nextAttemptAt && (
          <span className="cell-sub">
            next attempt <Ago at={d.nextAttemptAt} />
          </span>
        )}
      </>
    ),
  },
  { key: 'last', head: 'Last attempt', cell: (d) => <LastAttempt of={d} /> },
];

function LastAttempt({ of: d }: { of: Delivery }) {
  const last = d.attempts.at(-1);
  if (!last) return <span className="dim">–</span>;
  return (
    <>
      <span>
        {last.status ?? last.problem} <span className="dim">in {last.durationMs} ms</span>
      </span>
      <span className="cell-sub" style={{ overflowWrap: 'anywhere' }}>
        {d.attemptCount > 1 && `${d.attemptCount} attempts. `}
        {last.response.slice(0, 120)}
      </span>
    </>
  );
}
