import { Button, Group, Text } from '@mantine/core';
import { useState } from 'react';
import {
  type ExchangeRate,
  exchangeRatesPage,
  useDeleteExchangeRate,
  useInvoiceSettings,
} from '../../../api/billingSettings';
import { withId } from '../../../api/hooks';
import { useConfirm } from '../../../parts/confirm';
import { type Column, ResourceTable } from '../../../parts/ResourceTable';
import { usePagedRows } from '../../../parts/rows';
import { toast } from '../../../parts/toast';
import { ExchangeRateDialog } from './ExchangeRateDialog';
import { ExchangeRateImport } from './ExchangeRateImport';

/** The exchange rates that documents convert their tax with. */
export function ExchangeRates() {
  const rows = usePagedRows<ExchangeRate>((page, limit) => exchangeRatesPage({ page, limit }));
  const currency = useInvoiceSettings().data?.value.seller.taxCurrency ?? '';
  const remove = useDeleteExchangeRate();
  const confirm = useConfirm();
  const [open, setOpen] = useState<'add' | 'import' | null>(null);
  const close = () => setOpen(null);
  const askRemove = (r: ExchangeRate) =>
    confirm({
      title: `Delete the rate of ${r.currency} from ${r.from}?`,
      body: <>Documents that were issued keep the rate that they state.</>,
      action: 'Delete',
      danger: true,
      run: async () => {
        await remove.mutateAsync(withId(r.id));
        toast('Exchange rate deleted');
      },
    });
  return (
    <>
      <Group justify="space-between" gap="sm" mb="sm" px={18} pt={14}>
        <Text size="sm" c="dimmed" maw={480}>
          If the seller has a tax currency, documents state the tax in it, too, at the rate of the last day of their
          month, or the latest of the 7 days before. Invoices wait until there is one.
        </Text>
        <Group gap="xs">
          <Button variant="default" size="xs" onClick={() => setOpen('import')}>
            Import CSV
          </Button>
          <Button variant="default" size="xs" onClick={() => setOpen('add')}>
            Add exchange rate
          </Button>
        </Group>
      </Group>
      <ResourceTable
        label="Exchange rates"
        columns={columns}
        rows={rows}
        rowKey={(r) => r.id}
        name={(r) => `the rate of ${r.currency} from ${r.from}`}
        actions={(r) => [{ text: 'Delete', danger: true, run: () => askRemove(r) }]}
        rowHeight={56}
        cardHeight={150}
        empty={<div className="panel-body dim">There are no exchange rates.</div>}
      />
      {open === 'add' && <ExchangeRateDialog currency={currency} onClose={close} />}
      {open === 'import' && <ExchangeRateImport currency={currency} onClose={close} />}
    </>
  );
}

const columns: Column<ExchangeRate>[] = [
  { key: 'currency', head: 'Currency', width: '110px', cell: (r) => <span className="strong">{r.currency}</span> },
  { key: 'from', head: 'From', width: '120px', cell: (r) => <span className="nowrap">{r.from}</span> },
  {
    key: 'rate',
    head: 'Rate',
    cell: (r) => (
      <>
        <span className="cell-main">
          1 USD = {r.perDollar} {r.currency}
        </span>
        {r.dollars !== '1' && (
          <span className="cell-sub">
            {r.rate} {r.currency} = {r.dollars} USD
          </span>
        )}
      </>
    ),
  },
  { key: 'source', head: 'Source', width: '150px', cell: (r) => <span className="cell-main">{r.source}</span> },
];
