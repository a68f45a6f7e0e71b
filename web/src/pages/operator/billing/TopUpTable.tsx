import type { ReactNode } from 'react';
import { Link } from 'react-router';
import type { Query } from '../../../api/client';
import { allTopUpsPage, type allTopUpsPath, type OperatorTopUp, useAccountName } from '../../../api/operator';
import { Money } from '../../../parts/Money';
import { type Column, ResourceTable } from '../../../parts/ResourceTable';
import { usePagedRows } from '../../../parts/rows';
import { Chip, Status } from '../../../parts/Status';
import { Time } from '../../../parts/Time';
import { processors } from '../../billing/words';
import { useTopUpActions } from './topUpActions';

interface Props {
  filter: Omit<Query<typeof allTopUpsPath>, 'page' | 'limit'>;
  /** Whether all of them are one account's. */
  one?: boolean;
  empty: ReactNode;
}

/** Top-ups with what an operator can do with each. */
export function TopUpTable({ filter, one = false, empty }: Props) {
  const rows = usePagedRows<OperatorTopUp>((page, limit) => allTopUpsPage({ ...filter, page, limit }));
  const accountName = useAccountName();
  const { actions, dialog } = useTopUpActions();
  return (
    <>
      <ResourceTable
        label="Top-ups"
        columns={columns(accountName).filter((c) => !one || c.key !== 'account')}
        rows={rows}
        rowKey={(t) => t.id}
        name={(t) => t.reference || t.id}
        actions={actions}
        href={path}
        rowHeight={56}
        cardHeight={one ? 190 : 216}
        empty={empty}
      />
      {dialog}
    </>
  );
}

const path = (t: OperatorTopUp) => `/operator/top-ups/${t.id}`;

function columns(accountName: (id: string) => string): Column<OperatorTopUp>[] {
  return [
    {
      key: 'at',
      head: 'Created',
      width: '190px',
      cell: (t) => (
        <Link to={path(t)} className="link">
          <Time at={t.createdAt} />
        </Link>
      ),
    },
    {
      key: 'account',
      head: 'Account',
      cell: (t) => (
        <Link to={`/operator/accounts/${t.accountId}`} className="link cell-main" title={accountName(t.accountId)}>
          {accountName(t.accountId)}
        </Link>
      ),
    },
    {
      key: 'status',
      head: 'Status',
      width: '130px',
      cell: (t) => (
        <>
          <Status value={t.status} />
          {t.problem && (
            <span className="cell-sub">
              <Chip tone="bad">problem</Chip>
            </span>
          )}
        </>
      ),
    },
    {
      key: 'how',
      head: 'Payment',
      cell: (t) => (
        <>
          <span className="cell-main">
            {processors[t.processor] ?? t.processor}
            {t.automatic && ', automatic'}
          </span>
          <span className="cell-sub mono" title={t.reference}>
            {t.reference || '–'}
          </span>
        </>
      ),
    },
    { key: 'asked', head: 'Asked for', width: '120px', end: true, cell: (t) => <Money usd={t.amount} /> },
    {
      key: 'received',
      head: 'Received',
      width: '130px',
      end: true,
      cell: (t) => (
        <>
          {t.received ? <Money usd={t.received} /> : <span className="dim">–</span>}
          {t.refunded > 0 && (
            <span className="cell-sub">
              <Money usd={t.refunded} /> refunded
            </span>
          )}
        </>
      ),
    },
  ];
}
