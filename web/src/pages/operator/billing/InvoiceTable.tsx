import { type ReactNode, useState } from 'react';
import { Link } from 'react-router';
import type { InvoiceSummary } from '../../../api/billing';
import type { Query } from '../../../api/client';
import { allInvoicesPage, type allInvoicesPath, anyDocumentURL, useAccountName } from '../../../api/operator';
import { Money } from '../../../parts/Money';
import { type Column, ResourceTable } from '../../../parts/ResourceTable';
import { usePagedRows } from '../../../parts/rows';
import { Chip } from '../../../parts/Status';
import { Time } from '../../../parts/Time';
import { CreditNoteDialog } from './CreditNoteDialog';
import '../../billing/billing.css';

interface Props {
  filter: Omit<Query<typeof allInvoicesPath>, 'page' | 'limit'>;
  /** Whether all of them are one account's. */
  one?: boolean;
  empty: ReactNode;
}

/** Invoices and credit notes, with their files. */
export function InvoiceTable({ filter, one = false, empty }: Props) {
  const rows = usePagedRows<InvoiceSummary>((page, limit) => allInvoicesPage({ ...filter, page, limit }));
  const accountName = useAccountName();
  const [corrected, setCorrected] = useState<InvoiceSummary | null>(null);
  return (
    <>
      <ResourceTable
        label="Invoices"
        columns={columns(accountName).filter((c) => !one || c.key !== 'account')}
        rows={rows}
        rowKey={(i) => i.id}
        name={(i) => i.number}
        actions={(i) =>
          i.type === 'invoice' && i.total > 0 ? [{ text: 'Issue credit note', run: () => setCorrected(i) }] : []
        }
        rowHeight={50}
        cardHeight={one ? 190 : 216}
        empty={empty}
      />
      {corrected && <CreditNoteDialog of={corrected} onClose={() => setCorrected(null)} />}
    </>
  );
}

function columns(accountName: (id: string) => string): Column<InvoiceSummary>[] {
  return [
    {
      key: 'number',
      head: 'Number',
      cell: (i) => (
        <>
          <span className="cell-main strong">{i.number}</span> {i.type === 'credit_note' && <Chip>Credit note</Chip>}
        </>
      ),
    },
    {
      key: 'account',
      head: 'Account',
      cell: (i) => (
        <Link to={`/operator/accounts/${i.accountId}`} className="link cell-main" title={accountName(i.accountId)}>
          {accountName(i.accountId)}
        </Link>
      ),
    },
    { key: 'month', head: 'Month', width: '100px', cell: (i) => i.month },
    { key: 'issued', head: 'Issued', width: '190px', from: 900, cell: (i) => <Time at={i.issuedAt} /> },
    {
      key: 'tax',
      head: 'Tax',
      width: '110px',
      end: true,
      from: 760,
      cell: (i) => <Money usd={i.type === 'credit_note' ? -i.tax : i.tax} />,
    },
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
      width: '160px',
      end: true,
      cell: (i) => (
        <span className="billing-files">
          {(['pdf', 'html', 'xml'] as const).map((format) => (
            <a
              className="link"
              key={format}
              href={anyDocumentURL(i.id, format)}
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
}
