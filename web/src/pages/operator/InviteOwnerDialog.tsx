import { TextInput } from '@mantine/core';
import { useState } from 'react';
import { fieldErrors, useSend, withId } from '../../api/hooks';
import type { OperatorAccount } from '../../api/operator';
import { FormDialog } from '../../parts/FormDialog';
import { OwnerInvited } from './OwnerInvited';

/** Invites an owner of an account. */
export function InviteOwnerDialog({ of: a, onClose }: { of: OperatorAccount; onClose: () => void }) {
  const invite = useSend('post', '/api/v1/operator/accounts/{id}/invitations');
  const [email, setEmail] = useState('');
  const { at, general } = fieldErrors(invite.error);
  if (invite.data) return <OwnerInvited title="Owner invited" invitation={invite.data} onClose={onClose} />;
  return (
    <FormDialog
      title={`Invite an owner of ${a.name}`}
      submit="Invite owner"
      disabled={!email.trim()}
      busy={invite.isPending}
      error={general}
      onSubmit={() => invite.mutate({ ...withId(a.id), body: { email: email.trim() } })}
      onClose={onClose}
    >
      <TextInput
        label="Email"
        description="Only the user with this address can accept the invitation."
        type="email"
        autoComplete="off"
        value={email}
        onChange={(e) => setEmail(e.currentTarget.value)}
        error={at('email')}
        required
        data-autofocus
      />
    </FormDialog>
  );
}
