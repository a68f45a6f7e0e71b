import { Alert, Button, Group, PasswordInput, Textarea } from '@mantine/core';
import { useState } from 'react';
import type { Deployment } from '../../../api/deployments';

interface Props {
  of: Deployment;
  refused: { code: string; message: string } | null;
  onKey: (key: { privateKey: string; passphrase?: string }) => void;
}

/** Asks for the private half of one of the machine's keys. */
export function KeyAsk({ of: d, refused, onKey }: Props) {
  const [text, setText] = useState('');
  const [passphrase, setPassphrase] = useState('');
  const take = (files: FileList | null) => void files?.[0]?.text().then(setText);
  const names = d.sshKeys.map((k) => k.name).join(', ');
  return (
    <section className="panel" style={{ marginTop: 16, maxWidth: 760 }} aria-labelledby="key-ask">
      <div className="panel-head">
        <h2 id="key-ask">Your private key</h2>
      </div>
      <form
        className="panel-body stack"
        onSubmit={(e) => {
          e.preventDefault();
          if (text.trim()) onKey({ privateKey: text, ...(passphrase && { passphrase }) });
        }}
        onDragOver={(e) => e.preventDefault()}
        onDrop={(e) => {
          e.preventDefault();
          take(e.dataTransfer.files);
        }}
      >
        <div>
          The terminal signs in with SSH from this page, so it needs the private half of one of: <b>{names}</b>. It
          stays in this tab’s memory: it is not sent, not stored, and gone when the tab closes.
        </div>
        {refused && (
          <Alert color="red" variant="outline" role="alert" title="That did not open the machine">
            {refused.message}
            <div className="small dim mono" style={{ marginTop: 6 }}>
              {refused.code}
            </div>
          </Alert>
        )}
        <Textarea
          label="Private key"
          description="Paste it, or drop the file here (the one without .pub)"
          placeholder="-----BEGIN OPENSSH PRIVATE KEY-----"
          value={text}
          onChange={(e) => setText(e.currentTarget.value)}
          minRows={4}
          maxRows={8}
          autosize
          spellCheck={false}
          autoComplete="off"
          styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)', fontSize: '0.78rem' } }}
        />
        <PasswordInput
          label="Passphrase"
          description="Only where the key has one"
          value={passphrase}
          onChange={(e) => setPassphrase(e.currentTarget.value)}
          autoComplete="off"
          visibilityToggleButtonProps={{ 'aria-label': 'Show or hide the passphrase' }}
        />
        <Group>
          <Button type="submit" disabled={!text.trim()}>
            Open the terminal
          </Button>
          <Button component="label" variant="subtle" color="gray">
            Choose a file
            <input type="file" className="file-input" onChange={(e) => take(e.currentTarget.files)} />
          </Button>
        </Group>
      </form>
    </section>
  );
}
