import { Button, Group, SegmentedControl, Textarea } from '@mantine/core';
import { useState } from 'react';
import { Link } from 'react-router';
import { type Issue, useDismissIssue, useEndIssue, useIssues } from '../../api/operator';
import { Confirm } from '../../parts/Confirm';
import { EmptyState } from '../../parts/EmptyState';
import { ErrorBox } from '../../parts/ErrorBox';
import { PageSkeleton } from '../../parts/Skeletons';
import { Status } from '../../parts/Status';
import { Ago, Time } from '../../parts/Time';
import { toast } from '../../parts/toast';

const kinds: Record<Issue['kind'], string> = {
  orphaned_machine: 'A machine that nobody owns',
  undead_machine: 'A machine that outlived its deployment',
  duplicate_machine: 'A second machine for one deployment',
  unmanaged_machine: 'A machine of somebody else',
  lost_machine: 'A machine that is gone upstream',
  stuck_termination: 'An end that the provider does not confirm',
  orphaned_volume: 'A volume that nobody owns',
  price_mismatch: 'Price differs from the offer',
  private_address: 'Address is not on the Internet',
};

type State = Issue['state'];

/** What the comparison of the providers' lists with ours has found. */
export function Issues() {
  const [state, setState] = useState<State>('open');
  const issues = useIssues({ state });
  const [ending, setEnding] = useState<Issue | null>(null);
  const [dismissing, setDismissing] = useState<Issue | null>(null);
  const [note, setNote] = useState('');
  const end = useEndIssue();
  const dismiss = useDismissIssue();
  const rows = issues.data?.rows;
  return (
    <>
      <SegmentedControl
        mb="sm"
        aria-label="State"
        value={state}
        onChange={(v) => setState(v as State)}
        data={['open', 'ended', 'dismissed', 'settled']}
      />
      {!rows ? (
        issues.isError ? (
          <ErrorBox error={issues.error} retry={() => void issues.refetch()} />
        ) : (
          <PageSkeleton />
        )
      ) : rows.length === 0 ? (
        <EmptyState title={state === 'open' ? 'Nothing is amiss' : 'None'} api={{ path: '/api/v1/operator/issues' }}>
          Every provider's list of machines and volumes is compared with ours all the time. What nobody owns, or what is
          gone, appears here.
        </EmptyState>
      ) : (
        <div className="stack">
          {rows.map((f) => (
            <section key={f.id} className="panel panel-body issue" aria-label={kinds[f.kind]}>
              <div className="card-row">
                <span className="strong">{kinds[f.kind] ?? f.kind}</span>
                <Status value={f.state} />
              </div>
              <div>{f.detail}</div>
              {f.problem && <div className="small">The provider said: {f.problem}</div>}
              {f.note && <div className="small">Note: {f.note}</div>}
              <div className="small dim">
                {f.provider}
                {f.upstreamId && <span className="mono"> {f.upstreamId}</span>} · first seen <Ago at={f.firstSeenAt} />,
                last <Ago at={f.lastSeenAt} />
                {f.endAfter && f.state === 'open' && (
                  <>
                    {' '}
                    · ended by policy at <Time at={f.endAfter} />
                  </>
                )}
                {f.endingSince && (
                  <>
                    {' '}
                    · being ended since <Ago at={f.endingSince} />
                  </>
                )}
                {f.held && ' · held: too many at once for the policy to act'}
                {f.deploymentId && (
                  <>
                    {' '}
                    ·{' '}
                    <Link to={`/deployments/${f.deploymentId}`} className="link">
                      deployment
                    </Link>
                  </>
                )}
              </div>
              {f.state === 'open' && (
                <Group gap="xs">
                  {f.endable && !f.endingSince && (
                    <Button size="compact-sm" variant="default" className="danger-button" onClick={() => setEnding(f)}>
                      End it now
                    </Button>
                  )}
                  <Button size="compact-sm" variant="default" onClick={() => setDismissing(f)}>
                    Dismiss
                  </Button>
                </Group>
              )}
            </section>
          ))}
        </div>
      )}
      {ending && (
        <Confirm
          opened
          onClose={() => {
            setEnding(null);
            end.reset();
          }}
          title="End it at the provider?"
          action="End it"
          danger
          busy={end.isPending}
          error={end.error}
          onConfirm={() =>
            end.mutate(ending.id, {
              onSuccess: () => {
                toast('The provider is asked to end it');
                setEnding(null);
              },
            })
          }
        >
          {kinds[ending.kind]}, at {ending.provider}:{' '}
          <code className="mono">{ending.upstreamId ?? ending.reference}</code>. What is on it is lost.
        </Confirm>
      )}
      {dismissing && (
        <Confirm
          opened
          onClose={() => {
            setDismissing(null);
            setNote('');
            dismiss.reset();
          }}
          title="Dismiss this issue?"
          action="Dismiss"
          busy={dismiss.isPending}
          error={dismiss.error}
          onConfirm={() =>
            dismiss.mutate(
              { id: dismissing.id, note: note.trim() },
              {
                onSuccess: () => {
                  setDismissing(null);
                  setNote('');
                },
              },
            )
          }
        >
          It stays as it is, and no policy ends it.
          <Textarea label="Why" value={note} onChange={(e) => setNote(e.currentTarget.value)} mt="sm" data-autofocus />
        </Confirm>
      )}
    </>
  );
}
