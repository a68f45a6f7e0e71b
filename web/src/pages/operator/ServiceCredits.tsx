import { Button, Group, Modal, Select, Textarea } from '@mantine/core';
import { useState } from 'react';
import { Link } from 'react-router';
import type { Schema } from '../../api/client';
import { fieldErrors, useGet, useSend, withId } from '../../api/hooks';
import { serviceCreditsPage, serviceCreditsPath, useAccountName } from '../../api/operator';
import { useConfirm } from '../../parts/confirm';
import { EmptyState } from '../../parts/EmptyState';
import { Facts } from '../../parts/Facts';
import { FormDialog } from '../../parts/FormDialog';
import { Loaded } from '../../parts/Loaded';
import { Money } from '../../parts/Money';
import { formatMoney, micro } from '../../parts/money';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import type { RowAction } from '../../parts/RowMenu';
import { useListRows, usePagedRows } from '../../parts/rows';
import { Status } from '../../parts/Status';
import { Ago, Time } from '../../parts/Time';
import { duration } from '../../parts/time';
import { toast } from '../../parts/toast';
import { AccountChoice, useFilters } from './filters';
import { ServiceCreditDialog } from './ServiceCreditDialog';

type ServiceCredit = Schema['OperatorServiceCredit'];

/** What each state means. A missing or unknown one fails the type check. */
const states: Record<ServiceCredit['state'], string> = {
  proposed: 'Waiting for a decision',
  approved: 'Approved and credited',
  rejected: 'Rejected',
};

const causes: Record<ServiceCredit['cause'], string> = {
  machine_lost: 'Machine lost',
  machine_unhealthy: 'Machine unhealthy',
  machine_off: 'Machine off',
  gpus_failed: 'GPUs failed',
};

/** "2 of 8 GPUs failed", or what was measured. */
function causeOf(c: ServiceCredit): string {
  if (c.cause !== 'gpus_failed') return causes[c.cause];
  return c.gpus === 1 ? 'GPU failed' : `${c.failedGpus} of ${c.gpus} GPUs failed`;
}

/** What is owed, or was credited, for machines that did not work. */
export function ServiceCredits() {
  const filters = useFilters();
  const chosen = filters.get('state');
  const state = chosen && chosen in states ? (chosen as ServiceCredit['state']) : undefined;
  const account = filters.get('account');
  const rows = usePagedRows<ServiceCredit>((page, limit) => serviceCreditsPage({ state, account, page, limit }));
  const accountName = useAccountName();
  const [creating, setCreating] = useState(false);
  const [shown, setShown] = useState<ServiceCredit | null>(null);
  const [rejecting, setRejecting] = useState<ServiceCredit | null>(null);
  const approve = useSend('post', `${serviceCreditsPath}/{id}/approve`);
  const confirm = useConfirm();
  const nameOf = (c: ServiceCredit) => accountName(c.accountId);
  const askApprove = (c: ServiceCredit) => {
    const amount = formatMoney(micro(c.amount), 2, 2);
    confirm({
      title: `Approve ${amount} for ${nameOf(c)}?`,
      body:
        'The amount is added to the balance, and the account is told. ' +
        'If other credits or refunds came in the meantime, only what is still owed is added.',
      action: 'Approve',
      run: async () => {
        const made = await approve.mutateAsync(withId(c.id));
        toast(`${formatMoney(micro(made.amount), 2, 2)} credited to ${nameOf(c)}`);
      },
    });
  };
  const actions = (c: ServiceCredit): RowAction[] => [
    { text: 'View details', run: () => setShown(c) },
    ...(c.state === 'proposed'
      ? [
          { text: 'Approve', run: () => askApprove(c) },
          { text: 'Reject', danger: true, run: () => setRejecting(c) },
        ]
      : []),
  ];
  const create = (
    <Button variant="default" onClick={() => setCreating(true)} className="filters-end">
      Create service credit
    </Button>
  );
  const filtered = state !== undefined || account !== undefined;
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
        <AccountChoice of={filters} />
        {(rows.count > 0 || filtered) && create}
      </search>
      <ResourceTable
        label="Service credits"
        columns={columns(nameOf)}
        rows={rows}
        rowKey={(c) => c.id}
        name={(c) => `${formatMoney(micro(c.amount), 2, 2)} for ${nameOf(c)}`}
        rowHeight={72}
        cardHeight={225}
        actions={actions}
        empty={
          filtered ? (
            <EmptyState
              title="No service credits match your filters"
              action={
                <Button variant="default" onClick={filters.clear}>
                  Clear filters
                </Button>
              }
            >
              Choose another state or account.
            </EmptyState>
          ) : (
            <EmptyState title="No service credits yet" action={create} api={{ path: serviceCreditsPath }}>
              When a machine does not work, what is owed to its account appears here, to be approved or rejected. Failed
              GPUs are not measured: create a service credit for them.
            </EmptyState>
          )
        }
      />
      {creating && <ServiceCreditDialog onClose={() => setCreating(false)} />}
      {shown && <DetailsDialog of={shown} account={nameOf(shown)} onClose={() => setShown(null)} />}
      {rejecting && <RejectDialog of={rejecting} account={nameOf(rejecting)} onClose={() => setRejecting(null)} />}
    </>
  );
}

