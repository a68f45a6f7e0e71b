import { Button, Group, Modal, Text } from '@mantine/core';
import { useState } from 'react';
import { Link } from 'react-router';
import type { Schema } from '../../api/client';
import { useNow } from '../../api/clock';
import { asApiError } from '../../api/error';
import { pageQuery, useSend, withId } from '../../api/hooks';
import { promoCodesPage, promoCodesPath, useAccountName } from '../../api/operator';
import { CopyField } from '../../parts/Copy';
import { useConfirm } from '../../parts/confirm';
import { EmptyState } from '../../parts/EmptyState';
import { Money } from '../../parts/Money';
import { formatMoney, micro } from '../../parts/money';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import type { RowAction } from '../../parts/RowMenu';
import { usePagedRows } from '../../parts/rows';
import { Status } from '../../parts/Status';
import { Time } from '../../parts/Time';
import { bothTimes, utcDay } from '../../parts/time';
import { toast } from '../../parts/toast';
import { PromoCodeDialog } from './PromoCodeDialog';
import { days, type PromoCode, redeemed, stateOf } from './promoCode';

/** The codes with which accounts add credit to their balance. */
export function PromoCodes() {
  const [edited, setEdited] = useState<PromoCode | 'new' | null>(null);
  const [created, setCreated] = useState<PromoCode | null>(null);
  const [shown, setShown] = useState<PromoCode | null>(null);
  const rows = usePagedRows<PromoCode>((page, limit) => promoCodesPage({ page, limit }));
  const update = useSend('patch', `${promoCodesPath}/{id}`);
  const remove = useSend('delete', `${promoCodesPath}/{id}`);
  const confirm = useConfirm();
  const now = useNow(60_000);
  const askDisable = (c: PromoCode) =>
    confirm({
      title: `Disable ${c.code}?`,
      body: 'No account can redeem the code from now on. Credit that was given stays. You can enable the code again.',
      action: 'Disable',
      danger: true,
      run: async () => {
        await update.mutateAsync({ ...withId(c.id), body: { enabled: false } });
        toast(`${c.code} disabled`);
      },
    });
  const enable = (c: PromoCode) =>
    update.mutate(
      { ...withId(c.id), body: { enabled: true } },
      {
        onSuccess: () => toast(`${c.code} enabled`),
        onError: (error) => toast(asApiError(error).message),
      },
    );
  const askDelete = (c: PromoCode) =>
    confirm({
      title: `Delete ${c.code}?`,
      body: 'No account has redeemed it.',
      action: 'Delete',
      danger: true,
      run: async () => {
        await remove.mutateAsync(withId(c.id));
        toast(`${c.code} deleted`);
      },
    });
  const actions = (c: PromoCode): RowAction[] => [
    { text: 'Edit', run: () => setEdited(c) },
    { text: 'View redemptions', run: () => setShown(c) },
    c.enabled ? { text: 'Disable', run: () => askDisable(c) } : { text: 'Enable', run: () => enable(c) },
    ...(c.redemptions === 0 ? [{ text: 'Delete', danger: true, run: () => askDelete(c) }] : []),
  ];
  const create = <Button onClick={() => setEdited('new')}>Create promo code</Button>;
  return (
    <>
      {rows.count > 0 && (
        <Group justify="space-between" mb="sm" gap="sm">
          <Text size="sm" c="dimmed" maw={640}>
            Each account can redeem a code once, under Wallet → Redeem code.
          </Text>
          {create}
        </Group>
      )}
      <ResourceTable
        label="Promo codes"
        columns={columns(now)}
        rows={rows}
        rowKey={(c) => c.id}
        name={(c) => c.code}
        quiet={(c) => !['active', 'scheduled'].includes(stateOf(c, now))}
        rowHeight={60}
        cardHeight={225}
        actions={actions}
        empty={
          <EmptyState
            title="No promo codes yet"
            action={create}
            api={{ method: 'POST', path: promoCodesPath, body: { code: 'WELCOME50', amount: 50, maxRedemptions: 200 } }}
          >
            A promo code gives each account that redeems it a credit, once. You decide how much, how often, and until
            when.
          </EmptyState>
        }
      />
      {edited && (
        <PromoCodeDialog of={edited === 'new' ? null : edited} onCreated={setCreated} onClose={() => setEdited(null)} />
      )}
      {created && <CreatedDialog of={created} onClose={() => setCreated(null)} />}
      {shown && <RedemptionsDialog of={shown} onClose={() => setShown(null)} />}
    </>
  );
}

