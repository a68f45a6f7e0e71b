import { Alert, Button, Group, Modal, Radio, TextInput } from '@mantine/core';
import { useState } from 'react';
import { fieldErrors, useSend } from '../../api/hooks';
import type { Role } from '../../api/session';
import { CopyField } from '../../parts/Copy';
import { FormDialog } from '../../parts/FormDialog';
import { Time } from '../../parts/Time';
import type { roles } from './roles';

/** Creates an invite link to pass on: the server sends no email. */
export function InviteDialog({ roles: choices, onClose }: { roles: typeof roles; onClose: () => void }) {
  const [email, setEmail] = useState('');
  const [role, setRole] = useState<Role>('member');
  const invite = useSend('post', '/api/v1/account/invitations');
  const { at, general } = fieldErrors(invite.error);
  if (invite.data)
    return (
      <Modal opened onClose={onClose} title="Invite link created" size="lg" closeOnClickOutside={false}>
        <div className="stack">
          <Alert color="amber" variant="outline">
            Copy and send this link. It is shown once and expires <Time at={invite.data.expiresAt} />.{' '}
            {invite.data.email || 'Anyone with the link'} can join as {invite.data.role}.
          </Alert>
          <CopyField value={invite.data.url} label="invite link" />
          <Group justify="flex-end">
            <Button onClick={onClose}>Done, I've saved it</Button>
          </Group>
        </div>
      </Modal>
    );
  return (
    <FormDialog
      title="Invite member"
      submit="Create invite link"
      busy={invite.isPending}
      error={general}
      onSubmit={() => invite.mutate({ body: { role, ...(email.trim() && { email: email.trim() }) } })}
      onClose={onClose}
    >
      <TextInput
        label="Email"
        description="Optional. If set, only this address can accept."
        type="email"
        value={email}
        onChange={(e) => setEmail(e.currentTarget.value)}
        error={at('email')}
        data-autofocus
        autoComplete="off"
      />
      <Radio.Group label="Role" value={role} onChange={(v) => setRole(v as Role)}>
        <div style={{ display: 'grid', gap: 8, marginTop: 6 }}>
          {choices.map((r) => (
            <Radio key={r.value} value={r.value} label={r.value} description={r.text} />
          ))}
        </div>
      </Radio.Group>
    </FormDialog>
  );
}