/** The time, the formula and the charged hours of a service credit. */
function DetailsDialog({ of, account, onClose }: { of: ServiceCredit; account: string; onClose: () => void }) {
  const detail = useGet(`${serviceCreditsPath}/{id}`, withId(of.id));
  return (
    <Modal opened onClose={onClose} title="Service credit" size="xl">
      <div className="stack">
        <Facts
          items={[
            ['State', <Status key="state" value={of.state} />],
            [
              'Account',
              <Link key="account" to={`/operator/accounts/${of.accountId}`} className="link">
                {account}
              </Link>,
            ],
            [
              'Deployment',
              <span key="deployment">
                {of.deploymentName} <span className="mono dim">{of.deploymentId}</span>
              </span>,
            ],
            ['Cause', causeOf(of)],
            ['From', <Time key="from" at={of.from} seconds />],
            ['To', <Time key="to" at={of.to} seconds />],
            ['First seen', of.seenAt ? <Time key="seen" at={of.seenAt} seconds /> : undefined],
            ['Measured', of.seenAt ? undefined : `No, entered by ${of.enteredBy || 'an operator'}`],
            ['Formula', of.formula],
            [of.state === 'approved' ? 'Credited' : 'Amount', <Money key="amount" usd={of.amount} rate />],
            ['Without a review', of.automatic ? 'Yes' : undefined],
            ['Note to the account', of.note || undefined],
            ['Reason of the rejection', of.reason || undefined],
            ['Decided', of.decidedAt ? <Time key="decided" at={of.decidedAt} /> : undefined],
            ['Decided by', of.decidedBy || undefined],
          ]}
        />
        <Loaded query={detail}>{(d) => <Hours of={d.hours} />}</Loaded>
        <Group justify="flex-end">
          <Button onClick={onClose}>Close</Button>
        </Group>
      </div>
    </Modal>
  );
}

type Hour = Schema['CreditedHour'];

function Hours({ of: hours }: { of: Hour[] }) {
  const rows = useListRows<Hour>({ data: hours, error: null, refetch: () => {} });
  return (
    <ResourceTable
      label="Charged hours"
      columns={hourColumns}
      rows={rows}
      rowKey={(h) => String(h.hour)}
      cardHeight={190}
      empty={<div className="dim">No hour was charged for this time.</div>}
    />
  );
}

const usd = (key: keyof Hour & ('charged' | 'refunded' | 'creditedBefore' | 'amount'), head: string): Column<Hour> => ({
  key,
  head,
  end: true,
  cell: (h) => <Money usd={h[key]} />,
});

const hourColumns: Column<Hour>[] = [
  { key: 'from', head: 'Hour from', width: '186px', cell: (h) => <Time at={h.from} /> },
  { key: 'seconds', head: 'Time', width: '104px', end: true, cell: (h) => duration(h.seconds * 1000) },
  usd('charged', 'Charged'),
  usd('refunded', 'Refunded'),
  { ...usd('creditedBefore', 'Credited before'), width: '124px' },
  usd('amount', 'Credit'),
];

/** Rejects a proposal, with the reason that it needs. */
function RejectDialog({ of, account, onClose }: { of: ServiceCredit; account: string; onClose: () => void }) {
  const reject = useSend('post', `${serviceCreditsPath}/{id}/reject`);
  const [reason, setReason] = useState('');
  const errors = fieldErrors(reject.error);
  const amount = formatMoney(micro(of.amount), 2, 2);
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
      <div>Nothing is credited, and the account is not told. This is final.</div>
      <Textarea
        label="Reason"
        description="Only operators read it."
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
    { key: 'amount', head: 'Amount', width: '110px', end: true, cell: (c) => <Money usd={c.amount} /> },
    {
      key: 'cause',
      head: 'Cause',
      width: '34%',
      cell: (c) => (
        <>
          <span className="cell-main">
            {causeOf(c)} for {duration(Date.parse(c.to) - Date.parse(c.from))}
          </span>
          <span className="cell-sub">
            from <Time at={c.from} />
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
          {(c.reason || c.automatic) && (
            <span className="cell-sub" title={c.reason || undefined}>
              {c.reason || 'without a review'}
            </span>
          )}
        </>
      ),
    },
    { key: 'proposed', head: 'Proposed', width: '130px', from: 720, cell: (c) => <Ago at={c.createdAt} /> },
  ];
}
