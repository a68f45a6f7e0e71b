import { Button, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import type { Schema } from '../../api/client';
import { useAll, useSend, withId } from '../../api/hooks';
import { useSignInMethods } from '../../api/session';
import { addPasskey, isDismissed, passkeysSupported } from '../../api/webauthn';
import { useConfirm } from '../../parts/confirm';
import { FormDialog } from '../../parts/FormDialog';
import { Panel } from '../../parts/Panel';
import { RenameDialog } from '../../parts/RenameDialog';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import { useListRows } from '../../parts/rows';
import { Ago } from '../../parts/Time';
import { toast } from '../../parts/toast';

type Passkey = Schema['Passkey'];
const path = '/api/v1/account/me/passkeys/{id}';

export function Passkeys() {
  const rows = useListRows(useAll('/api/v1/account/me/passkeys'));
  const methods = useSignInMethods().data;
  const confirm = useConfirm();
  const [adding, setAdding] = useState(false);
  const [renaming, setRenaming] = useState<Passkey | null>(null);
  const remove = useSend('delete', path);
  const supported = passkeysSupported() && methods?.passkeys;
  return (
    <Panel
      title="Passkeys"
      bare
      actions={
        supported && (
          <Button size="compact-sm" variant="default" onClick={() => setAdding(true)}>
            Add passkey
          </Button>
        )
      }
    >
      <ResourceTable
        label="Passkeys"
        columns={columns}
        rows={rows}
        rowKey={(p) => p.id}
        name={(p) => p.name}
        empty={
          <div className="panel-body dim">
            {supported
              ? 'Sign in with your fingerprint, face or security key.'
              : 'Passkeys need HTTPS and a domain name (or localhost). This address has neither.'}
          </div>
        }
        actions={(p) => [
          { text: 'Rename', run: () => setRenaming(p) },
          {
            text: 'Remove',
            danger: true,
            run: () =>
              confirm({
                title: `Remove ${p.name}?`,
                body: 'You can no longer sign in with this passkey. Delete it on your device too.',
                action: 'Remove',
                danger: true,
                run: () => remove.mutateAsync(withId(p.id)),
              }),
          },
        ]}
      />
      {adding && <Add onClose={() => setAdding(false)} />}
      {renaming && <Rename of={renaming} onClose={() => setRenaming(null)} />}
    </Panel>
  );
}

const columns: Column<Passkey>[] = [
  { key: 'name', head: 'Name', cell: (p) => <span className="strong">{p.name}</span> },
  { key: 'used', head: 'Last used', width: '130px', cell: (p) => <Ago at={p.lastUsedAt} never="Never" /> },
  { key: 'added', head: 'Added', width: '130px', cell: (p) => <Ago at={p.createdAt} /> },
];

function Add({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState('');
  const add = useMutation({
    mutationFn: addPasskey,
    onSuccess: () => {
      toast('Passkey added');
      onClose();
    },
  });
  return (
    <FormDialog
      title="Add passkey"
      submit="Continue"
      disabled={!name.trim()}
      busy={add.isPending}
      error={isDismissed(add.error) ? null : add.error}
      onSubmit={() => add.mutate(name.trim())}
      onClose={onClose}
    >
      <TextInput
        label="Name"
        placeholder="This laptop"
        value={name}
        onChange={(e) => setName(e.currentTarget.value)}
        maxLength={64}
        required
        data-autofocus
      />
    </FormDialog>
  );
}

function Rename({ of: p, onClose }: { of: Passkey; onClose: () => void }) {
  const rename = useSend('patch', path);
  return (
    <RenameDialog
      name={p.name}
      busy={rename.isPending}
      error={rename.error}
      onRename={(name) => rename.mutate({ ...withId(p.id), body: { name } }, { onSuccess: onClose })}
      onClose={onClose}
    />
  );
}
