import { Alert, Button } from '@mantine/core';
import type { ReactNode } from 'react';
import { Link, useParams } from 'react-router';
import type { Schema } from '../../../api/client';
import { type TopUpDetails, useAccountName, useAnyTopUp } from '../../../api/operator';
import { BackIcon } from '../../../app/icons';
import { ErrorBox } from '../../../parts/ErrorBox';
import { Facts } from '../../../parts/Facts';
import { Money } from '../../../parts/Money';
import { PageHead } from '../../../parts/PageHead';
import { Panel } from '../../../parts/Panel';
import { type Column, ResourceTable } from '../../../parts/ResourceTable';
import { useListRows } from '../../../parts/rows';
import { PageSkeleton } from '../../../parts/Skeletons';
import { Status } from '../../../parts/Status';
import { Time } from '../../../parts/Time';
import { processors } from '../../billing/words';
import { canClose, useTopUpActions } from './topUpActions';

/** One top-up with all that became of its money. */
export default function TopUp() {
  const { id = '' } = useParams();
  const topUp = useAnyTopUp(id);
  const accountName = useAccountName();
  const { actions, dialog } = useTopUpActions();
  const t = topUp.data;
  if (!t)
    return topUp.isError ? (
      <>
        <PageHead title="Top-up" before={back} />
        <ErrorBox error={topUp.error} retry={() => void topUp.refetch()} />
      </>
    ) : (
      <PageSkeleton />
    );
  return (
    <>
      <PageHead
        title="Top-up"
        before={back}
        actions={actions(t).map((a) => (
          <Button key={a.text} variant={a.danger ? 'default' : undefined} onClick={a.run}>
            {a.text}
          </Button>
        ))}
      >
        <span className="mono">{t.id}</span> <Status value={t.status} />
      </PageHead>
      {t.problem && (
        <Alert color="red" variant="outline" mb="md" title="Money that was paid is not credited">
          {t.problem}{' '}
          {canClose(t) ? (
            <>
              Refund the money at the processor, or{' '}
              <Link to={`/operator/accounts/${t.accountId}`} className="link">
                add it as credit
              </Link>
              . Then close the top-up.
            </>
          ) : (
            <>
              Refund what was paid twice at the processor. Then dismiss its issue under{' '}
              <Link to="/operator/issues" className="link">
                Issues
              </Link>
              .
            </>
          )}
        </Alert>
      )}
      <Panel title="Payment">
        <Facts
          items={[
            [
              'Account',
              <Link key="account" to={`/operator/accounts/${t.accountId}`} className="link">
                {accountName(t.accountId)}
              </Link>,
            ],
            ['Paid by', `${processors[t.processor] ?? t.processor}${t.automatic ? ', automatic' : ''}`],
            ['Asked for', <Money key="amount" usd={t.amount} />],
            ['Received', t.received ? <Received key="received" of={t} /> : 'Nothing yet'],
            ['Fee of the processor', t.fee ? <Money key="fee" usd={t.fee} /> : undefined],
            ['Refunded', t.refunded ? <Money key="refunded" usd={t.refunded} /> : undefined],
            ['Disputed', t.disputed ? <Money key="disputed" usd={t.disputed} /> : undefined],
            ['Can be refunded', t.received ? <Money key="refundable" usd={t.refundable} /> : undefined],
            ['Reference', code(t.reference)],
            ['Payment at the processor', t.payment === t.reference ? undefined : code(t.payment)],
            ['Bank reference', code(t.bankReference)],
            ['Last failure', t.failureMessage ? failure(t) : undefined],
            ['Payment page', t.checkoutUrl ? page(t.checkoutUrl) : undefined],
            ['Page closes', t.expiresAt ? <Time key="expires" at={t.expiresAt} /> : undefined],
            ['Created by', t.createdBy.name || t.createdBy.type],
            ['Created', <Time key="created" at={t.createdAt} />],
            ['Completed', t.completedAt ? <Time key="completed" at={t.completedAt} /> : undefined],
          ]}
        />
      </Panel>
      <Panel title="Refunds" mt={16} bare>
        <Refunds of={t.allRefunds} />
      </Panel>
      <Panel title="Disputes" mt={16} bare>
        <Disputes of={t.disputes} />
      </Panel>
      {dialog}
    </>
  );
}

const back = (
  <Link to="/operator/top-ups" className="link small">
    <BackIcon width={12} height={12} /> Top-ups
  </Link>
);

function code(text: string): ReactNode | undefined {
  return text ? (
    <span className="mono" style={{ overflowWrap: 'anywhere' }}>
      {text}
    </span>
  ) : undefined;
}

function page(url: string): ReactNode {
  return (
    <a className="link" href={url} style={{ overflowWrap: 'anywhere' }}>
      {url}
    </a>
  );
}

function failure(t: TopUpDetails): string {
  return t.failureCode ? `${t.failureMessage} (${t.failureCode})` : String(t.failureMessage);
}

function Received({ of: t }: { of: TopUpDetails }) {
  return (
    <>
      <Money usd={t.received} />
      {t.received < t.amount && ', less than asked for'}
      {t.received > t.amount && ', more than asked for'}
    </>
  );
}

function none(text: string) {
  return <div className="panel-body dim">{text}</div>;
}

type Refund = Schema['RefundView'];

function Refunds({ of: refunds }: { of: Refund[] }) {
  const rows = useListRows<Refund>({ data: refunds, error: null, refetch: () => {} });
  return (
    <ResourceTable
      label="Refunds"
      columns={refundColumns}
      rows={rows}
      rowKey={(f) => f.id}
      cardHeight={150}
      empty={none('None.')}
    />
  );
}

const refundColumns: Column<Refund>[] = [
  { key: 'at', head: 'Created', width: '190px', cell: (f) => <Time at={f.createdAt} /> },
  {
    key: 'status',
    head: 'Status',
    width: '130px',
    cell: (f) => <Status value={f.status} />,
  },
  {
    key: 'reason',
    head: 'Reason',
    cell: (f) => (
      <>
        <span style={{ overflowWrap: 'anywhere' }}>{f.reason}</span>
        {f.message && <span className="cell-sub wrap">{f.message}</span>}
      </>
    ),
  },
  { key: 'amount', head: 'Amount', width: '130px', end: true, cell: (f) => <Money usd={f.amount} /> },
];

type Dispute = Schema['DisputeView'];

function Disputes({ of: disputes }: { of: Dispute[] }) {
  const rows = useListRows<Dispute>({ data: disputes, error: null, refetch: () => {} });
  return (
    <ResourceTable
      label="Disputes"
      columns={disputeColumns}
      rows={rows}
      rowKey={(d) => d.reference}
      cardHeight={150}
      empty={none('None.')}
    />
  );
}

const disputeColumns: Column<Dispute>[] = [
  { key: 'at', head: 'Recorded', width: '190px', cell: (d) => <Time at={d.createdAt} /> },
  { key: 'status', head: 'Status', width: '130px', cell: (d) => <Status value={d.status} /> },
  {
    key: 'reason',
    head: 'Reason',
    cell: (d) => (
      <>
        <span className="cell-main">{d.reason}</span>
        <span className="cell-sub mono">{d.reference}</span>
      </>
    ),
  },
  { key: 'amount', head: 'Amount', width: '130px', end: true, cell: (d) => <Money usd={d.amount} /> },
];
