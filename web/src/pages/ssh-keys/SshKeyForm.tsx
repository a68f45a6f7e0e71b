import { Alert, Button, Group, Textarea, TextInput } from '@mantine/core';
import { useState } from 'react';
import type { Schema } from '../../api/client';
import { fieldErrors, useSend } from '../../api/hooks';
import { keepKey } from '../../api/ssh';
import { CopyField } from '../../parts/Copy';
import { download } from '../../parts/download';
import { ErrorBox } from '../../parts/ErrorBox';
import { GenerateKey } from './GenerateKey';
import { parseKey } from './publicKey';

interface Props {
  onDone: (key: Schema['SSHKey']) => void;
  onCancel?: () => void;
  /** Inside another form, where a second form element is not allowed. */
  nested?: boolean;
}

/** Adds a public key: pasted, from a file, or generated. */
export function SshKeyForm({ onDone, onCancel, nested = false }: Props) {
  const [name, setName] = useState('');
  const [text, setText] = useState('');
  const [isPrivate, setIsPrivate] = useState(false);
  const [over, setOver] = useState(false);
  /** The private key of a pair that was generated here. */
  const [generated, setGenerated] = useState('');
  const add = useSend('post', '/api/v1/inventory/ssh-keys');

  const take = (raw: string) => {
    const key = parseKey(raw);
    setIsPrivate(key.kind === 'private');
    // A private key does not stay in the field.
    setText(key.kind === 'private' ? '' : raw);
    if (key.kind === 'public' && !name && key.name.length <= 64) setName(key.name);
    add.reset();
  };
  const drop = (files: FileList | null) => {
    const file = files?.[0];
    if (!file) return;
    if (file.size > 20_000) return setText('');
    void file.text().then(take);
  };
  const parsed = text.trim() ? parseKey(text) : null;
  const { at, general } = fieldErrors(add.error);
  const ready = name.trim() !== '' && parsed?.kind === 'public';
  const done = (k: Schema['SSHKey']) => {
    if (generated) keepKey(k.fingerprint, { privateKey: generated });
    onDone(k);
  };
  const save = () =>
    ready && !add.isPending && add.mutate({ body: { name: name.trim(), publicKey: text.trim() } }, { onSuccess: done });

  const content = (
    // biome-ignore lint/a11y/noStaticElementInteractions: a button below does the same
    <div
      className="stack drop"
      data-over={over || undefined}
      onDragOver={(e) => {
        e.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(e) => {
        e.preventDefault();
        setOver(false);
        drop(e.dataTransfer.files);
      }}
    >
      <Textarea
        label="Public key"
        description="Paste the key or drop the .pub file here"
        placeholder="ssh-ed25519 AAAA… you@laptop"
        value={text}
        onChange={(e) => {
          setGenerated('');
          take(e.currentTarget.value);
        }}
        error={at('publicKey') ?? (parsed?.kind === 'invalid' ? parsed.reason : undefined)}
        minRows={2}
        autosize
        spellCheck={false}
        required
        styles={{
          input: { fontFamily: 'var(--mantine-font-family-monospace)', fontSize: '0.8rem', wordBreak: 'break-all' },
        }}
      />
      {generated && (
        <Alert color="amber" variant="outline" title="Save the private key">
          The private key is only in this tab’s memory, where the web terminal uses it. Download it to log in from
          elsewhere or after you close this tab.
          <div style={{ marginTop: 8 }}>
            <Button size="compact-sm" variant="default" onClick={() => download('billet_ed25519', generated)}>
              Download private key
            </Button>
          </div>
        </Alert>
      )}
      {isPrivate && (
        <Alert color="red" variant="outline" role="alert" title="This is a private key">
          It was not sent and has been removed from this page. Use the public key: the file with the same name that ends
          in <code>.pub</code>.
        </Alert>
      )}
      <TextInput
        label="Name"
        value={name}
        onChange={(e) => setName(e.currentTarget.value)}
        error={at('name')}
        maxLength={64}
        required
        autoComplete="off"
      />
      <ErrorBox error={general} />
      {!text && !isPrivate && (
        <div className="stack">
          <GenerateKey
            onKey={(publicKey, privateKey) => {
              setGenerated(privateKey);
              take(publicKey);
              if (!name) setName('browser');
            }}
          />
          <div>
            <div className="small dim" style={{ marginBottom: 4 }}>
              No key yet? Run this command and paste its output:
            </div>
            <CopyField
              value='ssh-keygen -qt ed25519 -N "" -f ~/.ssh/id_ed25519; cat ~/.ssh/id_ed25519.pub'
              label="command"
            />
          </div>
        </div>
      )}
      <Group gap="xs">
        <Button
          type={nested ? 'button' : 'submit'}
          onClick={nested ? save : undefined}
          loading={add.isPending}
          disabled={!ready}
          variant={nested ? 'default' : 'filled'}
        >
          Add key
        </Button>
        <Button component="label" variant="subtle" color="gray">
          Choose file
          <input
            type="file"
            className="file-input"
            onChange={(e) => {
              drop(e.currentTarget.files);
              e.currentTarget.value = '';
            }}
          />
        </Button>
        {onCancel && (
          <Button variant="subtle" color="gray" onClick={onCancel}>
            Cancel
          </Button>
        )}
      </Group>
    </div>
  );
  if (nested) return content;
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        save();
      }}
    >
      {content}
    </form>
  );
}
