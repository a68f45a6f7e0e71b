import { Button, Group, Modal } from '@mantine/core';
import { useState } from 'react';
import { useCan } from '../../api/session';
import { type Delivery, useDeliveries, useReplay, type Webhook } from '../../api/webhooks';
import { ErrorBox } from '../../parts/ErrorBox';
import { PageSkeleton } from '../../parts/Skeletons';
import { Status } from '../../parts/Status';
import { Ago, Time } from '../../parts/Time';
import '../../parts/table.css';
import { toast } from '../../parts/toast';

/** What was sent to a webhook, newest first, each with what came of it. */
export function Deliveries({ of: w, onClose }: { of: Webhook; onClose: () => void }) {
  const [n, setN] = useState(1);
  const list = useDeliveries(w.id, n);
  const replay = useReplay(w.id);
  const write = useCan()('webhooks:write');
  const pages = list.data?.pagination.totalPages ?? 1;
  return (
    <Modal opened onClose={onClose} title="Deliveries" size="xl">
      <div className="stack">
        <div className="small dim" style={{ overflowWrap: 'anywhere' }}>
          To {w.url}, newest first. They are kept for 30 days.
        </div>
        {replay.error && <ErrorBox error={replay.error} />}
        {!list.data ? (
          list.isError ? (
            <ErrorBox error={list.error} retry={() => void list.refetch()} />
          ) : (
            <PageSkeleton />
          )
        ) : list.data.rows.length === 0 ? (
          <div className="dim">Nothing was sent yet. “Send a test” does it at once.</div>
        ) : (
          // Reached by the keyboard, for it scrolls where it is narrow.
          // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable
          <section className="table-wrap" aria-label="Deliveries" tabIndex={0}>
            <table className="plain-table">
              <thead>
                <tr>
                  <th scope="col">Event</th>
                  <th scope="col">Status</th>
                  <th scope="col">Last attempt</th>
                  <th scope="col">
                    <span className="sr">Actions</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {list.data.rows.map((d) => (
                  <tr key={d.id}>
                    <td>
                      <span className="strong">{d.type}</span>
                      <span className="cell-sub">
                        <Time at={d.createdAt} seconds />
                      </span>
                    </td>
                    <td>
                      <Status value={d.status} />
                      {d.nextAttemptAt && (
                        <span className="cell-sub">
                          again <Ago at={d.nextAttemptAt} />
                        </span>
                      )}
                    </td>
                    <td>
                      <Last of={d} />
                    </td>
                    <td data-end>
                      {write && w.enabled && (
                        <Button
                          variant="default"
                          size="compact-sm"
                          aria-label={`Replay ${d.type}`}
                          loading={replay.isPending && replay.variables === d.id}
                          onClick={() => replay.mutate(d.id, { onSuccess: () => toast('It is sent again') })}
                        >
                          Replay
                        </Button>
                      )}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </section>
        )}
        {pages > 1 && (
          <Group justify="space-between">
            <Button variant="default" size="compact-sm" disabled={n === 1} onClick={() => setN(n - 1)}>
              Newer
            </Button>
            <span className="small dim">
              {n} of {pages}
            </span>
            <Button variant="default" size="compact-sm" disabled={n >= pages} onClick={() => setN(n + 1)}>
              Older
            </Button>
          </Group>
        )}
      </div>
    </Modal>
  );
}

function Last({ of: d }: { of: Delivery }) {
  const last = d.attempts[d.attempts.length - 1];
  if (!last) return <span className="dim">not yet</span>;
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
