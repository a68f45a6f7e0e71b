import { TextInput } from '@mantine/core';
import { useState } from 'react';
import { useSend } from '../../api/hooks';
import { useIdempotencyKey } from '../../api/idempotency';
import type { OperatorAccount } from '../../api/operator';
import { useSettings } from '../../api/settings';
import { FormDialog } from '../../parts/FormDialog';
import { dollars, formatMoney, micro, parseMoney } from '../../parts/money';
import { toast } from '../../parts/toast';
import { amountHint } from './CreateAccountDialog';

export function CreditDialog({ to: a, onClose }: { to: OperatorAccount; onClose: () => void }) {
  const credit = useSend('post', '/api/v1/operator/accounts/{id}/credit');
  const keyFor = useIdempotencyKey();
  const [text, setText] = useState('');
  const [note, setNote] = useState('');
  const [reference, setReference] = useState('');
  const [reason, setReason] = useState('');
  const above = useSettings().data?.value.wallet.approvalAbove ?? 0;
  const amount = parseMoney(text);
  const submit = () => {
    if (amount === null) return;
    const body = {
      amount: dollars(amount),
      ...(note.trim() && { note: note.trim() }),
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
      error={credit.error}
      onSubmit={submit}
      onClose={onClose}
    >
      <TextInput
        label="Amount (USD)"
        inputMode="decimal"
        value={text}
        onChange={(e) => setText(e.currentTarget.value)}
        error={text.trim() && amount === null ? amountHint : undefined}
        required
        data-autofocus
      />
      <TextInput
        label="Note"
        description="Optional. The account sees it in its transactions."
        value={note}
        onChange={(e) => setNote(e.currentTarget.value)}
      />
      <TextInput
        label="Reference"
        description="Optional. For example, an invoice number. The same reference is credited only once."
        value={reference}
        onChange={(e) => setReference(e.currentTarget.value)}
      />
      {above > 0 && (
        <TextInput
          label="Reason"
          description={`Another operator approves more than ${formatMoney(micro(above))} within 24 hours.`}
          value={reason}
          onChange={(e) => setReason(e.currentTarget.value)}
          required={amount !== null && Math.abs(dollars(amount)) > above}
        />
      )}
    </FormDialog>
  );
}
