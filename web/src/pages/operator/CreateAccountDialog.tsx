import { TextInput } from '@mantine/core';
import { useState } from 'react';
import { useSend } from '../../api/hooks';
import { FormDialog } from '../../parts/FormDialog';
import { dollars, parseMoney } from '../../parts/money';
import { toast } from '../../parts/toast';

export const amountHint = 'Enter an amount such as 250 or 12.50.';

export function CreateAccountDialog({ onClose }: { onClose: () => void }) {
  const create = useSend('post', '/api/v1/operator/accounts');
  const [name, setName] = useState('');
  const [credit, setCredit] = useState('');
  const amount = credit.trim() ? parseMoney(credit) : null;
  const invalid = credit.trim() !== '' && amount === null;
  const submit = () =>
    create.mutate(
      { body: { name: name.trim(), ...(amount !== null && { credit: dollars(amount) }) } },
      {
        onSuccess: (a) => {
          toast(`${a.name} created`);
          onClose();
        },
      },
    );
  return (
    <FormDialog
      title="Create account"
      submit="Create account"
      disabled={!name.trim() || invalid}
      busy={create.isPending}
      error={create.error}
      onSubmit={submit}
      onClose={onClose}
    >
      <TextInput
        label="Name"
        value={name}
        onChange={(e) => setName(e.currentTarget.value)}
        required
        data-autofocus
        maxLength={64}
      />
      <TextInput
        label="Opening credit (USD)"
        description="Optional"
        inputMode="decimal"
        value={credit}
        onChange={(e) => setCredit(e.currentTarget.value)}
        error={invalid ? amountHint : undefined}
      />
      <div className="small dim">
        Add a user afterwards: <code className="mono">billetd user create --account ID --email …</code>
      </div>
    </FormDialog>
  );
}
