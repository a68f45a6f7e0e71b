import { Checkbox, TextInput } from '@mantine/core';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { topUpsPath } from '../../api/billing';
import { fieldErrors, useSend } from '../../api/hooks';
import { useIdempotencyKey } from '../../api/idempotency';
import { FormDialog } from '../../parts/FormDialog';
import { dollars, formatMoney, parseMoney } from '../../parts/money';

const suggested = '50';

/** Asks for an amount, and opens the payment page. */
export function TopUpDialog({ onClose }: { onClose: () => void }) {
  const create = useSend('post', topUpsPath);
  const keyFor = useIdempotencyKey();
  const navigate = useNavigate();
  const [text, setText] = useState(suggested);
  const [save, setSave] = useState(false);
  const [leaving, setLeaving] = useState(false);
  const amount = parseMoney(text);
  const errors = fieldErrors(create.error);
  const submit = () => {
    if (amount === null) return;
    // The session belongs to this address, whatever else the server is called.
    const returnUrl = `${window.location.origin}/wallet`;
    const body = { amount: dollars(amount), returnUrl, ...(save && { savePaymentMethod: true }) };
    create.mutate(
      { params: { header: { 'Idempotency-Key': keyFor(body, create.error) } }, body },
      {
        onSuccess: (made) => {
          if (made.checkoutUrl) {
            setLeaving(true);
            window.location.assign(made.checkoutUrl);
          } else {
            // The page is still being made: the notice shows the link once it is there.
            void navigate(`/billing?topUp=${made.id}`, { replace: true });
          }
        },
      },
    );
  };
  return (
    <FormDialog
      title="Top up the wallet"
      submit={amount ? `Continue to payment of ${formatMoney(amount)}` : 'Continue to payment'}
      disabled={amount === null || amount === 0}
      busy={create.isPending || leaving}
      error={errors.general}
      onSubmit={submit}
      onClose={onClose}
    >
      <TextInput
        label="Amount (USD)"
        inputMode="decimal"
        value={text}
        onChange={(e) => setText(e.currentTarget.value)}
        error={
          errors.at('amount') ??
          (text.trim() && amount === null ? 'Enter an amount in US dollars, such as 50.' : undefined)
        }
        required
        data-autofocus
      />
      <Checkbox
        label="Save the payment method"
        description="Automatic top-ups can charge it later."
        checked={save}
        onChange={(e) => setSave(e.currentTarget.checked)}
      />
    </FormDialog>
  );
}
