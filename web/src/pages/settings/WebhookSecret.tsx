import { Alert, Button, Group, Modal } from '@mantine/core';
import type { Schema } from '../../api/client';
import { CopyField } from '../../parts/Copy';

/**
 * Shows a secret once. It has no other way to close than the button, so that a slip does not lose
 * the secret.
 */
export function WebhookSecret({ of: w, onClose }: { of: Schema['NewWebhook']; onClose: () => void }) {
  return (
    <Modal
      opened
      onClose={onClose}
      title="Signing secret"
      size="lg"
      closeOnClickOutside={false}
      closeOnEscape={false}
      withCloseButton={false}
    >
      <div className="stack">
        <Alert color="amber" variant="outline">
          Copy the secret now. It is not shown again.
          {w.oldSecretValidUntil && ' For 24 hours requests are also signed with the previous secret.'}
        </Alert>
        <CopyField value={w.secret} label="signing secret" />
        <div className="small dim">
          Every request is signed with this secret, by the Standard Webhooks specification. Verify the signature: anyone
          can send requests to your endpoint.
        </div>
        <Group justify="flex-end">
          <Button onClick={onClose}>Done, I've saved it</Button>
        </Group>
      </div>
    </Modal>
  );
}
