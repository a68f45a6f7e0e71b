import { Button, MultiSelect, TextInput } from '@mantine/core';
import { useMemo } from 'react';
import { Link, useSearchParams } from 'react-router';
import { type Transaction, type TransactionQuery, transactionsPage } from '../../api/wallet';
import { Money } from '../../parts/Money';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import { usePagedRows } from '../../parts/rows';
import { Chip } from '../../parts/Status';
import { Time } from '../../parts/Time';

const types: Record<Transaction['type'], string> = {
  top_up: 'Top-up',
  credit: 'Credit',
  hold: 'Hold',
  release: 'Release',
  charge: 'Charge',
  refund: 'Refund',
  adjustment: 'Adjustment',
};

/** The wallet's transactions, newest first. The filters are in the URL. */
export function Transactions() {
  const [params, setParams] = useSearchParams();
  const set = (name: string, value: string) =>
    setParams(
      (old) => {
        const next = new URLSearchParams(old);
        if (value) next.set(name, value);
        else next.delete(name);
        return next;
      },
      { replace: true },
    );
  const query = useMemo((): TransactionQuery => {
    const wanted = (params.get('type') ?? '').split(',');
    const chosen = (Object.keys(types) as Transaction['type'][]).filter((t) => wanted.includes(t));
    return {
      type: chosen.length ? chosen : undefined,
      deploymentId: params.get('deploymentId') ?? undefined,
      from: startOf(params.get('from')),
      // "To" includes its day.
      to: startOf(params.get('to'), 1),
    };
  }, [params]);
  const rows = usePagedRows<Transaction>((page, limit) => transactionsPage({ ...query, page, limit }));
  const csv = `/api/v1/inventory/wallet/transactions?${new URLSearchParams({
    format: 'csv',
    ...(query.type && { type: query.type.join(',') }),
    ...(query.deploymentId && { deploymentId: query.deploymentId }),
    ...(query.from && { from: query.from }),
    ...(query.to && { to: query.to }),
  })}`;
  const filtered = Object.values(query).some(Boolean);
  return (
    <section aria-labelledby="transactions">
      <div className="statement-head">
        <h2 id="transactions">Transactions</h2>
        <MultiSelect
          aria-label="Types"
          placeholder={query.type ? undefined : 'All types'}
          data={Object.entries(types).map(([value, label]) => ({ value, label }))}
          value={query.type ?? []}
          onChange={(v) => set('type', v.join(','))}
          clearable
          clearButtonProps={{ 'aria-label': 'Clear types' }}
          className="statement-kinds"
        />
        <TextInput
          type="date"
          aria-label="From"
          value={params.get('from') ?? ''}
          onChange={(e) => set('from', e.currentTarget.value)}
        />
        <TextInput
          type="date"
          aria-label="To"
          value={params.get('to') ?? ''}
          onChange={(e) => set('to', e.currentTarget.value)}
        />
        {query.deploymentId && (
          <Button variant="default" onClick={() => set('deploymentId', '')}>
            One deployment ✕
          </Button>
        )}
        <Button component="a" href={csv} download variant="default" ml="auto">
          Export CSV
        </Button>
      </div>
      <ResourceTable
        label="Transactions"
        columns={columns}
        rows={rows}
        rowKey={(t) => t.id}
        empty={
          <div className="panel panel-body dim">{filtered ? 'No transactions match.' : 'No transactions yet.'}</div>
        }
        rowHeight={50}
        cardHeight={92}
        card={(t) => (
          <div style={{ display: 'grid', gap: 4 }}>
            <div className="card-row">
              <Type of={t} />
              <b>
                <Money usd={t.amount} sign />
              </b>
            </div>
            <div className="small truncate">{t.description}</div>
            <div className="card-row small dim">
              <Time at={t.createdAt} />
              <span>
                Available: <Money usd={t.availableAfter} />
              </span>
            </div>
          </div>
        )}
      />
    </section>
  );
}

/** The start of a day in the reader's zone, or undefined if it is no day. */
function startOf(day: string | null, plus = 0): string | undefined {
  if (!day || !/^\d{4}-\d\d-\d\d$/.test(day)) return undefined;
  const d = new Date(`${day}T00:00:00`);
  if (Number.isNaN(d.getTime())) return undefined;
  d.setDate(d.getDate() + plus);
  return d.toISOString();
}

function Type({ of: t }: { of: Transaction }) {
  const tone = t.type === 'charge' ? 'idle' : t.type === 'hold' || t.type === 'release' ? 'busy' : 'good';
  return <Chip tone={tone}>{types[t.type]}</Chip>;
}

const columns: Column<Transaction>[] = [
  { key: 'at', head: 'Date', width: '190px', cell: (t) => <Time at={t.createdAt} /> },
  { key: 'type', head: 'Type', width: '110px', cell: (t) => <Type of={t} /> },
  {
    key: 'description',
    head: 'Description',
    cell: (t) => (
      <>
        <span className="cell-main" title={t.description}>
          {t.deploymentId ? (
            <Link to={`/deployments/${t.deploymentId}`} className="plain-link light">
              {t.description}
            </Link>
          ) : (
            t.description
          )}
        </span>
        {t.from && t.to && (
          <span className="cell-sub">
            <Time at={t.from} /> to <Time at={t.to} />
          </span>
        )}
      </>
    ),
  },
  {
    key: 'amount',
    head: 'Amount',
    width: '132px',
    end: true,
    cell: (t) => (
      <b data-in={t.amount > 0 || undefined} className="amount">
        <Money usd={t.amount} sign />
      </b>
    ),
  },
  {
    key: 'after',
    head: 'Available after',
    width: '140px',
    end: true,
    from: 700,
    cell: (t) => <Money usd={t.availableAfter} />,
  },
  {
    key: 'balance',
    head: 'Balance after',
    width: '140px',
    end: true,
    from: 960,
    cell: (t) => <Money usd={t.balanceAfter} />,
  },
];
