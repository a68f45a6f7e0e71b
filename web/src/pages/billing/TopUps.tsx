import { useId } from 'react';
import { receiptURL, type TopUp, topUpsPath } from '../../api/billing';
import { pageQuery } from '../../api/hooks';
import { Money } from '../../parts/Money';
import { formatMoney, micro } from '../../parts/money';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import { usePagedRows } from '../../parts/rows';
import { Status } from '../../parts/Status';
import { Time } from '../../parts/Time';
import { processors } from './words';

/** The account's top-ups, newest first. */
export function TopUps() {
  const heading = useId();
  const rows = usePagedRows<TopUp>((page, limit) => pageQuery(topUpsPath, { params: { query: { page, limit } } }));
  // Each further receipt is a line: all rows of a long list are equally high.
  const receipts = Math.max(1, ...rows.loaded.map((t) => (t.received ? 1 + t.refunds.length : 1)));
  return (
    <section aria-labelledby={heading}>
      <div className="statement-head">
        <h2 id={heading}>Top-ups</h2>
      </div>
      <ResourceTable
        label="Top-ups"
        columns={columns}
        rows={rows}
        rowKey={(t) => t.id}
        rowHeight={26 + 24 * receipts}
        cardHeight={190 + 24 * receipts}
        empty={<div className="panel panel-body dim">No top-ups yet.</div>}
      />
    </section>
  );
}

/** The amount tells several refunds of a top-up apart. */
function refundText(f: TopUp['refunds'][number], of: TopUp): string {
  return of.refunds.length === 1 ? 'Refund' : `Refund of ${formatMoney(micro(f.amount))}`;
}

const columns: Column<TopUp>[] = [
  { key: 'at', head: 'Date', width: '190px', cell: (t) => <Time at={t.createdAt} /> },
  { key: 'status', head: 'Status', width: '120px', cell: (t) => <Status value={t.status} /> },
  {
    key: 'how',
    head: 'Payment',
    cell: (t) => (
      <>
        <span className="cell-main">
          {processors[t.processor] ?? t.processor}
          {t.automatic && ', automatic'}
        </span>
        <span className="cell-sub">
          {t.checkoutUrl ? (
            <a className="link" href={t.checkoutUrl}>
              Open the payment page
            </a>
          ) : (
            (t.failureMessage ?? t.id)
          )}
        </span>
      </>
    ),
  },
  {
    key: 'refunded',
    head: 'Refunded',
    width: '120px',
    end: true,
    from: 800,
    cell: (t) => (t.refunded ? <Money usd={t.refunded} /> : '–'),
  },
  {
    key: 'receipt',
    head: 'Receipts',
    width: '150px',
    end: true,
    cell: (t) =>
      t.received ? (
        <span className="billing-files">
          <a className="link" href={receiptURL(t.id)} download aria-label={`Receipt of the payment ${t.id}`}>
            Payment
          </a>
          {t.refunds.map((f) => (
            <a
              className="link"
              key={f.id}
              href={receiptURL(t.id, f.id)}
              download
              aria-label={`Receipt of the ${refundText(f, t).toLowerCase()}, ${f.id}`}
            >
              {refundText(f, t)}
            </a>
          ))}
        </span>
      ) : (
        '–'
      ),
  },
  {
    key: 'amount',
    head: 'Amount',
    width: '130px',
    end: true,
    cell: (t) =>
      t.received && t.received !== t.amount ? (
        <>
          <Money usd={t.received} />
          <span className="cell-sub">
            of <Money usd={t.amount} />
          </span>
        </>
      ) : (
        <Money usd={t.amount} />
      ),
  },
];
