import { Modal, Select, Textarea } from '@mantine/core';
import { useState } from 'react';
import type { Schema } from '../../api/client';
import { fieldErrors, useGet, useSend, withId } from '../../api/hooks';
import { serviceCreditsPage, serviceCreditsPath, useOperatorAccounts } from '../../api/operator';
import { useConfirm } from '../../parts/confirm';
import { EmptyState } from '../../parts/EmptyState';
import { ErrorBox } from '../../parts/ErrorBox';
import { Facts } from '../../parts/Facts';
import { FormDialog } from '../../parts/FormDialog';
import { formatMoney, micro } from '../../parts/money';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import type { RowAction } from '../../parts/RowMenu';
import { usePagedRows } from '../../parts/rows';
import { Status } from '../../parts/Status';
import { Ago, Time } from '../../parts/Time';
import { toast } from '../../parts/toast';
import { useFilters } from './filters';

type ServiceCredit = Schema['OperatorServiceCredit'];

/** What each state means. A missing or unknown one fails the type check. */
const states: Record<ServiceCredit['state'], string> = {
  proposed: 'To be decided',
  approved: 'Approved and credited',
  rejected: 'Rejected',
};

const causes: Record<ServiceCredit['cause'], string> = {
  machine_lost: 'Machine lost',
  machine_unhealthy: 'Machine unhealthy',
  machine_off: 'Machine off',
  gpus_failed: 'GPUs failed',
};

/** What is owed, or was credited, for machines that did not work. */
export function ServiceCredits() {
  const filters = useFilters();
  const chosen = filters.get('state');
  const state = chosen && chosen in states ? (chosen as ServiceCredit['state']) : undefined;
  const rows = usePagedRows<ServiceCredit>((page, limit) => serviceCreditsPage({ state, page, limit }));
  const accounts = useOperatorAccounts().data;
  const [shown, setShown] = useState<ServiceCredit | null>(null);
  const [rejecting, setRejecting] = useState<ServiceCredit | null>(null);
  const approve = useSend('post', '/api/v1/operator/service-credits/{id}/approve');
  const confirm = useConfirm();
  const nameOf = (c: ServiceCredit) => accounts?.find((x) => x.id === c.accountId)?.name ?? c.accountId;
  const actions = (c: ServiceCredit): RowAction[] => {
    const details = { text: 'Details', run: () => setShown(c) };
    if (c.state !== 'proposed') return [details];
    const amount = formatMoney(micro(c.amount));
    return [
      details,
      {
        text: 'Approve',
        run: () =>
          confirm({
            title: `Approve ${amount} for ${nameOf(c)}?`,
            body: 'The amount is added to the balance. If less is left to credit by now, that is added.',
            action: `Credit ${amount}`,
            run: async () => {
              const made = await approve.mutateAsync(withId(c.id));
              toast(`${formatMoney(micro(made.amount))} credited to ${nameOf(c)}`);
            },
          }),
      },
      { text: 'Reject', run: () => setRejecting(c) },
    ];
  };
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
        label="Service credits"
        columns={columns(nameOf)}
        rows={rows}
        rowKey={(c) => c.id}
        name={(c) => `${formatMoney(micro(c.amount))} for ${nameOf(c)}`}
        rowHeight={72}
        cardHeight={200}
        actions={actions}
        empty={
          <EmptyState
            title={state ? 'No service credits in this state' : 'No service credits yet'}
            api={{ path: serviceCreditsPath }}
          >
            What is owed for machines that did not work appears here, to be approved or rejected.
          </EmptyState>
        }
      />
      {shown && <DetailsDialog of={shown} account={nameOf(shown)} onClose={() => setShown(null)} />}
      {rejecting && <RejectDialog of={rejecting} account={nameOf(rejecting)} onClose={() => setRejecting(null)} />}
    </>
  );
}

