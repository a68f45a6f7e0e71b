import { Alert, Button, Group, Text } from '@mantine/core';
import { useState } from 'react';
import { useInvoiceSettings, useSaveTaxRates, useTaxRates } from '../../../api/billingSettings';
import { useNow } from '../../../api/clock';
import { useConfirm } from '../../../parts/confirm';
import { countryName } from '../../../parts/locale';
import { type Column, ResourceTable } from '../../../parts/ResourceTable';
import { useListRows } from '../../../parts/rows';
import { Chip } from '../../../parts/Status';
import { toast } from '../../../parts/toast';
import { type PlacedRate, placeRates, type RateState, sameRate } from './rates';
import { type RateEdit, TaxRateDialog } from './TaxRateDialog';

/** The tax rates by country and day, with those that were and those that will be. */
export function TaxRates() {
  const query = useTaxRates();
  const settings = useInvoiceSettings().data?.value;
  const remove = useSaveTaxRates();
  const confirm = useConfirm();
  const [edit, setEdit] = useState<RateEdit | null>(null);
  const today = new Date(useNow(60_000)).toISOString().slice(0, 10);
  const rates = query.data?.value.rates ?? [];
  const etag = query.data?.etag ?? '*';
  const placed = placeRates(rates, today);
  const rows = useListRows<PlacedRate>(
    { ...query, data: query.data && placed },
    { text: (r) => `${r.country} ${countryName(r.country)}` },
  );
  const home = settings?.seller.country;
  const missing =
    query.data && settings?.chargesTax && home && !placed.some((r) => r.country === home && r.state === 'in effect');
  const askRemove = (r: PlacedRate) =>
    confirm({
      title: `Delete the rate of ${countryName(r.country)} from ${r.from}?`,
      body: (
        <>
          It is no longer in the history, and the rate before it applies instead. Documents that were issued keep
          theirs. To stop a rate from a day on, end it.
        </>
      ),
      action: 'Delete',
      danger: true,
      run: async () => {
        await remove.mutateAsync({ rates: rates.filter((o) => !sameRate(o, r)), etag });
        toast('Tax rate deleted');
      },
    });
  const actions = (r: PlacedRate) => [
    { text: 'Edit', run: () => setEdit({ kind: 'edit', of: r }) },
    ...(r.until === null && !r.ended ? [{ text: 'End', run: () => setEdit({ kind: 'end', of: r }) }] : []),
    ...(r.until === null ? [{ text: 'Add next rate', run: () => setEdit({ kind: 'add', of: r }) }] : []),
    { text: 'Delete', danger: true, run: () => askRemove(r) },
  ];
  return (
    <>
      <Group justify="space-between" gap="sm" mb="sm" px={18} pt={14}>
        <Text size="sm" c="dimmed" maw={520}>
          A buyer in a country with a rate pays it, unless reverse charge applies.
        </Text>
        <Button variant="default" size="xs" disabled={!query.data} onClick={() => setEdit({ kind: 'add' })}>
          Add tax rate
        </Button>
      </Group>
      {missing && (
        <Alert color="red" variant="outline" title="Some invoices cannot be issued" mx={18} mb="sm">
          Prices include tax, but the seller&apos;s country, {countryName(home)}, has no rate today. Add one.
        </Alert>
      )}
      <ResourceTable
        label="Tax rates"
        columns={columns}
        rows={rows}
        rowKey={(r) => `${r.country} ${r.from}`}
        name={(r) => `the rate of ${r.country} from ${r.from}`}
        actions={actions}
        quiet={(r) => r.state === 'past' || r.state === 'ended'}
        cardHeight={170}
        empty={<div className="panel-body dim">There are no tax rates.</div>}
      />
      {edit && <TaxRateDialog edit={edit} rates={rates} etag={etag} today={today} onClose={() => setEdit(null)} />}
    </>
  );
}

const tones: Record<RateState, 'good' | 'busy' | 'idle'> = {
  'in effect': 'good',
  planned: 'busy',
  past: 'idle',
  ended: 'idle',
};

const columns: Column<PlacedRate>[] = [
  {
    key: 'country',
    head: 'Country',
    cell: (r) => (
      <>
        <span className="cell-main strong">{countryName(r.country)}</span>
        <span className="cell-sub">{r.country}</span>
      </>
    ),
  },
  { key: 'percent', head: 'Rate', width: '96px', end: true, cell: (r) => (r.ended ? 'None' : `${r.percent}%`) },
  { key: 'from', head: 'From', width: '120px', cell: (r) => <span className="nowrap">{r.from}</span> },
  {
    key: 'until',
    head: 'Ends before',
    width: '120px',
    cell: (r) => <span className="nowrap">{r.until ?? <span className="dim">–</span>}</span>,
  },
  { key: 'state', head: 'State', width: '110px', cell: (r) => <Chip tone={tones[r.state]}>{r.state}</Chip> },
];
