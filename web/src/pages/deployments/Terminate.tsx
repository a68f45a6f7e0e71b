import { Button, Modal } from '@mantine/core';
import { useState } from 'react';
import { ApiError } from '../../api/client';
import { useNow } from '../../api/clock';
import { type Deployment, useCanTerminate, useTerminate } from '../../api/deployments';
import { ErrorBox } from '../../parts/ErrorBox';
import { Facts } from '../../parts/Facts';
import { Money } from '../../parts/Money';
import { type Micro, micro, share } from '../../parts/money';
import { PageSkeleton } from '../../parts/Skeletons';
import { Time } from '../../parts/Time';
import { remaining as left, roughly } from '../../parts/time';
import { toast } from '../../parts/toast';

/** Ends a deployment: now where that is allowed, else with a countdown to when it is, and the offer to queue it. */
export function Terminate({ of: d, onClose }: { of: Deployment; onClose: () => void }) {
  const can = useCanTerminate(d.id, true);
  const terminate = useTerminate(d.id);
  const now = useNow(1000);
  const [queued, setQueued] = useState(false);
  const answer = can.data;
  const remaining = answer ? Date.parse(answer.terminableAt) - now : 0;
  const early = answer !== undefined && answer.remainingSeconds > 0 && remaining > 0;
  const barred = d.terminationProtection;

  const end = (when: 'now' | 'earliest') =>
    terminate.mutate(when, {
      onSuccess: (after) => {
        if (when === 'earliest' && after.status !== 'terminating' && after.status !== 'terminated')
          return setQueued(true);
        toast(`${d.name} is being terminated`);
        onClose();
      },
      // The clock here may be ahead of the server's by a moment; its word counts.
      onError: () => void can.refetch(),
    });

  return (
    <Modal opened onClose={onClose} title={`Terminate ${d.name}?`}>
      <div className="stack">
        {!answer && !can.isError && <PageSkeleton />}
        {can.isError && !answer && <ErrorBox error={can.error} retry={() => void can.refetch()} />}
        {answer && queued && (
          <>
            <p style={{ margin: 0 }} role="status">
              Scheduled: {d.name} is terminated in {roughly(remaining)} (<Time at={answer.terminableAt} />
              ), as soon as its minimum runtime is met, whether this page is open or not. To cancel, remove the end
              under Settings.
            </p>
            <Button onClick={onClose}>Close</Button>
          </>
        )}
        {answer && !queued && (
          <>
            <p style={{ margin: 0 }}>
              The machine and everything on its own storage are gone for good. Volumes are detached and stay.
            </p>
            {early && (
              <div role="timer" aria-label="Until it can be terminated">
                <div className="clock">{left(remaining)}</div>
                <div className="small dim">
                  until the minimum runtime is met (<Time at={answer.terminableAt} />)
                </div>
              </div>
            )}
            {barred && (
              <p style={{ margin: 0 }}>
                <b>It is protected from being terminated.</b> Take the protection away under Settings first.
              </p>
            )}
            {!early && answer.reason && !barred && <p style={{ margin: 0 }}>{answer.reason}</p>}
            <Facts
              items={[
                [
                  early ? 'Refund if it ended now' : 'Refund now',
                  d.startedAt ? <RefundNow key="r" of={d} answer={answer.refund} now={now} /> : undefined,
                ],
                ['Paid until', d.startedAt ? <Time key="p" at={paidUntil(d.startedAt, now)} /> : undefined],
                ['Comes back of the hold', answer.release > 0 ? <Money key="h" usd={answer.release} /> : undefined],
              ]}
            />
            <ErrorBox error={tooEarly(terminate.error) && early ? null : terminate.error} />
            <div style={{ display: 'flex', justifyContent: 'flex-end', gap: 8, flexWrap: 'wrap' }}>
              <Button variant="default" onClick={onClose}>
                Keep it
              </Button>
              {early ? (
                <Button color="red.8" loading={terminate.isPending} disabled={barred} onClick={() => end('earliest')}>
                  Terminate in {roughly(remaining)}
                </Button>
              ) : (
                <Button color="red.8" loading={terminate.isPending} disabled={barred} onClick={() => end('now')}>
                  Terminate now
                </Button>
              )}
            </div>
          </>
        )}
      </div>
    </Modal>
  );
}

/** The end of the hour that has begun, which is charged already. */
function paidUntil(startedAt: string, now: number): number {
  const start = Date.parse(startedAt);
  return start + (Math.floor(Math.max(0, now - start) / 3_600_000) + 1) * 3_600_000;
}

function tooEarly(error: unknown): boolean {
  return error instanceof ApiError && error.code === 'MINIMUM_RUNTIME_NOT_MET';
}

/** The unused part of the first hour, counted down by the second; the server's figure where it is not the first hour. */
function RefundNow({ of: d, answer, now }: { of: Deployment; answer: number; now: number }) {
  const elapsed = Math.floor((now - Date.parse(d.startedAt ?? '')) / 1000);
  const first = elapsed >= 0 && elapsed < 3600;
  const amount: Micro = first && answer > 0 ? share(micro(d.hourlyPrice), 3600 - elapsed, 3600) : micro(answer);
  if (elapsed >= 3600 && amount === 0) return <>nothing: only the first hour is refunded, and it is over</>;
  return <Money amount={amount} most={2} />;
}
