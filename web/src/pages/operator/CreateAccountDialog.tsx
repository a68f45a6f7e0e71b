import { TextInput } from '@mantine/core';
import { useState } from 'react';
import { fieldErrors, useSend } from '../../api/hooks';
import { FormDialog } from '../../parts/FormDialog';
import { dollars, parseMoney } from '../../parts/money';
import { toast } from '../../parts/toast';
import { OwnerInvited } from './OwnerInvited';

export const amountHint = 'Enter an amount such as 250 or 12.50.';

/** Creates an account, and invites its owner in the same step. */
export function CreateAccountDialog({ onClose }: { onClose: () => void }) {
  const create = useSend('post', '/api/v1/operator/accounts');
  const [name, setName] = useState('');
  const [credit, setCredit] = useState('');
  const [owner, setOwner] = useState('');
  const amount = credit.trim() ? parseMoney(credit) : null;
  const invalid = credit.trim() !== '' && amount === null;
  const { at, general } = fieldErrors(create.error);
  if (create.data?.invitation)
    return <OwnerInvited title="Account created" invitation={create.data.invitation} onClose={onClose} />;
  const submit = () =>
    create.mutate(
      {
        body: {
          name: name.trim(),
          ...(amount !== null && { credit: dollars(amount) }),
          ...(owner.trim() && { ownerEmail: owner.trim() }),
        },
      },
      {
        onSuccess: (a) => {
          toast(`${a.name} created`);
          if (!a.invitation) onClose();
        },
      },
    );
  return (
    <FormDialog
      title="Create account"
      submit="Create account"
      disabled={!name.trim() || invalid}
      busy={create.isPending}
      error={general}
      onSubmit={submit}
      onClose={onClose}
    >
      <TextInput
        label="Name"
        value={name}
        onChange={(e) => setName(e.currentTarget.value)}
        error={at('name')}
        required
        data-autofocus
        maxLength={64}
      />
      <TextInput
        label="Owner's email"
        description="Optional. The owner gets an invitation to the account."
        type="email"
        autoComplete="off"
        value={owner}
        onChange={(e) => setOwner(e.currentTarget.value)}
        error={at('ownerEmail')}
      />
      <TextInput
        label="Opening credit (USD)"
        description="Optional"
        inputMode="decimal"
        value={credit}
        onChange={(e) => setCredit(e.currentTarget.value)}
        error={invalid ? amountHint : at('credit')}
      />
    </FormDialog>
  );
}
