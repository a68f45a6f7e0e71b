import { Button, Group, Modal } from '@mantine/core';
import { useState } from 'react';
import { ApiError } from '../../api/client';
import { useNow } from '../../api/clock';
import { type Deployment, useCanTerminate, useTerminate } from '../../api/deployments';
import { ErrorBox } from '../../parts/ErrorBox';
import { Facts } from '../../parts/Facts';
import { Loaded } from '../../parts/Loaded';
import { Money } from '../../parts/Money';
import { type Micro, micro, share } from '../../parts/money';
import { Time } from '../../parts/Time';
import { remaining, roughly } from '../../parts/time';
import { toast } from '../../parts/toast';

type Answer = NonNullable<ReturnType<typeof useCanTerminate>['data']>;

/**
 * Terminates a deployment: now where possible, else after a countdown to the end of its minimum
 * runtime.
 */
export function TerminateDialog({ of: d, onClose }: { of: Deployment; onClose: () => void }) {
  const check = useCanTerminate(d.id);
  const [scheduledAt, setScheduledAt] = useState<string | null>(null);
  return (
    <Modal opened onClose={onClose} title={`Terminate ${d.name}?`}>
      <Loaded query={check}>
        {(answer) =>
          scheduledAt ? (
            <Scheduled at={scheduledAt} onClose={onClose} />
          ) : (
            <Ask
              of={d}
              answer={answer}
              onClose={onClose}
              onScheduled={() => setScheduledAt(answer.terminableAt)}
              onRefused={() => void check.refetch()}
            />
          )
        }
      </Loaded>
    </Modal>
  );
}

function Scheduled({ at, onClose }: { at: string; onClose: () => void }) {
  return (
    <div className="stack">
      <div role="status">
        Termination scheduled for <Time at={at} />. You can close this page. To undo, clear Auto-terminate in Settings.
      </div>
      <Button onClick={onClose}>Close</Button>
    </div>
  );
}

interface AskProps {
  of: Deployment;
  answer: Answer;
  onClose: () => void;
  onScheduled: () => void;
  onRefused: () => void;
}

function Ask({ of: d, answer, onClose, onScheduled, onRefused }: AskProps) {
  const terminate = useTerminate();
  const now = useNow(1000);
  const left = Date.parse(answer.terminableAt) - now;
  const early = answer.remainingSeconds > 0 && left > 0;
  const locked = d.terminationProtection;

  const end = (when: 'now' | 'earliest') =>
    terminate.mutate(
      { params: { path: { id: d.id }, query: { when } } },
      {
        onSuccess: (after) => {
          if (when === 'earliest' && after.status !== 'terminating' && after.status !== 'terminated')
            return onScheduled();
          toast(`Terminating ${d.name}`);
          onClose();
        },
        // This clock may be ahead of the server's, whose time counts.
        onError: onRefused,
      },
    );

  return (
    <div className="stack">
      <div>This permanently deletes the machine and its local disks. Attached volumes are kept.</div>
      {early && (
        <div role="timer" aria-label="Time until termination is possible">
          <div className="clock">{remaining(left)}</div>
          <div className="small dim">
            until the minimum runtime is met (<Time at={answer.terminableAt} />)
          </div>
        </div>
      )}
      {locked && (
        <div>
          <b>Termination protection is on.</b> Turn it off in Settings first.
        </div>
      )}
      {!early && answer.reason && !locked && <div>{answer.reason}</div>}
      <Facts
        items={[
          [
            early ? 'Refund if terminated now' : 'Refund',
            d.startedAt ? <Refund key="refund" of={d} answer={answer.refund} now={now} /> : undefined,
          ],
          ['Billed until', d.startedAt ? <Time key="billed" at={billedUntil(d.startedAt, now)} /> : undefined],
          ['Hold released', answer.release > 0 ? <Money key="hold" usd={answer.release} /> : undefined],
        ]}
      />
      <ErrorBox error={early && isTooEarly(terminate.error) ? null : terminate.error} />
      <Group justify="flex-end" gap="xs">
        <Button variant="default" onClick={onClose}>
          Cancel
        </Button>
        <Button
          color="red.8"
          loading={terminate.isPending}
          disabled={locked}
          onClick={() => end(early ? 'earliest' : 'now')}
        >
          {early ? `Terminate in ${roughly(left)}` : 'Terminate now'}
        </Button>
      </Group>
    </div>
  );
}

/** The end of the current hour, which is already charged. */
function billedUntil(startedAt: string, now: number): number {
  const start = Date.parse(startedAt);
  return start + (Math.floor(Math.max(0, now - start) / 3_600_000) + 1) * 3_600_000;
}

function isTooEarly(error: unknown): boolean {
  return error instanceof ApiError && error.code === 'MINIMUM_RUNTIME_NOT_MET';
}

/** The unused part of the first hour, counted down by the second; after it, the server's figure. */
function Refund({ of: d, answer, now }: { of: Deployment; answer: number; now: number }) {
  const elapsed = Math.floor((now - Date.parse(d.startedAt ?? '')) / 1000);
  const firstHour = elapsed >= 0 && elapsed < 3600;
  const amount: Micro = firstHour && answer > 0 ? share(micro(d.hourlyPrice), 3600 - elapsed, 3600) : micro(answer);
  return (
    <>
      <Money amount={amount} />
      {elapsed >= 3600 && amount === 0 && <span className="dim"> (refunds apply to the first hour only)</span>}
    </>
  );
}
