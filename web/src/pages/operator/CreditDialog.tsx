import { TextInput } from '@mantine/core';
import { useState } from 'react';
import { fieldErrors, useSend } from '../../api/hooks';
import { useIdempotencyKey } from '../../api/idempotency';
import type { OperatorAccount } from '../../api/operator';
import { useSettings } from '../../api/settings';
import { FormDialog } from '../../parts/FormDialog';
import { dollars, formatMoney, micro, parseMoney } from '../../parts/money';
import { toast } from '../../parts/toast';
import { endOf } from '../../parts/utcDays';
import { amountHint } from './CreateAccountDialog';

export function CreditDialog({ to: a, onClose }: { to: OperatorAccount; onClose: () => void }) {
  const credit = useSend('post', '/api/v1/operator/accounts/{id}/credit');
  const keyFor = useIdempotencyKey();
  const [text, setText] = useState('');
  const [note, setNote] = useState('');
  const [reference, setReference] = useState('');
  const [reason, setReason] = useState('');
  const [lastDay, setLastDay] = useState('');
  const above = useSettings().data?.value.wallet.approvalAbove ?? 0;
  const amount = parseMoney(text);
  const errors = fieldErrors(credit.error);
  const submit = () => {
    if (amount === null) return;
    const body = {
      amount: dollars(amount),
      ...(note.trim() && { note: note.trim() }),
      ...(lastDay && { expiresAt: endOf(lastDay) }),
      ...(reference.trim() && { reference: reference.trim() }),
      ...(above > 0 && reason.trim() && { reason: reason.trim() }),
    };
    credit.mutate(
      { params: { path: { id: a.id }, header: { 'Idempotency-Key': keyFor(body, credit.error) } }, body },
      {
        onSuccess: (result) => {
          toast(
            result.made
              ? `${formatMoney(amount)} credited to ${a.name}`
              : result.adjustment?.state === 'pending'
                ? `${formatMoney(amount)} for ${a.name} waits for the approval of another operator`
                : 'This reference was already credited. Nothing changed.',
          );
          onClose();
        },
      },
    );
  };
  return (
    <FormDialog
      title={`Add credit to ${a.name}`}
      submit={amount ? `Add ${formatMoney(amount)}` : 'Add credit'}
      disabled={amount === null || amount === 0}
      busy={credit.isPending}
      error={errors.general}
      onSubmit={submit}
      onClose={onClose}
    >
      <TextInput
        label="Amount (USD)"
        inputMode="decimal"
        value={text}
        onChange={(e) => setText(e.currentTarget.value)}
        error={text.trim() && amount === null ? amountHint : errors.at('amount')}
        required
        data-autofocus
      />
      <TextInput
        type="date"
        label="Expires after"
        description={
          'Optional. What is left at the end of this day (UTC) is taken back. ' + 'Credit that expires is spent first.'
        }
        value={lastDay}
        onChange={(e) => setLastDay(e.currentTarget.value)}
        error={errors.at('expiresAt')}
      />
      <TextInput
        label="Note"
        description="Optional. The account sees it in its transactions."
        value={note}
        maxLength={200}
        onChange={(e) => setNote(e.currentTarget.value)}
        error={errors.at('note')}
      />
      <TextInput
        label="Reference"
        description="Optional. For example, an invoice number. The same reference is credited only once."
        value={reference}
        maxLength={100}
        onChange={(e) => setReference(e.currentTarget.value)}
        error={errors.at('reference')}
      />
      {above > 0 && (
        <TextInput
          label="Reason"
          description={
            `Required if more than ${formatMoney(micro(above))} is added or removed for this account within ` +
            '24 hours. Another operator must then approve it.'
          }
          value={reason}
          maxLength={500}
          onChange={(e) => setReason(e.currentTarget.value)}
          error={errors.at('reason')}
        />
      )}
    </FormDialog>
  );
}