/** Shows a new code, which may have been generated, to be passed on. */
function CreatedDialog({ of: c, onClose }: { of: PromoCode; onClose: () => void }) {
  return (
    <Modal opened onClose={onClose} title="Promo code created">
      <div className="stack">
        <CopyField value={c.code} label="promo code" />
        <div>
          It gives each account that redeems it {formatMoney(micro(c.amount))}
          {c.creditDays !== null && `, which expires after ${days(c.creditDays)}`}. Accounts redeem it in the dashboard,
          under Wallet → Redeem code, or with the command line:
        </div>
        <CopyField value={`billet redeem ${c.code}`} label="command" />
        <Group justify="flex-end">
          <Button onClick={onClose}>Done</Button>
        </Group>
      </div>
    </Modal>
  );
}

type Redemption = Schema['PromoCodeRedemption'];

/** The accounts that have redeemed a code. */
function RedemptionsDialog({ of: c, onClose }: { of: PromoCode; onClose: () => void }) {
  const accountName = useAccountName();
  const rows = usePagedRows<Redemption>((page, limit) =>
    pageQuery(`${promoCodesPath}/{id}/redemptions`, { params: { path: { id: c.id }, query: { page, limit } } }),
  );
  const columnsOfRedemptions: Column<Redemption>[] = [
    {
      key: 'account',
      head: 'Account',
      cell: (r) => (
        <Link to={`/operator/accounts/${r.accountId}`} className="link">
          {accountName(r.accountId)}
        </Link>
      ),
    },
    { key: 'at', head: 'Redeemed', width: '200px', cell: (r) => <Time at={r.createdAt} /> },
  ];
  return (
    <Modal opened onClose={onClose} title={`Redemptions of ${c.code}`} size="lg">
      <div className="stack">
        <ResourceTable
          label="Redemptions"
          columns={columnsOfRedemptions}
          rows={rows}
          rowKey={(r) => r.accountId}
          cardHeight={76}
          empty={<div className="dim">No account has redeemed this code yet.</div>}
        />
        <Group justify="flex-end">
          <Button onClick={onClose}>Close</Button>
        </Group>
      </div>
    </Modal>
  );
}

function columns(now: number): Column<PromoCode>[] {
  return [
    {
      key: 'code',
      head: 'Code',
      cell: (c) => (
        <>
          <span className="cell-main strong mono">{c.code}</span>
          {c.newAccountsOnly && <span className="cell-sub">new accounts only</span>}
        </>
      ),
    },
    { key: 'state', head: 'State', width: '120px', cell: (c) => <Status value={stateOf(c, now)} /> },
    {
      key: 'amount',
      head: 'Credit',
      width: '160px',
      cell: (c) => (
        <>
          <span className="cell-main">
            <Money usd={c.amount} />
          </span>
          <span className="cell-sub">{c.creditDays === null ? 'does not expire' : `for ${days(c.creditDays)}`}</span>
        </>
      ),
    },
    { key: 'redeemed', head: 'Redeemed', width: '120px', cell: redeemed },
    {
      key: 'valid',
      head: 'Can be redeemed',
      width: '220px',
      from: 800,
      cell: (c) => (
        <>
          {c.validUntil === null ? (
            <span className="cell-main">no end</span>
          ) : (
            <span className="cell-main" title={bothTimes(c.validUntil)}>
              until {utcDay(Date.parse(c.validUntil) - 1)}
            </span>
          )}
          {c.validFrom !== null && (
            <span className="cell-sub" title={bothTimes(c.validFrom)}>
              from {utcDay(c.validFrom)}
            </span>
          )}
        </>
      ),
    },
  ];
}
