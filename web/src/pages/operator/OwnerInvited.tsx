import { Alert, Button, Group, Modal } from '@mantine/core';
import type { Schema } from '../../api/client';
import { CopyField } from '../../parts/Copy';
import { Time } from '../../parts/Time';

interface Props {
  title: string;
  invitation: Schema['NewInvitation'];
  onClose: () => void;
}

/** The link of an owner's invitation, which is shown once. */
export function OwnerInvited({ title, invitation: i, onClose }: Props) {
  return (
    <Modal opened onClose={onClose} title={title} size="lg" closeOnClickOutside={false}>
      <div className="stack">
        <Alert color="amber" variant="outline">
          {i.mailed
            ? `We sent the invitation to ${i.email}. You can also share this link.`
            : `The invitation was not emailed. Copy this link and send it to ${i.email}.`}{' '}
          The link is shown once and expires <Time at={i.expiresAt} />.
        </Alert>
        <CopyField value={i.url} label="invite link" />
        <Group justify="flex-end">
          <Button onClick={onClose}>Done</Button>
        </Group>
      </div>
    </Modal>
  );
}
