import { Button, Select, TextInput } from '@mantine/core';
import { useState } from 'react';
import { Link } from 'react-router';
import type { InvoiceSummary } from '../../../api/billing';
import { useGet } from '../../../api/hooks';
import { allInvoicesPath } from '../../../api/operator';
import { useDebouncedText } from '../../../parts/debouncedText';
import { EmptyState } from '../../../parts/EmptyState';
import { AccountChoice, useFilters } from '../filters';
import { InvoicePreviewDialog } from './InvoicePreviewDialog';
import { InvoiceTable } from './InvoiceTable';
import '../../deployments/deployments.css';

const types: Record<InvoiceSummary['type'], string> = { invoice: 'Invoices', credit_note: 'Credit notes' };

/** The invoices and credit notes of all accounts. */
export function AllInvoices() {
  const filters = useFilters();
  const settings = useGet('/api/v1/operator/invoice-settings').data;
  const [previewing, setPreviewing] = useState(false);
  const [month, type] = useDebouncedText(filters.get('month') ?? '', (v) => filters.set('month', v));
  const chosen = filters.get('type');
  const wrong = month !== '' && !isMonth(month);
  const typed = filters.get('month') ?? '';
  const filter = {
    type: chosen && chosen in types ? (chosen as InvoiceSummary['type']) : undefined,
    month: isMonth(typed) ? typed : undefined,
    account: filters.get('account'),
  };
  const any = Object.values(filter).some((v) => v !== undefined);
  return (
    <>
      {settings?.firstMonth === '' && (
        <div className="notice">
          <b>No invoices are issued.</b>
          <span>
            Set the seller and the first month. <Link to="/operator/billing">Set up invoices</Link>
          </span>
        </div>
      )}
      <search className="filters-row">
        <TextInput
          aria-label="Month"
          placeholder="Month, such as 2026-11"
          value={month}
          maxLength={7}
          onChange={(e) => type(e.currentTarget.value)}
          error={wrong && month.length === 7 ? 'Enter a month such as 2026-11.' : undefined}
        />
        <Select
          aria-label="Kind"
          placeholder="Any kind"
          data={Object.entries(types).map(([value, label]) => ({ value, label }))}
          value={filter.type ?? null}
          onChange={(v) => filters.set('type', v ?? '')}
          clearable
          clearButtonProps={{ 'aria-label': 'Clear kind' }}
          className="value-filter"
        />
        <AccountChoice of={filters} />
        <Button variant="default" ml="auto" onClick={() => setPreviewing(true)}>
          Preview current month
        </Button>
      </search>
      <InvoiceTable
        filter={filter}
        empty={
          any ? (
            <EmptyState
              title="No invoices match your filters"
              action={
                <Button variant="default" onClick={filters.clear}>
                  Clear filters
                </Button>
              }
            >
              Change or clear the filters to see other invoices.
            </EmptyState>
          ) : (
            <EmptyState title="No invoices yet" api={{ path: allInvoicesPath }}>
              The invoices of a month are issued an hour after the month ends, in UTC.
            </EmptyState>
          )
        }
      />
      {previewing && <InvoicePreviewDialog account={filter.account} onClose={() => setPreviewing(false)} />}
    </>
  );
}

function isMonth(text: string): boolean {
  return /^\d{4}-(0[1-9]|1[0-2])$/.test(text);
}
