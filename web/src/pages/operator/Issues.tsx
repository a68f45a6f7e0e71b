import { SegmentedControl, Textarea } from '@mantine/core';
import { useState } from 'react';
import { Link } from 'react-router';
import { useSend, withId } from '../../api/hooks';
import { type Issue, issuesPage, issuesPath } from '../../api/operator';
import { useConfirm } from '../../parts/confirm';
import { EmptyState } from '../../parts/EmptyState';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import type { RowAction } from '../../parts/RowMenu';
import { usePagedRows } from '../../parts/rows';
import { Status } from '../../parts/Status';
import { Ago, Time } from '../../parts/Time';
import { toast } from '../../parts/toast';

const kinds: Record<Issue['kind'], string> = {
  orphaned_machine: 'Orphaned machine',
  undead_machine: 'Machine running after termination',
  duplicate_machine: 'Duplicate machine',
  unmanaged_machine: 'Unmanaged machine',
  lost_machine: 'Lost machine',
  failed_gpus: 'Failed GPUs',
  refusing_bmc: 'BMC refuses Billet',
  stuck_termination: 'Stuck termination',
  orphaned_volume: 'Orphaned volume',
  price_mismatch: 'Price mismatch',
  private_address: 'Private address',
  changed_ledger: 'Changed ledger',
  payment_mismatch: 'Payment mismatch',
  invoice_difference: 'Invoice difference',
  missing_exchange_rate: 'Missing exchange rate',
  payment_dispute: 'Disputed payment',
};

type State = Issue['state'];
const states: Record<State, string> = {
  open: 'Open',
  ended: 'Terminated',
  dismissed: 'Dismissed',
  settled: 'Resolved',
};

/** What differs between the providers' resources and ours. */
export function Issues() {
  const [state, setState] = useState<State>('open');
  const rows = usePagedRows((page, limit) => issuesPage({ state, page, limit }));
  const terminate = useSend('post', `${issuesPath}/{id}/terminate`);
  const dismiss = useSend('post', `${issuesPath}/{id}/dismiss`);
  const confirm = useConfirm();

  const actions = (issue: Issue): RowAction[] => {
    if (issue.state !== 'open') return [];
    const dismissal = {
      text: 'Dismiss',
      run: () =>
        confirm({
          title: 'Dismiss this issue?',
          body: (
            <>
              The resource stays, and no policy terminates it.
              <Textarea name="note" label="Note" mt="sm" data-autofocus />
            </>
          ),
          action: 'Dismiss',
          run: (form) => {
            const note = String(form.get('note')).trim();
            return dismiss.mutateAsync({ ...withId(issue.id), body: note ? { note } : {} });
          },
        }),
    };
    if (!issue.endable || issue.endingSince) return [dismissal];
    return [
      dismissal,
      {
        text: 'Terminate at provider',
        danger: true,
        run: () =>
          confirm({
            title: 'Terminate at provider?',
            body: (
              <>
                {kinds[issue.kind]} at {issue.provider}:{' '}
                <code className="mono">{issue.upstreamId ?? issue.reference}</code>. Its data is lost.
              </>
            ),
            action: 'Terminate',
            danger: true,
            run: async () => {
              await terminate.mutateAsync(withId(issue.id));
              toast('Termination requested at the provider');
            },
          }),
      },
    ];
  };

  return (
    <>
      <SegmentedControl
        mb="sm"
        aria-label="State"
        value={state}
        onChange={(v) => setState(v as State)}
        data={Object.entries(states).map(([value, label]) => ({ value, label }))}
      />
      <ResourceTable
        label="Issues"
        columns={columns}
        rows={rows}
        rowKey={(i) => i.id}
        name={(i) => kinds[i.kind] ?? i.kind}
        actions={actions}
        rowHeight={76}
        cardHeight={240}
        empty={
          <EmptyState
            title={state === 'open' ? 'No open issues' : 'No issues'}
            api={{ path: '/api/v1/operator/issues' }}
          >
            Billet compares every provider's machines and volumes with its own records. Orphaned and lost resources
            appear here.
          </EmptyState>
        }
      />
    </>
  );
}

const columns: Column<Issue>[] = [
  {
    key: 'kind',
    head: 'Issue',
    width: '22%',
    cell: (i) => (
      <>
        <span className="strong">{kinds[i.kind] ?? i.kind}</span> {i.state !== 'open' && <Status value={i.state} />}
        {i.deploymentId && (
          <Link to={`/deployments/${i.deploymentId}`} className="link small cell-sub">
            View deployment
          </Link>
        )}
      </>
    ),
  },
  {
    key: 'detail',
    head: 'Details',
    cell: (i) => (
      <>
        <span title={i.detail}>{i.detail}</span>
        {i.problem && (
          <span className="cell-sub" title={i.problem}>
            Provider error: {i.problem}
          </span>
        )}
        {i.note && (
          <span className="cell-sub" title={i.note}>
            Note: {i.note}
          </span>
        )}
      </>
    ),
  },
  {
    key: 'provider',
    head: 'Provider',
    width: '170px',
    from: 760,
    cell: (i) => (
      <>
        <span className="cell-main">{i.provider}</span>
        <span className="cell-sub mono">{i.upstreamId}</span>
      </>
    ),
  },
  {
    key: 'seen',
    head: 'First seen',
    width: '190px',
    cell: (i) => (
      <>
        <Ago at={i.firstSeenAt} />
        <span className="cell-sub wrap">{policy(i)}</span>
      </>
    ),
  },
];

/** What a policy does with the issue, if anything. */
function policy(i: Issue) {
  if (i.endingSince)
    return (
      <>
        terminating since <Ago at={i.endingSince} />
      </>
    );
  if (i.held) return 'on hold: too many at once for the policy';
  if (i.endAfter && i.state === 'open')
    return (
      <>
        terminates <Time at={i.endAfter} />
      </>
    );
  return (
    <>
      last seen <Ago at={i.lastSeenAt} />
    </>
  );
}
