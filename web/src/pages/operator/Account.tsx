import { Button, Group } from '@mantine/core';
import { useState } from 'react';
import { Link, useParams } from 'react-router';
import type { Schema } from '../../api/client';
import { pageQuery, useGet, useSend, withId } from '../../api/hooks';
import { useMe } from '../../api/session';
import { BackIcon } from '../../app/icons';
import { useConfirm } from '../../parts/confirm';
import { ErrorBox } from '../../parts/ErrorBox';
import { Facts } from '../../parts/Facts';
import { formatNumber, formatPercent } from '../../parts/locale';
import { Money } from '../../parts/Money';
import { PageHead } from '../../parts/PageHead';
import { Panel } from '../../parts/Panel';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import { usePagedRows } from '../../parts/rows';
import { PageSkeleton } from '../../parts/Skeletons';
import { Chip, Status } from '../../parts/Status';
import { Ago, Time } from '../../parts/Time';
import { actionWords } from '../settings/audit';
import { InvoicePreviewDialog } from './billing/InvoicePreviewDialog';
import { InvoiceTable } from './billing/InvoiceTable';
import { TopUpTable } from './billing/TopUpTable';
import { CreditDialog } from './CreditDialog';
import { InviteOwnerDialog } from './InviteOwnerDialog';
import { MarkupDialog } from './MarkupDialog';
import { QuotasDialog } from './QuotasDialog';
import { SuspendDialog } from './SuspendDialog';
import { ViewDialog } from './ViewDialog';

type Dialog = 'credit' | 'markup' | 'quotas' | 'suspend' | 'invite' | 'view' | 'preview';

/** All that an operator sees of one account. */
export default function Account() {
  const { id = '' } = useParams();
  const account = useGet('/api/v1/operator/accounts/{id}', withId(id));
  const quotas = useGet('/api/v1/operator/accounts/{id}/quotas', withId(id));
  const own = useMe().data?.account.id === id;
  const trust = useSend('put', '/api/v1/operator/accounts/{id}/trust');
  const confirm = useConfirm();
  const [dialog, setDialog] = useState<Dialog | null>(null);
  const a = account.data;
  if (!a)
    return account.isError ? (
      <>
        <PageHead title="Account" before={back} />
        <ErrorBox error={account.error} retry={() => void account.refetch()} />
      </>
    ) : (
      <PageSkeleton />
    );
  const close = () => setDialog(null);
  const askToTrust = () =>
    confirm({
      title: a.trusted ? `Stop trusting ${a.name}?` : `Trust ${a.name}?`,
      body: a.trusted
        ? 'It no longer sees offers for trusted tenants only. What it has stays.'
        : 'It sees offers for trusted tenants only, such as servers without a BMC, whose tenant can lock you out.',
      action: a.trusted ? 'Stop trusting' : 'Trust account',
      run: () => trust.mutateAsync({ ...withId(id), body: { trusted: !a.trusted } }),
    });
  return (
    <>
      <PageHead
        title={a.name}
        before={back}
        actions={
          <>
            {!own && (
              <Button variant="default" onClick={() => setDialog('view')}>
                View read-only
              </Button>
            )}
            <Button variant="default" onClick={() => setDialog('suspend')}>
              {a.suspension ? 'Change suspension' : 'Suspend'}
            </Button>
            <Button onClick={() => setDialog('credit')}>Add credit</Button>
          </>
        }
      >
        <span className="mono">{a.id}</span> {a.suspension && <Chip tone="bad">suspended</Chip>}{' '}
        {a.negativeSince && <Chip tone="bad">past due</Chip>}
      </PageHead>
      <Panel title="Money and resources">
        <Facts
          items={[
            ['Available', <Money key="available" usd={a.available} />],
            ['On hold', <Money key="held" usd={a.held} />],
            ['Hourly spend', <Money key="cost" usd={a.hourlyCost} />],
            ['Past due since', a.negativeSince ? <Time key="past-due" at={a.negativeSince} /> : undefined],
            ['Suspended since', a.suspension ? <Time key="suspended" at={a.suspension.since} /> : undefined],
            ['Reason', a.suspension?.reason],
            ['Markup', a.markupPercent === null ? 'Default' : formatPercent(a.markupPercent)],
            ['Trusted', a.trusted ? 'Yes, sees offers for trusted tenants' : 'No'],
            ['Created', <Time key="created" at={a.createdAt} />],
          ]}
        />
        <Group gap="xs">
          <Button component={Link} to={`/operator/deployments?account=${a.id}`} variant="default" size="xs">
            View deployments ({formatNumber(a.runningDeployments)} running)
          </Button>
          <Button component={Link} to={`/operator/volumes?account=${a.id}`} variant="default" size="xs">
            View volumes
          </Button>
          <Button variant="default" size="xs" onClick={() => setDialog('markup')}>
            Set markup
          </Button>
          <Button variant="default" size="xs" onClick={askToTrust}>
            {a.trusted ? 'Stop trusting' : 'Trust account'}
          </Button>
        </Group>
      </Panel>
      <Panel
        title="Quotas"
        mt={16}
        actions={
          <Button variant="default" size="xs" onClick={() => setDialog('quotas')}>
            Set quotas
          </Button>
        }
      >
        {quotas.isError && <ErrorBox error={quotas.error} />}
        {quotas.data && <Quotas of={quotas.data} />}
      </Panel>
      <Panel
        title="Members"
        mt={16}
        bare
        actions={
          <Button variant="default" size="xs" onClick={() => setDialog('invite')}>
            Invite owner
          </Button>
        }
      >
        <Members id={id} />
      </Panel>
      <Panel title="API keys" mt={16} bare>
        <Keys id={id} />
      </Panel>
      <Panel title="Transactions" mt={16} bare>
        <Transactions id={id} />
      </Panel>
      <Panel title="Credits" mt={16} bare>
        <Credits id={id} />
      </Panel>
      <Panel title="Top-ups" mt={16} bare>
        <TopUpTable filter={{ account: id }} one empty={none('No top-ups yet.')} />
      </Panel>
      <Panel
        title="Invoices"
        mt={16}
        bare
        actions={
          <Button variant="default" size="xs" onClick={() => setDialog('preview')}>
            Preview current month
          </Button>
        }
      >
        <InvoiceTable filter={{ account: id }} one empty={none('No invoices yet.')} />
      </Panel>
      <Panel title="Audit log" mt={16} bare>
        <Entries id={id} />
      </Panel>
      {dialog === 'credit' && <CreditDialog to={a} onClose={close} />}
      {dialog === 'markup' && <MarkupDialog of={a} onClose={close} />}
      {dialog === 'quotas' && <QuotasDialog of={a} onClose={close} />}
      {dialog === 'suspend' && <SuspendDialog of={a} onClose={close} />}
      {dialog === 'invite' && <InviteOwnerDialog of={a} onClose={close} />}
      {dialog === 'preview' && <InvoicePreviewDialog account={id} onClose={close} />}
      {dialog === 'view' && <ViewDialog of={a} onClose={close} />}
    </>
  );
}

