import { useId } from 'react';
import { documentURL, type InvoiceSummary, invoicesPath } from '../../api/billing';
import { pageQuery } from '../../api/hooks';
import { Money } from '../../parts/Money';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import { usePagedRows } from '../../parts/rows';
import { Chip } from '../../parts/Status';
import { Time } from '../../parts/Time';

/** The account's invoices and credit notes, newest first. */
export function Invoices() {
  const heading = useId();
  const rows = usePagedRows<InvoiceSummary>((page, limit) =>
    pageQuery(invoicesPath, { params: { query: { page, limit } } }),
  );
  return (
    <section aria-labelledby={heading}>
      <div className="statement-head">
        <h2 id={heading}>Invoices</h2>
      </div>
      <ResourceTable
        label="Invoices"
        columns={columns}
        rows={rows}
        rowKey={(i) => i.id}
        rowHeight={50}
        cardHeight={150}
        empty={
          <div className="panel panel-body dim">
            No invoices yet. The invoice of a month is issued after the month ends, in UTC.
          </div>
        }
      />
    </section>
  );
}

const columns: Column<InvoiceSummary>[] = [
  {
    key: 'number',
    head: 'Number',
    cell: (i) => (
      <>
        <span className="cell-main strong">{i.number}</span> {i.type === 'credit_note' && <Chip>Credit note</Chip>}
      </>
    ),
  },
  { key: 'month', head: 'Month', width: '120px', cell: (i) => i.month },
  { key: 'issued', head: 'Issued', width: '190px', from: 800, cell: (i) => <Time at={i.issuedAt} /> },
  {
    key: 'total',
    head: 'Total',
    width: '120px',
    end: true,
    cell: (i) => <Money usd={i.type === 'credit_note' ? -i.total : i.total} />,
  },
  {
    key: 'files',
    head: 'Download',
    width: '170px',
    end: true,
    cell: (i) => (
      <span className="billing-files">
        {(['pdf', 'html', 'xml'] as const).map((format) => (
          <a
            className="link"
            key={format}
            href={documentURL(i.id, format)}
            download={format !== 'html'}
            target={format === 'html' ? '_blank' : undefined}
            aria-label={`${format.toUpperCase()} of ${i.number}`}
          >
            {format.toUpperCase()}
          </a>
        ))}
      </span>
    ),
  },
];
