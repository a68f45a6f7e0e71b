import { TextInput } from '@mantine/core';
import { useState } from 'react';
import { fieldErrors, useSend, withId } from '../../../api/hooks';
import { allTopUpsPath, type OperatorTopUp, useAccountName } from '../../../api/operator';
import { FormDialog } from '../../../parts/FormDialog';
import { dollars, formatMoney, micro, parseMoney } from '../../../parts/money';
import { toast } from '../../../parts/toast';
import { amountHint } from '../CreateAccountDialog';
import { arrivalText } from './arrival';

/** Credits a bank transfer with what has arrived. */
export function ConfirmTransferDialog({ of: t, onClose }: { of: OperatorTopUp; onClose: () => void }) {
  const confirm = useSend('post', `${allTopUpsPath}/{id}/confirm`);
  const accountName = useAccountName();
  const [text, setText] = useState('');
  const [reference, setReference] = useState('');
  const amount = parseMoney(text);
  const asked = micro(t.amount);
  const errors = fieldErrors(confirm.error);
  const submit = () => {
    if (amount === null) return;
    confirm.mutate(
      { ...withId(t.id), body: { amount: dollars(amount), reference: reference.trim() } },
      {
        onSuccess: (done) => {
          toast(`${formatMoney(micro(done.received))} credited to ${accountName(t.accountId)}`);
          onClose();
        },
      },
    );
  };
  return (
    <FormDialog
      title="Confirm a bank transfer"
      submit={amount ? `Credit ${formatMoney(amount)}` : 'Credit'}
      disabled={!amount || !reference.trim()}
      busy={confirm.isPending}
      error={errors.general}
      onSubmit={submit}
      onClose={onClose}
    >
      <div>
        {accountName(t.accountId)} was asked for {formatMoney(asked)} with the reference{' '}
        <span className="mono nowrap">{t.reference}</span>.
        {t.status === 'expired' && ' The top-up has expired. Money that arrives all the same is credited.'}
      </div>
      <TextInput
        label="Amount that has arrived (USD)"
        inputMode="decimal"
        value={text}
        onChange={(e) => setText(e.currentTarget.value)}
        error={errors.at('amount') ?? (text.trim() && amount === null ? amountHint : undefined)}
        autoComplete="off"
        required
        data-autofocus
      />
      <TextInput
        label="Bank reference"
        description="The bank's own reference, as your statement has it. Each confirms one top-up only."
        maxLength={100}
        value={reference}
        onChange={(e) => setReference(e.currentTarget.value)}
        error={errors.at('reference')}
        autoComplete="off"
        required
      />
      <div role="status" className={amount && amount !== asked ? 'notice' : undefined} style={{ marginBottom: 0 }}>
        {amount ? arrivalText(asked, amount) : ''}
      </div>
    </FormDialog>
  );
}
