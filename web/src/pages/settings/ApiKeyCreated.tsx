import { Alert, Button, Group, Modal } from '@mantine/core';
import type { Schema } from '../../api/client';
import { CodeBlock, CopyField } from '../../parts/Copy';
import { curl } from '../../parts/curl';

/**
 * Shows a new key once. It has no other way to close than the button, so that a slip does not lose
 * the key.
 */
export function ApiKeyCreated({ of: k, onClose }: { of: Schema['NewAPIKey']; onClose: () => void }) {
  return (
    <Modal
      opened
      onClose={onClose}
      title={`API key ${k.name} created`}
      size="lg"
      closeOnClickOutside={false}
      closeOnEscape={false}
      withCloseButton={false}
    >
      <div className="stack">
        <Alert color="amber" variant="outline">
          Copy the key now. It is not shown again, and Billet keeps only a hash of it.
        </Alert>
        <CopyField value={k.key} label="API key" />
        {k.scopes.includes('offers:read') && (
          <div>
            <div className="small dim" style={{ marginBottom: 6 }}>
              Try it
            </div>
            <CodeBlock
              value={`export BILLET_API_KEY=${k.key}\n${curl('/api/v1/inventory/offers?search=b200')}`}
              label="first request"
            />
          </div>
        )}
        <Group justify="flex-end">
          <Button onClick={onClose}>Done, I've saved it</Button>
        </Group>
      </div>
    </Modal>
  );
}
