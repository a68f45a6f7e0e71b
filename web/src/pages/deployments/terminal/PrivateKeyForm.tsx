import { Alert, Button, Group, PasswordInput, Textarea } from '@mantine/core';
import { useState } from 'react';
import type { Deployment } from '../../../api/deployments';

interface Props {
  of: Deployment;
  refused: { code: string; message: string } | null;
  onKey: (key: { privateKey: string; passphrase?: string }) => void;
}

/** Asks for the private key of one of the deployment's SSH keys. */
export function PrivateKeyForm({ of: d, refused, onKey }: Props) {
  const [text, setText] = useState('');
  const [passphrase, setPassphrase] = useState('');
  const take = (files: FileList | null) => void files?.[0]?.text().then(setText);
  const names = d.sshKeys.map((k) => k.name).join(', ');
  return (
    <section className="panel" style={{ marginTop: 16, maxWidth: 760 }} aria-labelledby="private-key">
      <div className="panel-head">
        <h2 id="private-key">Your private key</h2>
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
          The terminal connects with SSH from this page. It needs the private key of one of: <b>{names}</b>. The key
          stays in this tab’s memory. It is never sent or stored.
        </div>
        {refused && (
          <Alert color="red" variant="outline" role="alert" title="Couldn't connect with this key">
            {refused.message}
            <div className="small dim mono" style={{ marginTop: 6 }}>
              {refused.code}
            </div>
          </Alert>
        )}
        <Textarea
          label="Private key"
          description="Paste the key or drop the file here (the one without .pub)"
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
          description="Only if the key has one"
          value={passphrase}
          onChange={(e) => setPassphrase(e.currentTarget.value)}
          autoComplete="off"
          visibilityToggleButtonProps={{ 'aria-label': 'Show or hide passphrase' }}
        />
        <Group>
          <Button type="submit" disabled={!text.trim()}>
            Open terminal
          </Button>
          <Button component="label" variant="subtle" color="gray">
            Choose file
            <input type="file" className="file-input" onChange={(e) => take(e.currentTarget.files)} />
          </Button>
        </Group>
      </form>
    </section>
  );
}
