import { Alert, Button, Group, Modal, Radio, TextInput } from '@mantine/core';
import { useState } from 'react';
import { ApiError } from '../../api/client';
import { useInvite } from '../../api/members';
import type { Role } from '../../api/session';
import { CopyField } from '../../parts/Copy';
import { ErrorBox } from '../../parts/ErrorBox';
import { Time } from '../../parts/Time';
import type { roles } from './roles';

/** Makes a link to pass on: this server sends no mail. */
export function InviteDialog({ roles: choices, onClose }: { roles: typeof roles; onClose: () => void }) {
  const [email, setEmail] = useState('');
  const [role, setRole] = useState<Role>('member');
  const invite = useInvite();
  const error = invite.error instanceof ApiError ? invite.error : null;
  const fault = error?.fields.find((f) => f.field === 'email')?.message;
  if (invite.data)
    return (
      <Modal opened onClose={onClose} title="The invitation is ready" size="lg" closeOnClickOutside={false}>
        <div className="stack">
          <Alert color="amber" variant="outline">
            Pass this link on yourself; it is shown this once. Whoever opens it
            {invite.data.email ? ` as ${invite.data.email}` : ''} joins as {invite.data.role}, until{' '}
            <Time at={invite.data.expiresAt} />.
          </Alert>
          <CopyField value={invite.data.url} label="invitation link" />
          <Group justify="flex-end">
            <Button onClick={onClose}>Done</Button>
          </Group>
        </div>
      </Modal>
    );
  return (
    <Modal opened onClose={onClose} title="Invite somebody">
      <form
        className="stack"
        onSubmit={(e) => {
          e.preventDefault();
          invite.mutate({ role, ...(email.trim() && { email: email.trim() }) });
        }}
      >
        <TextInput
          label="E-mail"
          description="Only this user can accept then; left empty, whoever has the link"
          type="email"
          value={email}
          onChange={(e) => setEmail(e.currentTarget.value)}
          error={fault}
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
        {!fault && <ErrorBox error={invite.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={invite.isPending}>
            Make the link
          </Button>
        </Group>
      </form>
    </Modal>
  );
}