const back = (
  <Link to="/operator" className="link small">
    <BackIcon width={12} height={12} /> Accounts
  </Link>
);

/** What is used of each quota. */
function Quotas({ of: q }: { of: Schema['OperatorQuotas'] }) {
  const line = (limit: number | null, standard: number | null, used: number) => {
    const most = limit ?? standard;
    if (most === null) return `${formatNumber(used)}, no limit`;
    return `${formatNumber(used)} of ${formatNumber(most)}${limit === null ? ' (default)' : ''}`;
  };
  const spend = q.hourlySpend ?? q.defaults.hourlySpend;
  return (
    <Facts
      items={[
        ['Machines', line(q.machines, q.defaults.machines, q.used.machines)],
        ['GPUs', line(q.gpus, q.defaults.gpus, q.used.gpus)],
        [
          'Hourly spend',
          <span key="spend">
            <Money usd={q.used.hourlySpend} />
            {spend === null ? (
              ', no limit'
            ) : (
              <>
                {' '}
                of <Money usd={spend} />
                {q.hourlySpend === null && ' (default)'}
              </>
            )}
          </span>,
        ],
        ['Volumes', line(q.volumes, q.defaults.volumes, q.used.volumes)],
        ['Size of all volumes (GB)', line(q.volumeGb, q.defaults.volumeGb, q.used.volumeGb)],
      ]}
    />
  );
}

function none(text: string) {
  return <div className="panel-body dim">{text}</div>;
}

function Members({ id }: { id: string }) {
  const rows = usePagedRows<Schema['Member']>((page, limit) =>
    pageQuery('/api/v1/operator/accounts/{id}/members', { params: { path: { id }, query: { page, limit } } }),
  );
  return (
    <ResourceTable
      label="Members"
      cardHeight={190}
      columns={memberColumns}
      rows={rows}
      rowKey={(m) => m.id}
      empty={none('No members yet. Invite an owner.')}
    />
  );
}

const memberColumns: Column<Schema['Member']>[] = [
  {
    key: 'name',
    head: 'Member',
    cell: (m) => (
      <>
        <span className="cell-main strong">{m.name || m.email}</span>
        <span className="cell-sub">{m.email}</span>
      </>
    ),
  },
  { key: 'role', head: 'Role', width: '110px', cell: (m) => m.role },
  { key: 'code', head: 'Authenticator app', width: '150px', from: 720, cell: (m) => (m.totp ? 'On' : 'Off') },
  { key: 'passkeys', head: 'Passkeys', width: '96px', from: 720, end: true, cell: (m) => formatNumber(m.passkeys) },
  { key: 'seen', head: 'Last seen', width: '140px', cell: (m) => <Ago at={m.lastSeenAt} never="Never" /> },
  { key: 'joined', head: 'Joined', width: '140px', from: 720, cell: (m) => <Ago at={m.joinedAt} /> },
];

