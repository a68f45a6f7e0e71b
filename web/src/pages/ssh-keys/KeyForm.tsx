import { Alert, Button, Group, Textarea, TextInput } from '@mantine/core';
import { useState } from 'react';
import { ApiError } from '../../api/client';
import { holdKey } from '../../api/ssh';
import { type SSHKey, useAddSshKey } from '../../api/sshKeys';
import { CopyField } from '../../parts/Copy';
import { download } from '../../parts/download';
import { ErrorBox } from '../../parts/ErrorBox';
import { Make } from './Make';
import { readKey } from './read';

interface Props {
  onDone: (key: SSHKey) => void;
  onCancel?: () => void;
  /** Inside another form, where a form of its own is not allowed. */
  nested?: boolean;
}

/** Adds a public key, pasted or from a file. */
export function KeyForm({ onDone, onCancel, nested = false }: Props) {
  const [name, setName] = useState('');
  const [text, setText] = useState('');
  const [secret, setSecret] = useState(false);
  const [over, setOver] = useState(false);
  /** The private half of a key that was made here. */
  const [made, setMade] = useState('');
  const add = useAddSshKey();

  const take = (raw: string) => {
    const read = readKey(raw);
    setSecret(read.kind === 'private');
    // A private key is not even kept in the field.
    setText(read.kind === 'private' ? '' : raw);
    if (read.kind === 'public' && !name && read.name.length <= 64) setName(read.name);
    add.reset();
  };
  const drop = (files: FileList | null) => {
    const file = files?.[0];
    if (!file) return;
    if (file.size > 20_000) return setText('');
    void file.text().then(take);
  };
  const read = text.trim() ? readKey(text) : null;
  const error = add.error instanceof ApiError ? add.error : null;
  const fault = (field: string) => error?.fields.find((f) => f.field === field)?.message;
  const ready = name.trim() !== '' && read?.kind === 'public';
  const done = (k: SSHKey) => {
    if (made) holdKey(k.fingerprint, { privateKey: made });
    onDone(k);
  };
  const save = () =>
    ready && !add.isPending && add.mutate({ name: name.trim(), publicKey: text.trim() }, { onSuccess: done });

  const content = (
    // biome-ignore lint/a11y/noStaticElementInteractions: a place to drop a file; the button below does the same
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
        description="Paste it, or drop the .pub file here"
        placeholder="ssh-ed25519 AAAA… you@laptop"
        value={text}
        onChange={(e) => {
          setMade('');
          take(e.currentTarget.value);
        }}
        error={fault('publicKey') ?? (read?.kind === 'neither' ? read.why : undefined)}
        minRows={2}
        autosize
        spellCheck={false}
        required
        styles={{
          input: { fontFamily: 'var(--mantine-font-family-monospace)', fontSize: '0.8rem', wordBreak: 'break-all' },
        }}
      />
      {made && (
        <Alert color="amber" variant="outline" title="Keep the private half">
          It is in this tab’s memory only, where the terminal uses it. Download it to log in from anywhere else, or
          after this tab is closed.
          <div style={{ marginTop: 8 }}>
            <Button size="compact-sm" variant="default" onClick={() => download('billet_ed25519', made)}>
              Download the private key
            </Button>
          </div>
        </Alert>
      )}
      {secret && (
        <Alert color="red" variant="outline" role="alert" title="That is a private key">
          It was not sent anywhere and is gone from this page. What belongs here is the public half: the file of the
          same name that ends in <code>.pub</code>.
        </Alert>
      )}
      <TextInput
        label="Name"
        value={name}
        onChange={(e) => setName(e.currentTarget.value)}
        error={fault('name')}
        maxLength={64}
        required
        autoComplete="off"
      />
      {error && error.fields.length === 0 && <ErrorBox error={error} />}
      {!text && !secret && (
        <div className="stack">
          <Make
            onMade={(publicKey, key) => {
              setMade(key);
              take(publicKey);
              if (!name) setName('browser');
            }}
          />
          <div>
            <div className="small dim" style={{ marginBottom: 4 }}>
              No key yet? Make one, then paste what the second line shows:
            </div>
            <CopyField
              value='ssh-keygen -t ed25519 -N "" -f ~/.ssh/id_ed25519 && cat ~/.ssh/id_ed25519.pub'
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
          Choose a file
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
