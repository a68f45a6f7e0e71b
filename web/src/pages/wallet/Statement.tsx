import { Button, MultiSelect, TextInput } from '@mantine/core';
import { useMemo } from 'react';
import { Link, useSearchParams } from 'react-router';
import { type Transaction, type TransactionQuery, transactionsPage } from '../../api/wallet';
import { type Column, DataTable } from '../../parts/DataTable';
import { ErrorBox } from '../../parts/ErrorBox';
import { Money } from '../../parts/Money';
import { usePagedRows } from '../../parts/pages';
import { Chip } from '../../parts/Status';
import { Time } from '../../parts/Time';

const kinds: Transaction['type'][] = ['top_up', 'credit', 'hold', 'release', 'charge', 'refund', 'adjustment'];
const names: Record<Transaction['type'], string> = {
  top_up: 'top-up',
  credit: 'credit',
  hold: 'hold',
  release: 'release',
  charge: 'charge',
  refund: 'refund',
  adjustment: 'adjustment',
};

/** Every line of the wallet, newest first. The filters are in the address. */
export function Statement() {
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
    const types = kinds.filter((k) => wanted.includes(k));
    return {
      type: types.length ? types : undefined,
      deploymentId: params.get('deploymentId') ?? undefined,
      from: startOf(params.get('from')),
      // "To" is a day that the reader means to see, so it ends with that day.
      to: startOf(params.get('to'), 1),
    };
  }, [params]);
  const list = usePagedRows<Transaction>((page, limit) => transactionsPage({ ...query, page, limit }));
  const csv = `/api/v1/inventory/wallet/transactions?${new URLSearchParams({
    format: 'csv',
    ...(query.type && { type: query.type.join(',') }),
    ...(query.deploymentId && { deploymentId: query.deploymentId }),
    ...(query.from && { from: query.from }),
    ...(query.to && { to: query.to }),
  })}`;
  const filtered = Object.values(query).some(Boolean);
  return (
    <section aria-labelledby="statement">
      <div className="statement-head">
        <h2 id="statement">Statement</h2>
        <MultiSelect
          aria-label="Kinds of lines"
          placeholder={query.type ? undefined : 'All lines'}
          data={kinds.map((k) => ({ value: k, label: names[k] }))}
          value={query.type ?? []}
          onChange={(v) => set('type', v.join(','))}
          clearable
          clearButtonProps={{ 'aria-label': 'All lines' }}
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
          CSV
        </Button>
      </div>
      {list.error ? (
        <ErrorBox error={list.error} retry={list.retry} />
      ) : list.total === 0 && !list.loading ? (
        <div className="panel panel-body dim">
          {filtered ? 'No line fits these filters.' : 'No line yet: money that comes in or goes out is written here.'}
        </div>
      ) : (
        <DataTable
          label="Statement"
          columns={columns}
          count={list.total}
          row={list.row}
          rowKey={(t) => t.id}
          onRange={list.onRange}
          rowHeight={50}
          cardHeight={92}
          card={(t) => (
            <div style={{ display: 'grid', gap: 4 }}>
              <div className="card-row">
                <Kind of={t} />
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
      )}
    </section>
  );
}

/** A day of the reader's as an instant, or undefined where it is none. */
function startOf(day: string | null, plus = 0): string | undefined {
  if (!day || !/^\d{4}-\d\d-\d\d$/.test(day)) return undefined;
  const d = new Date(`${day}T00:00:00`);
  if (Number.isNaN(d.getTime())) return undefined;
  d.setDate(d.getDate() + plus);
  return d.toISOString();
}

function Kind({ of: t }: { of: Transaction }) {
  const tone = t.type === 'charge' ? 'idle' : t.type === 'hold' || t.type === 'release' ? 'busy' : 'good';
  return <Chip tone={tone}>{names[t.type]}</Chip>;
}

const columns: Column<Transaction>[] = [
  { key: 'at', head: 'When', width: '190px', cell: (t) => <Time at={t.createdAt} /> },
  { key: 'type', head: 'Kind', width: '110px', cell: (t) => <Kind of={t} /> },
  {
    key: 'what',
    head: 'What',
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
