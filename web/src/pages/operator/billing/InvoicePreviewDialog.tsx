import { Button, Group, Modal, Select } from '@mantine/core';
import { useState } from 'react';
import type { Schema } from '../../../api/client';
import { useGet, withId } from '../../../api/hooks';
import { useOperatorAccounts } from '../../../api/operator';
import { Facts } from '../../../parts/Facts';
import { Loaded } from '../../../parts/Loaded';
import { formatNumber } from '../../../parts/locale';
import { Money } from '../../../parts/Money';
import { type Column, ResourceTable } from '../../../parts/ResourceTable';
import { useListRows } from '../../../parts/rows';
import { Time } from '../../../parts/Time';

/** What an account's invoice of the current month would be if the month ended now. */
export function InvoicePreviewDialog({ account: first, onClose }: { account?: string; onClose: () => void }) {
  const [account, setAccount] = useState(first ?? null);
  const accounts = useOperatorAccounts().data ?? [];
  return (
    <Modal opened onClose={onClose} title="Preview of the current month" size="xl">
      <div className="stack">
        <Select
          label="Account"
          placeholder="Choose an account"
          data={accounts.map((a) => ({ value: a.id, label: a.name }))}
          value={account}
          onChange={setAccount}
          searchable
          data-autofocus
        />
        {account && <Preview of={account} />}
        <Group justify="flex-end">
          <Button onClick={onClose}>Close</Button>
        </Group>
      </div>
    </Modal>
  );
}

function Preview({ of: account }: { of: string }) {
  const preview = useGet('/api/v1/operator/accounts/{id}/invoice-preview', withId(account));
  return <Loaded query={preview}>{(i) => <Content of={i} />}</Loaded>;
}

type Invoice = Schema['Invoice'];
type Line = Schema['InvoiceLine'];

function Content({ of: i }: { of: Invoice }) {
  const rows = useListRows<Line>({ data: i.lines, error: null, refetch: () => {} });
  const { treatment } = i.totals;
  return (
    <>
      <Facts
        items={[
          ['Month', i.month],
          ['As of', <Time key="at" at={i.issuedAt} />],
          ['Buyer', [i.buyer.name, i.buyer.country].filter(Boolean).join(', ')],
          ['VAT identification number', i.buyer.vatId || undefined],
          ['Balance when the month began', i.balance ? <Money key="opening" usd={i.balance.opening} /> : undefined],
          ['Payments', i.balance ? <Money key="payments" usd={i.balance.payments} /> : undefined],
          ['Credits and adjustments', i.balance ? <Given key="given" of={i.balance} /> : undefined],
          ['Balance now', i.balance ? <Money key="closing" usd={i.balance.closing} /> : undefined],
        ]}
      />
      <ResourceTable
        label="Lines of the preview"
        columns={columns}
        rows={rows}
        rowKey={(l) => `${l.subject} ${l.hourlyPrice} ${l.from}`}
        cardHeight={150}
        empty={<div className="dim">Nothing was used in this month.</div>}
      />
      <Facts
        items={[
          ['Net', <Money key="net" usd={i.totals.net} />],
          [
            treatment.country ? `${treatment.name} of ${treatment.country}, ${treatment.percent}%` : treatment.name,
            <span key="tax">
              <Money usd={i.totals.tax} />
              {treatment.reason && <span className="cell-sub wrap">{treatment.reason}</span>}
            </span>,
          ],
          [
            'Total',
            <b key="total">
              <Money usd={i.totals.total} />
            </b>,
          ],
        ]}
      />
    </>
  );
}

function Given({ of: b }: { of: Schema['InvoiceBalance'] }) {
  return (
    <>
      <Money usd={b.credits} sign />, <Money usd={b.adjustments} sign />
    </>
  );
}

const columns: Column<Line>[] = [
  {
    key: 'name',
    head: 'Used',
    cell: (l) => (
      <>
        <span className="cell-main">{l.name}</span>
        <span className="cell-sub">{[l.gpuType, l.provider, l.region].filter(Boolean).join(' · ')}</span>
      </>
    ),
  },
  { key: 'hours', head: 'Hours', width: '90px', end: true, cell: (l) => formatNumber(l.seconds / 3600, 2) },
  { key: 'price', head: 'Price/hr', width: '120px', end: true, cell: (l) => <Money usd={l.hourlyPrice} rate /> },
  { key: 'amount', head: 'Amount', width: '120px', end: true, cell: (l) => <Money usd={l.amount} /> },
];
