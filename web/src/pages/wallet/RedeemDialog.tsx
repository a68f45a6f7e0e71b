import { TextInput } from '@mantine/core';
import { useState } from 'react';
import { ApiError } from '../../api/error';
import { fieldErrors, useSend } from '../../api/hooks';
import { FormDialog } from '../../parts/FormDialog';
import { formatMoney, micro } from '../../parts/money';
import { localTime } from '../../parts/time';
import { toast } from '../../parts/toast';

/** Adds the credit of a promo code to the balance. */
export default function RedeemDialog({ onClose }: { onClose: () => void }) {
  const redeem = useSend('post', '/api/v1/inventory/wallet/promo-codes');
  const [text, setText] = useState('');
  const errors = fieldErrors(redeem.error);
  // What the account can do nothing about but enter another code.
  const refused =
    redeem.error instanceof ApiError && ['NOT_FOUND', 'CONFLICT'].includes(redeem.error.code)
      ? redeem.error.message
      : undefined;
  const code = text.trim();
  const submit = () =>
    redeem.mutate(
      { body: { code } },
      {
        onSuccess: (c) => {
          const added = `${formatMoney(micro(c.amount))} added to the wallet`;
          toast(c.expiresAt ? `${added}. It expires ${localTime(c.expiresAt)}.` : added);
          onClose();
        },
      },
    );
  return (
    <FormDialog
      title="Redeem a promo code"
      submit="Redeem code"
      disabled={code === ''}
      busy={redeem.isPending}
      error={refused ? null : errors.general}
      onSubmit={submit}
      onClose={onClose}
    >
      <TextInput
        label="Promo code"
        description="Adds credit to the wallet. An account can redeem a code once."
        value={text}
        maxLength={60}
        onChange={(e) => {
          setText(e.currentTarget.value);
          redeem.reset();
        }}
        error={refused ?? errors.at('code')}
        autoComplete="off"
        autoCapitalize="characters"
        spellCheck={false}
        required
        data-autofocus
      />
    </FormDialog>
  );
}
