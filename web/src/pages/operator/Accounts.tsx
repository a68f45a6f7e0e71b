import { Button, Group } from '@mantine/core';
import { useState } from 'react';
import { Link, useNavigate } from 'react-router';
import { useSend, withId } from '../../api/hooks';
import { type OperatorAccount, useOperatorAccounts } from '../../api/operator';
import { useConfirm } from '../../parts/confirm';
import { formatNumber, formatPercent } from '../../parts/locale';
import { Money } from '../../parts/Money';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import { useListRows } from '../../parts/rows';
import { Chip } from '../../parts/Status';
import { Ago } from '../../parts/Time';
import { toast } from '../../parts/toast';
import { CreateAccountDialog } from './CreateAccountDialog';
import { CreditDialog } from './CreditDialog';
import { MarkupDialog } from './MarkupDialog';
import { DefaultQuotasDialog, QuotasDialog } from './QuotasDialog';
import { SuspendDialog } from './SuspendDialog';
import { ViewDialog } from './ViewDialog';

export function Accounts() {
  const accounts = useOperatorAccounts();
  const navigate = useNavigate();
  const [creating, setCreating] = useState(false);
  const [crediting, setCrediting] = useState<OperatorAccount | null>(null);
  const [pricing, setPricing] = useState<OperatorAccount | null>(null);
  const [limiting, setLimiting] = useState<OperatorAccount | 'default' | null>(null);
  const [viewing, setViewing] = useState<OperatorAccount | null>(null);
  const [suspending, setSuspending] = useState<OperatorAccount | null>(null);
  const resume = useSend('post', '/api/v1/operator/accounts/{id}/resume');
  const confirm = useConfirm();
  const rows = useListRows(accounts, {
    sorts: {
      name: (a) => a.name,
      createdAt: (a) => a.createdAt,
      running: (a) => a.runningDeployments,
      hourlyCost: (a) => a.hourlyCost,
      held: (a) => a.held,
      available: (a) => a.available,
      markup: (a) => a.markupPercent,
    },
    text: (a) => `${a.name} ${a.id}`,
  });
  return (
    <>
      <Group justify="space-between" mb="sm">
        <span className="dim">
          {formatNumber(rows.count)} {rows.count === 1 ? 'account' : 'accounts'}
        </span>
        <Group gap="xs">
          <Button variant="default" onClick={() => setLimiting('default')}>
            Set default quotas
          </Button>
          <Button variant="default" onClick={() => setCreating(true)}>
            Create account
          </Button>
        </Group>
      </Group>
      <ResourceTable
        label="Accounts"
        columns={columns}
        rows={rows}
        rowKey={(a) => a.id}
        name={(a) => a.name}
        empty={<div className="panel panel-body dim">No accounts yet.</div>}
        href={(a) => `/operator/accounts/${a.id}`}
        actions={(a) => [
          { text: 'View read-only', run: () => setViewing(a) },
          { text: 'View deployments', run: () => navigate(`/operator/deployments?account=${a.id}`) },
          { text: 'Add credit', run: () => setCrediting(a) },
          { text: 'Set markup', run: () => setPricing(a) },
          { text: 'Set quotas', run: () => setLimiting(a) },
          { text: a.suspension ? 'Change suspension' : 'Suspend', danger: true, run: () => setSuspending(a) },
          ...(a.suspension
            ? [
                {
                  text: 'Resume',
                  run: () =>
                    confirm({
                      title: `Resume ${a.name}?`,
                      body: `Reason: ${a.suspension?.reason} Scheduled terminations are not canceled.`,
                      action: 'Resume account',
                      run: async () => {
                        await resume.mutateAsync(withId(a.id));
                        toast(`${a.name} is resumed`);
                      },
                    }),
                },
              ]
            : []),
        ]}
        rowHeight={56}
        cardHeight={92}
        card={(a, menu) => (
          <div style={{ display: 'grid', gap: 6 }}>
            <div className="card-row">
              <span className="strong truncate">
                <Link to={`/operator/accounts/${a.id}`}>{a.name}</Link>{' '}
                {a.suspension && <Chip tone="bad">suspended</Chip>}
              </span>
              <span className="nowrap">
                <Money usd={a.available} /> available
              </span>
            </div>
            <div className="card-row small dim">
              <span>
                {a.runningDeployments} running · <Money usd={a.hourlyCost} />
                /hr
              </span>
              {menu}
            </div>
          </div>
        )}
      />
      {creating && <CreateAccountDialog onClose={() => setCreating(false)} />}
      {limiting === 'default' && <DefaultQuotasDialog onClose={() => setLimiting(null)} />}
      {limiting && limiting !== 'default' && <QuotasDialog of={limiting} onClose={() => setLimiting(null)} />}
      {suspending && <SuspendDialog of={suspending} onClose={() => setSuspending(null)} />}
      {viewing && <ViewDialog of={viewing} onClose={() => setViewing(null)} />}
      {pricing && <MarkupDialog of={pricing} onClose={() => setPricing(null)} />}
      {crediting && <CreditDialog to={crediting} onClose={() => setCrediting(null)} />}
    </>
  );
}

const columns: Column<OperatorAccount>[] = [
  {
    key: 'name',
    head: 'Account',
    sort: 'name',
    cell: (a) => (
      <>
        <Link to={`/operator/accounts/${a.id}`} className="cell-main strong">
          {a.name}
        </Link>
        <span className="cell-sub mono">
          {a.suspension && <Chip tone="bad">suspended</Chip>} {a.id}
        </span>
      </>
    ),
  },
  {
    key: 'created',
    head: 'Created',
    sort: 'createdAt',
    width: '130px',
    from: 860,
    cell: (a) => <Ago at={a.createdAt} />,
  },
  {
    key: 'running',
    head: 'Running',
    sort: 'running',
    width: '96px',
    end: true,
    cell: (a) => a.runningDeployments,
  },
  {
    key: 'cost',
    head: 'Hourly spend',
    sort: 'hourlyCost',
    width: '124px',
    end: true,
    from: 720,
    cell: (a) => <Money usd={a.hourlyCost} />,
  },
  {
    key: 'held',
    head: 'On hold',
    sort: 'held',
    width: '110px',
    end: true,
    from: 860,
    cell: (a) => <Money usd={a.held} />,
  },
  {
    key: 'available',
    head: 'Available',
    sort: 'available',
    width: '150px',
    end: true,
    cell: (a) => (
      <>
        <Money usd={a.available} />
        {a.negativeSince && (
          <span className="cell-sub">
            <Chip tone="bad">past due</Chip> <Ago at={a.negativeSince} />
          </span>
        )}
      </>
    ),
  },
  {
    key: 'markup',
    head: 'Markup',
    sort: 'markup',
    width: '104px',
    end: true,
    from: 720,
    cell: (a) => (a.markupPercent === null ? <span className="dim">Default</span> : formatPercent(a.markupPercent)),
  },
];
