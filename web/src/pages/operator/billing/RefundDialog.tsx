import { Textarea, TextInput } from '@mantine/core';
import { useState } from 'react';
import { fieldErrors, useSend } from '../../../api/hooks';
import { useIdempotencyKey } from '../../../api/idempotency';
import { allTopUpsPath, type OperatorTopUp, type TopUpDetails, useAnyTopUp } from '../../../api/operator';
import { FormDialog } from '../../../parts/FormDialog';
import { dollars, formatMoney, micro, parseMoney } from '../../../parts/money';
import { toast } from '../../../parts/toast';
import { amountHint } from '../CreateAccountDialog';

/** Refunds at most the unspent part of a top-up. */
export function RefundDialog({ of: t, onClose }: { of: OperatorTopUp; onClose: () => void }) {
  const details = useAnyTopUp(t.id);
  const refund = useSend('post', `${allTopUpsPath}/{id}/refund`);
  const keyFor = useIdempotencyKey();
  const [text, setText] = useState('');
  const [reason, setReason] = useState('');
  const amount = parseMoney(text);
  const most = details.data && micro(details.data.refundable);
  const errors = fieldErrors(refund.error);
  const tooMuch = amount !== null && most !== undefined && amount > most;
  const submit = () => {
    if (amount === null) return;
    const body = { amount: dollars(amount), reason: reason.trim() };
    const params = { path: { id: t.id }, header: { 'Idempotency-Key': keyFor(body, refund.error) } };
    refund.mutate(
      { params, body },
      {
        onSuccess: () => {
          toast(`Refund of ${formatMoney(amount)} started`);
          onClose();
        },
      },
    );
  };
  return (
    <FormDialog
      title="Refund a top-up"
      submit={amount ? `Refund ${formatMoney(amount)}` : 'Refund'}
      danger
      disabled={!amount || tooMuch || !reason.trim() || most === 0}
      busy={refund.isPending}
      error={errors.general ?? details.error}
      onSubmit={submit}
      onClose={onClose}
    >
      <div>{what(t)}</div>
      <TextInput
        label="Amount (USD)"
        description={limitText(details.data)}
        inputMode="decimal"
        value={text}
        onChange={(e) => setText(e.currentTarget.value)}
        error={
          errors.at('amount') ??
          (tooMuch ? `At most ${formatMoney(most)} can be refunded.` : undefined) ??
          (text.trim() && amount === null ? amountHint : undefined)
        }
        autoComplete="off"
        required
        data-autofocus
      />
      <Textarea
        label="Reason"
        description="The tenant reads it."
        maxLength={200}
        value={reason}
        onChange={(e) => setReason(e.currentTarget.value)}
        error={errors.at('reason')}
        required
      />
    </FormDialog>
  );
}

/** What a refund does, by the way in which the top-up was paid. */
function what(t: OperatorTopUp): string {
  const leaves = 'The amount leaves the wallet at once.';
  if (t.processor === 'transfer') return `${leaves} The refund is only recorded: transfer the money at your bank.`;
  return (
    `${leaves} The processor returns it to the payment method that paid. ` +
    'If the processor refuses, it is in the wallet again.'
  );
}

function limitText(t: TopUpDetails | undefined): string {
  if (!t) return 'Loading the refundable amount…';
  if (t.refundable === 0) return 'Nothing can be refunded: what is left of it is spent, refunded or disputed.';
  return `At most ${formatMoney(micro(t.refundable))}: the part that is neither spent, refunded nor disputed.`;
}
