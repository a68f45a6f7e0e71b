import { Alert, Button, Group, Modal } from '@mantine/core';
import type { NewAPIKey } from '../../api/apiKeys';
import { CodeBlock, CopyField } from '../../parts/Copy';

/** The one time that a key is shown. Closing takes a deliberate press: a slip would lose it. */
export function Shown({ of: k, onClose }: { of: NewAPIKey; onClose: () => void }) {
  const first = `export BILLET_KEY=${k.key}\ncurl "${location.origin}/api/v1/inventory/offers?search=b200" \\\n  -H "Authorization: Bearer $BILLET_KEY"`;
  return (
    <Modal
      opened
      onClose={onClose}
      title={`${k.name} is ready`}
      size="lg"
      closeOnClickOutside={false}
      closeOnEscape={false}
      withCloseButton={false}
    >
      <div className="stack">
        <Alert color="amber" variant="outline">
          Copy it now. It is not shown again, and nobody can look it up: only a hash of it is kept.
        </Alert>
        <CopyField value={k.key} label="API key" />
        {k.scopes.includes('offers:read') && (
          <div>
            <div className="small dim" style={{ marginBottom: 6 }}>
              Try it
            </div>
            <CodeBlock value={first} label="first call" />
          </div>
        )}
        <Group justify="flex-end">
          <Button onClick={onClose}>I have it</Button>
        </Group>
      </div>
    </Modal>
  );
}
