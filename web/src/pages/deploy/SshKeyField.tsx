import { Button, Checkbox } from '@mantine/core';
import { useState } from 'react';
import type { Schema } from '../../api/client';
import { useCan } from '../../api/session';
import { PlusIcon } from '../../app/icons';
import { ErrorBox } from '../../parts/ErrorBox';
import { SshKeyForm } from '../ssh-keys/SshKeyForm';

interface Props {
  keys: Schema['SSHKey'][];
  loadError: unknown;
  chosen: string[];
  onChange: (ids: string[]) => void;
  error?: string;
}

/**
 * The authorized SSH keys. A key can be added here, so that the first deploy needs no other page.
 */
export function SshKeyField({ keys, loadError, chosen, onChange, error }: Props) {
  const can = useCan();
  const [adding, setAdding] = useState(false);
  const open = adding || (keys.length === 0 && !loadError);
  return (
    <section className="panel" aria-labelledby="keys-head">
      <div className="panel-head">
        <h2 id="keys-head">
          SSH keys{' '}
          <span className="dim" aria-hidden="true">
            *
          </span>
        </h2>
        {!open && can('ssh-keys:write') && (
          <Button
            size="compact-sm"
            variant="default"
            leftSection={<PlusIcon width={14} />}
            onClick={() => setAdding(true)}
          >
            Add SSH key
          </Button>
        )}
      </div>
      <div className="panel-body stack">
        <ErrorBox error={loadError} />
        {keys.length > 0 && (
          <Checkbox.Group value={chosen} onChange={onChange} error={error} aria-labelledby="keys-head">
            <div className="choices">
              {keys.map((k) => (
                <Checkbox.Card key={k.id} value={k.id} className="choice" data-invalid={(error && true) || undefined}>
                  <Checkbox.Indicator size="xs" />
                  <span style={{ minWidth: 0 }}>
                    <span className="cell-main">{k.name}</span>
                    <span className="cell-sub mono">{k.fingerprint.slice(0, 22)}…</span>
                  </span>
                </Checkbox.Card>
              ))}
            </div>
          </Checkbox.Group>
        )}
        {keys.length === 0 && error && (
          <div role="alert" style={{ color: 'var(--mantine-color-error)' }} className="small">
            {error}
          </div>
        )}
        {open && can('ssh-keys:write') && (
          <SshKeyForm
            nested
            onDone={(k) => {
              setAdding(false);
              onChange([...chosen, k.id]);
            }}
            onCancel={keys.length > 0 ? () => setAdding(false) : undefined}
          />
        )}
      </div>
    </section>
  );
}