function Keys({ id }: { id: string }) {
  const rows = usePagedRows<Schema['APIKey']>((page, limit) =>
    pageQuery('/api/v1/operator/accounts/{id}/api-keys', { params: { path: { id }, query: { page, limit } } }),
  );
  return (
    <ResourceTable
      label="API keys"
      cardHeight={170}
      columns={keyColumns}
      rows={rows}
      rowKey={(k) => k.id}
      quiet={(k) => k.revokedAt !== null}
      empty={none('No API keys.')}
    />
  );
}

const keyColumns: Column<Schema['APIKey']>[] = [
  {
    key: 'name',
    head: 'Name',
    cell: (k) => (
      <>
        <span className="cell-main strong">{k.name}</span>
        <span className="cell-sub mono">{k.prefix}</span>
      </>
    ),
  },
  { key: 'by', head: 'Created by', from: 720, cell: (k) => k.createdBy.name },
  { key: 'used', head: 'Last used', width: '140px', cell: (k) => <Ago at={k.lastUsedAt} never="Never" /> },
  {
    key: 'expires',
    head: 'Expires',
    width: '140px',
    cell: (k) => (k.revokedAt ? <Chip>revoked</Chip> : <Ago at={k.expiresAt} never="Never" />),
  },
];

function Transactions({ id }: { id: string }) {
  const rows = usePagedRows<Schema['Transaction']>((page, limit) =>
    pageQuery('/api/v1/operator/accounts/{id}/transactions', { params: { path: { id }, query: { page, limit } } }),
  );
  return (
    <ResourceTable
      label="Transactions"
      cardHeight={172}
      columns={transactionColumns}
      rows={rows}
      rowKey={(t) => t.id}
      empty={none('No transactions yet.')}
    />
  );
}

const transactionColumns: Column<Schema['Transaction']>[] = [
  { key: 'at', head: 'Date', width: '190px', cell: (t) => <Time at={t.createdAt} /> },
  {
    key: 'what',
    head: 'Description',
    cell: (t) => (
      <>
        <span className="cell-main">{t.description}</span>
        <span className="cell-sub">{t.type}</span>
      </>
    ),
  },
  { key: 'amount', head: 'Amount', width: '130px', end: true, cell: (t) => <Money usd={t.amount} /> },
  {
    key: 'balance',
    head: 'Balance',
    width: '130px',
    end: true,
    from: 720,
    cell: (t) => <Money usd={t.balanceAfter} />,
  },
];

function Credits({ id }: { id: string }) {
  const rows = usePagedRows<Schema['Credit']>((page, limit) =>
    pageQuery('/api/v1/operator/accounts/{id}/credits', { params: { path: { id }, query: { page, limit } } }),
  );
  return (
    <ResourceTable
      label="Credits"
      cardHeight={210}
      columns={creditColumns}
      rows={rows}
      rowKey={(c) => c.id}
      quiet={(c) => c.state === 'used' || c.state === 'expired'}
      empty={none('No credits yet.')}
    />
  );
}

const sources: Record<Schema['Credit']['source'], string> = {
  operator: 'by an operator',
  promo_code: 'by a promo code',
  sign_up: 'at the sign-up',
};

const creditColumns: Column<Schema['Credit']>[] = [
  { key: 'at', head: 'Given', width: '190px', cell: (c) => <Time at={c.createdAt} /> },
  {
    key: 'note',
    head: 'Note',
    cell: (c) => (
      <>
        <span className="cell-main">{c.note}</span>
        <span className="cell-sub">{sources[c.source]}</span>
      </>
    ),
  },
  { key: 'state', head: 'State', width: '130px', from: 720, cell: (c) => <Status value={c.state} /> },
  {
    key: 'expires',
    head: 'Expires',
    width: '190px',
    cell: (c) => (c.expiresAt ? <Time at={c.expiresAt} /> : <span className="dim">Never</span>),
  },
  {
    key: 'remaining',
    head: 'Left',
    width: '110px',
    end: true,
    cell: (c) => <Money usd={c.remaining} />,
  },
  { key: 'amount', head: 'Amount', width: '110px', end: true, cell: (c) => <Money usd={c.amount} /> },
];

function Entries({ id }: { id: string }) {
  const rows = usePagedRows<Schema['AuditEntry']>((page, limit) =>
    pageQuery('/api/v1/operator/accounts/{id}/audit', { params: { path: { id }, query: { page, limit } } }),
  );
  return (
    <ResourceTable
      label="Audit log"
      columns={entryColumns}
      rows={rows}
      rowKey={(e) => e.id}
      rowHeight={56}
      cardHeight={150}
      empty={none('No entries yet.')}
    />
  );
}

const entryColumns: Column<Schema['AuditEntry']>[] = [
  { key: 'at', head: 'Date', width: '190px', cell: (e) => <Time at={e.at} /> },
  { key: 'actor', head: 'Actor', cell: (e) => e.actor.name || e.actor.id || e.actor.kind },
  {
    key: 'action',
    head: 'Action',
    cell: (e) => (
      <>
        <span className="cell-main">{actionWords(e.action)}</span>
        {e.detail && <span className="cell-sub">{e.detail}</span>}
      </>
    ),
  },
  {
    key: 'resource',
    head: 'Resource',
    from: 720,
    cell: (e) => e.subjectName || <span className="mono">{e.subject}</span>,
  },
];