/** The measured time, the charged hours and the formula. */
function DetailsDialog({ of, account, onClose }: { of: ServiceCredit; account: string; onClose: () => void }) {
  const detail = useGet(`${serviceCreditsPath}/{id}`, withId(of.id));
  return (
    <Modal opened onClose={onClose} title={`${formatMoney(micro(of.amount))} for ${account}`} size="xl">
      <Facts
        items={[
          ['State', <Status key="state" value={of.state} />],
          ['Deployment', `${of.deploymentName} (${of.deploymentId})`],
          ['Cause', causes[of.cause]],
          ['From', <Time key="from" at={of.from} seconds />],
          ['To', <Time key="to" at={of.to} seconds />],
          ['First seen', of.seenAt ? <Time key="seen" at={of.seenAt} seconds /> : 'Entered by an operator'],
          ['Formula', of.formula],
          ['Amount', formatMoney(micro(of.amount))],
          ['Note', of.note || undefined],
          ['Reason of the rejection', of.reason || undefined],
        ]}
      />
      <ErrorBox error={detail.error} />
      {detail.data && (
        <div style={{ overflowX: 'auto', marginTop: 16 }}>
          <table style={{ width: '100%', textAlign: 'right' }}>
            <caption style={{ textAlign: 'left' }}>Charged hours</caption>
            <thead>
              <tr>
                <th scope="col">Hour from</th>
                <th scope="col">Seconds</th>
                <th scope="col">Hourly price</th>
                <th scope="col">Charged</th>
                <th scope="col">Refunded</th>
                <th scope="col">Credited before</th>
                <th scope="col">Credit</th>
              </tr>
            </thead>
            <tbody>
              {detail.data.hours.map((h) => (
                <tr key={h.hour}>
                  <td>
                    <Time at={h.from} />
                  </td>
                  <td>{h.seconds}</td>
                  {[h.hourlyPrice, h.charged, h.refunded, h.creditedBefore, h.amount].map((usd, i) => (
                    // biome-ignore lint/suspicious/noArrayIndexKey: the columns never change
                    <td key={i}>{formatMoney(micro(usd))}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Modal>
  );
}

/** Rejects a proposal, with the reason that it needs. */
function RejectDialog({ of, account, onClose }: { of: ServiceCredit; account: string; onClose: () => void }) {
  const reject = useSend('post', '/api/v1/operator/service-credits/{id}/reject');
  const [reason, setReason] = useState('');
  const errors = fieldErrors(reject.error);
  const amount = formatMoney(micro(of.amount));
  const text = reason.replace(/\s+/g, ' ').trim();
  const submit = () =>
    reject.mutate(
      { ...withId(of.id), body: { reason: text } },
      {
        onSuccess: () => {
          toast(`${amount} for ${account} rejected`);
          onClose();
        },
      },
    );
  return (
    <FormDialog
      title={`Reject ${amount} for ${account}`}
      submit="Reject"
      danger
      disabled={text === ''}
      busy={reject.isPending}
      error={errors.general}
      onSubmit={submit}
      onClose={onClose}
    >
      <p>Nothing is credited. The account is not told.</p>
      <Textarea
        label="Reason"
        description="Operators read it."
        value={reason}
        maxLength={200}
        required
        onChange={(e) => setReason(e.currentTarget.value)}
        error={errors.at('reason')}
        data-autofocus
      />
    </FormDialog>
  );
}

function columns(nameOf: (c: ServiceCredit) => string): Column<ServiceCredit>[] {
  return [
    {
      key: 'account',
      head: 'Account',
      cell: (c) => (
        <>
          <span className="cell-main strong">{nameOf(c)}</span>
          <span className="cell-sub" title={c.deploymentId}>
            {c.deploymentName}
          </span>
        </>
      ),
    },
    { key: 'amount', head: 'Amount', width: '130px', end: true, cell: (c) => formatMoney(micro(c.amount)) },
    {
      key: 'cause',
      head: 'Cause',
      width: '30%',
      cell: (c) => (
        <>
          <span className="cell-main">{causes[c.cause]}</span>
          <span className="cell-sub">
            <Time at={c.from} /> to <Time at={c.to} />
          </span>
        </>
      ),
    },
    {
      key: 'state',
      head: 'State',
      width: '160px',
      cell: (c) => (
        <>
          <Status value={c.state} />
          {c.reason && (
            <span className="cell-sub" title={c.reason}>
              {c.reason}
            </span>
          )}
        </>
      ),
    },
    { key: 'proposed', head: 'Proposed', width: '130px', cell: (c) => <Ago at={c.createdAt} /> },
  ];
}
