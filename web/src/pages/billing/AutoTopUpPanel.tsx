import { Alert, Button, Switch, TextInput } from '@mantine/core';
import { useState } from 'react';
import { type AutoTopUp, useAutoTopUp } from '../../api/billing';
import { fieldErrors, useSend } from '../../api/hooks';
import { useIdempotencyKey } from '../../api/idempotency';
import { Facts } from '../../parts/Facts';
import { FormDialog } from '../../parts/FormDialog';
import { Loaded } from '../../parts/Loaded';
import { Money } from '../../parts/Money';
import { dollars, formatMoney, micro, parseMoney } from '../../parts/money';
import { Panel } from '../../parts/Panel';
import { toast } from '../../parts/toast';
import { methodName } from './words';

/** When a saved payment method is charged without anyone being there. */
export function AutoTopUpPanel({ write }: { write: boolean }) {
  const auto = useAutoTopUp();
  const [editing, setEditing] = useState(false);
  return (
    <Panel
      title="Automatic top-up"
      actions={
        write &&
        auto.data && (
          <Button size="compact-sm" variant="default" onClick={() => setEditing(true)}>
            {auto.data.enabled ? 'Edit' : 'Set up'}
          </Button>
        )
      }
    >
      <Loaded query={auto}>
        {(a) => (
          <>
            {a.stoppedReason && (
              <Alert color="red" variant="outline" title="Automatic top-ups have stopped">
                {a.stoppedReason}
              </Alert>
            )}
            {a.enabled || a.stoppedReason ? (
              <Facts
                items={[
                  ['When available is below', <Money key="threshold" usd={a.threshold} />],
                  ['Top up by', <Money key="amount" usd={a.amount} />],
                  [
                    'At most in a month',
                    <span key="limit">
                      <Money usd={a.monthlyLimit} />, <Money usd={a.usedThisMonth} /> used
                    </span>,
                  ],
                  ['Payment method', a.paymentMethod ? methodName(a.paymentMethod) : 'None saved'],
                ]}
              />
            ) : (
              <div className="dim">
                Off. It can charge a saved payment method when the balance runs low, so that nothing has to end.
              </div>
            )}
          </>
        )}
      </Loaded>
      {editing && auto.data && <AutoTopUpDialog now={auto.data} onClose={() => setEditing(false)} />}
    </Panel>
  );
}

function AutoTopUpDialog({ now, onClose }: { now: AutoTopUp; onClose: () => void }) {
  const set = useSend('put', '/api/v1/inventory/wallet/auto-top-up');
  const keyFor = useIdempotencyKey();
  const first = (usd: number, otherwise: string) => (usd ? String(usd) : otherwise);
  const [enabled, setEnabled] = useState(true);
  const [threshold, setThreshold] = useState(first(now.threshold, '25'));
  const [amount, setAmount] = useState(first(now.amount, '100'));
  const [limit, setLimit] = useState(first(now.monthlyLimit, '1000'));
  const parsed = [threshold, amount, limit].map(parseMoney);
  const errors = fieldErrors(set.error);
  const submit = () => {
    const [t, a, l] = parsed;
    if (t == null || a == null || l == null) return;
    const body = { enabled, threshold: dollars(t), amount: dollars(a), monthlyLimit: dollars(l) };
    set.mutate(
      { params: { header: { 'Idempotency-Key': keyFor(body, set.error) } }, body },
      {
        onSuccess: (saved) => {
          const amount = formatMoney(micro(saved.amount));
          toast(saved.enabled ? `Automatic top-ups of ${amount} are on` : 'Automatic top-ups are off');
          onClose();
        },
      },
    );
  };
  const field = (label: string, name: string, value: string, change: (text: string) => void) => (
    <TextInput
      label={label}
      inputMode="decimal"
      value={value}
      onChange={(e) => change(e.currentTarget.value)}
      error={errors.at(name) ?? (parseMoney(value) === null ? 'Enter an amount in US dollars.' : undefined)}
      required
    />
  );
  return (
    <FormDialog
      title="Automatic top-up"
      submit="Save"
      disabled={parsed.includes(null)}
      busy={set.isPending}
      error={errors.general}
      onSubmit={submit}
      onClose={onClose}
    >
      <Switch
        label="Top up automatically"
        description={
          now.paymentMethod
            ? `Charges ${methodName(now.paymentMethod)}.`
            : 'Top up once with "Save the payment method" first.'
        }
        checked={enabled}
        onChange={(e) => setEnabled(e.currentTarget.checked)}
      />
      {field('When available is below (USD)', 'threshold', threshold, setThreshold)}
      {field('Top up by (USD)', 'amount', amount, setAmount)}
      {field('At most in a month (USD)', 'monthlyLimit', limit, setLimit)}
    </FormDialog>
  );
}
