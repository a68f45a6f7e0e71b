import { Select, Textarea } from '@mantine/core';
import { useState } from 'react';
import type { Schema } from '../../api/client';
import { asApiError } from '../../api/error';
import { fieldErrors, useSend, withId } from '../../api/hooks';
import { adjustmentsPage, adjustmentsPath, useOperatorAccounts } from '../../api/operator';
import { useMe } from '../../api/session';
import { EmptyState } from '../../parts/EmptyState';
import { FormDialog } from '../../parts/FormDialog';
import { formatMoney, micro } from '../../parts/money';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import { usePagedRows } from '../../parts/rows';
import { Status } from '../../parts/Status';
import { Ago, Time } from '../../parts/Time';
import { toast } from '../../parts/toast';
import { useFilters } from './filters';

type Adjustment = Schema['Adjustment'];

/** What each state means. A missing or unknown one fails the type check. */
const states: Record<Adjustment['state'], string> = {
  pending: 'Waiting for another operator',
  booked: 'Booked without approval',
  approved: 'Approved and booked',
  rejected: 'Rejected',
  withdrawn: 'Withdrawn by the operator who asked',
  expired: 'Not approved within 30 days',
};

/** Credit that operators added, removed or asked for. */
export function Adjustments() {
  const filters = useFilters();
  const chosen = filters.get('state');
  const state = chosen && chosen in states ? (chosen as Adjustment['state']) : undefined;
  const rows = usePagedRows<Adjustment>((page, limit) => adjustmentsPage({ state, page, limit }));
  const accounts = useOperatorAccounts().data;
  const [deciding, setDeciding] = useState<{ of: Adjustment; approve: boolean } | null>(null);
  const withdraw = useSend('post', '/api/v1/operator/adjustments/{id}/withdraw');
  const me = useMe().data?.user.id;
  const run: Record<Action, (a: Adjustment) => void> = {
    Approve: (a) => setDeciding({ of: a, approve: true }),
    Reject: (a) => setDeciding({ of: a, approve: false }),
    Withdraw: (a) =>
      withdraw.mutate(withId(a.id), {
        onSuccess: () => toast('Adjustment withdrawn'),
        onError: (error) => toast(asApiError(error).message),
      }),
  };
  const nameOf = (a: Adjustment) => accounts?.find((x) => x.id === a.accountId)?.name ?? a.accountId;
  return (
    <>
      <search className="filters-row">
        <Select
          aria-label="State"
          placeholder="Any state"
          data={Object.entries(states).map(([value, label]) => ({ value, label }))}
          value={state ?? null}
          onChange={(v) => filters.set('state', v ?? '')}
          clearable
          clearButtonProps={{ 'aria-label': 'Clear state' }}
        />
      </search>
      <ResourceTable
        label="Adjustments"
        columns={columns(nameOf)}
        rows={rows}
        rowKey={(a) => a.id}
        name={(a) => `${formatMoney(micro(a.amount))} for ${nameOf(a)}`}
        rowHeight={72}
        cardHeight={180}
        actions={(a) => actionsOf(a, me).map((action) => ({ text: action, run: () => run[action](a) }))}
        empty={
          <EmptyState
            title={state ? 'No adjustments in this state' : 'No adjustments yet'}
            api={{ path: adjustmentsPath }}
          >
            Credit that operators add or remove appears here, with who asked for it and who approved it.
          </EmptyState>
        }
      />
      {deciding && (
        <DecideDialog
          of={deciding.of}
          account={nameOf(deciding.of)}
          approve={deciding.approve}
          onClose={() => setDeciding(null)}
        />
      )}
    </>
  );
}

type Action = 'Approve' | 'Reject' | 'Withdraw';

/** What a user may do with an adjustment: who asked for it withdraws it, others decide. */
function actionsOf(a: Adjustment, me: string | undefined): Action[] {
  if (a.state !== 'pending') return [];
  return me !== undefined && a.createdBy.id === me ? ['Withdraw'] : ['Approve', 'Reject'];
}

/** Approves or rejects an adjustment, with a comment. */
function DecideDialog(p: { of: Adjustment; account: string; approve: boolean; onClose: () => void }) {
  const approve = useSend('post', '/api/v1/operator/adjustments/{id}/approve');
  const reject = useSend('post', '/api/v1/operator/adjustments/{id}/reject');
  const [comment, setComment] = useState('');
  const send = p.approve ? approve : reject;
  const errors = fieldErrors(send.error);
  const amount = formatMoney(micro(p.of.amount));
  const text = comment.replace(/\s+/g, ' ').trim();
  const submit = () =>
    send.mutate(
      { ...withId(p.of.id), body: text ? { comment: text } : {} },
      {
        onSuccess: () => {
          toast(p.approve ? `${amount} booked for ${p.account}` : `${amount} for ${p.account} rejected`);
          p.onClose();
        },
      },
    );
  return (
    <FormDialog
      title={`${p.approve ? 'Approve' : 'Reject'} ${amount} for ${p.account}`}
      submit={p.approve ? `Book ${amount}` : 'Reject'}
      danger={!p.approve}
      busy={send.isPending}
      error={errors.general}
      onSubmit={submit}
      onClose={p.onClose}
    >
      <div style={{ overflowWrap: 'anywhere' }}>
        <p>
          {p.of.createdBy.name} requested this: {p.of.reason}
        </p>
        {p.of.note && <p>Note to the account: {p.of.note}</p>}
        {p.of.reference && <p>Reference: {p.of.reference}</p>}
        {p.of.creditExpiresAt && (
          <p>
            The credit expires <Time at={p.of.creditExpiresAt} />.
          </p>
        )}
      </div>
      <Textarea
        label="Comment"
        description="Optional. Operators read it."
        value={comment}
        maxLength={500}
        onChange={(e) => setComment(e.currentTarget.value)}
        error={errors.at('comment')}
        data-autofocus
      />
    </FormDialog>
  );
}

function columns(nameOf: (a: Adjustment) => string): Column<Adjustment>[] {
  return [
    {
      key: 'account',
      head: 'Account',
      cell: (a) => (
        <>
          <span className="cell-main strong">{nameOf(a)}</span>
          <span className="cell-sub" title={a.reason || a.note}>
            {a.reason || a.note}
          </span>
        </>
      ),
    },
    { key: 'amount', head: 'Amount', width: '130px', end: true, cell: (a) => formatMoney(micro(a.amount)) },
    {
      key: 'state',
      head: 'State',
      width: '30%',
      cell: (a) => (
        <>
          <Status value={a.state} />
          {a.decidedBy && (
            <span className="cell-sub" title={a.comment}>
              by {a.decidedBy.name}
              {a.comment && `: ${a.comment}`}
            </span>
          )}
        </>
      ),
    },
    {
      key: 'asked',
      head: 'Asked',
      width: '160px',
      cell: (a) => (
        <>
          <Ago at={a.createdAt} />
          <span className="cell-sub">{a.createdBy.name}</span>
        </>
      ),
    },
  ];
}
