import { Button, Modal } from '@mantine/core';
import { useState } from 'react';
import type { Schema } from '../../api/client';
import { useAll, useSend, withId } from '../../api/hooks';
import { useCan } from '../../api/session';
import { CopyButton } from '../../parts/Copy';
import { useConfirm } from '../../parts/confirm';
import { EmptyState } from '../../parts/EmptyState';
import { PageHead } from '../../parts/PageHead';
import { RenameDialog } from '../../parts/RenameDialog';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import { useListRows, useSelection } from '../../parts/rows';
import { Ago } from '../../parts/Time';
import { toast } from '../../parts/toast';
import { useNew } from '../../parts/useNew';
import { SshKeyForm } from './SshKeyForm';

type SSHKey = Schema['SSHKey'];
const path = '/api/v1/inventory/ssh-keys/{id}';

export default function SshKeys() {
  const keys = useAll('/api/v1/inventory/ssh-keys');
  const write = useCan()('ssh-keys:write');
  const confirm = useConfirm();
  const [adding, { open, close }] = useNew();
  const [renaming, setRenaming] = useState<SSHKey | null>(null);
  const remove = useSend('delete', path);
  const rows = useListRows(keys, {
    sorts: { name: (k) => k.name, createdAt: (k) => k.createdAt },
    text: (k) => `${k.name} ${k.fingerprint} ${k.id}`,
  });
  const selection = useSelection(undefined, rows.search?.value);
  const add = write && <Button onClick={open}>Add SSH key</Button>;

  const askToRemove = (chosen: SSHKey[]) => {
    const what = chosen.length === 1 ? (chosen[0]?.name ?? '') : `${chosen.length} SSH keys`;
    confirm({
      title: `Remove ${what}?`,
      body: 'New machines can no longer use a removed key. Machines deployed with it still accept it.',
      action: 'Remove',
      danger: true,
      run: async () => {
        for (const k of chosen) await remove.mutateAsync(withId(k.id));
        selection.clear();
        toast(`${what} removed`);
      },
    });
  };

  return (
    <>
      <PageHead title="SSH keys" actions={(keys.data?.length ?? 0) > 0 && add}>
        SSH keys you can add to new machines.
      </PageHead>
      <ResourceTable
        label="SSH keys"
        columns={columns}
        rows={rows}
        rowKey={(k) => k.id}
        name={(k) => k.name}
        empty={
          <EmptyState
            title="No SSH keys yet"
            action={add}
            api={{
              method: 'POST',
              path: '/api/v1/inventory/ssh-keys',
              body: { name: 'my-laptop', publicKey: 'ssh-ed25519 AAAA… you@laptop' },
            }}
          >
            Add your public key to log in to your machines. The private key stays on your computer.
          </EmptyState>
        }
        selection={
          write
            ? {
                ...selection,
                label: (k) => `Select ${k.name}`,
                actions: (
                  <Button
                    size="compact-sm"
                    variant="default"
                    className="danger-button"
                    onClick={() => askToRemove(rows.loaded.filter((k) => selection.chosen.includes(k.id)))}
                  >
                    Remove selected
                  </Button>
                ),
              }
            : undefined
        }
        actions={
          write
            ? (k) => [
                { text: 'Rename', run: () => setRenaming(k) },
                { text: 'Remove', run: () => askToRemove([k]), danger: true },
              ]
            : undefined
        }
      />
      <Modal opened={adding && write} onClose={close} title="Add SSH key" size="lg">
        <SshKeyForm
          onDone={(k) => {
            close();
            toast(`${k.name} added`);
          }}
          onCancel={close}
        />
      </Modal>
      {renaming && <Rename of={renaming} onClose={() => setRenaming(null)} />}
    </>
  );
}

const columns: Column<SSHKey>[] = [
  {
    key: 'name',
    head: 'Name',
    sort: 'name',
    cell: (k) => (
      <>
        <span className="cell-main strong">{k.name}</span>
        <span className="cell-sub">{k.type}</span>
      </>
    ),
  },
  {
    key: 'fingerprint',
    head: 'Fingerprint',
    width: '46%',
    cell: (k) => (
      <span className="fingerprint">
        <span className="mono truncate">{k.fingerprint}</span>
        <CopyButton value={k.publicKey} label={`public key ${k.name}`} />
      </span>
    ),
  },
  { key: 'added', head: 'Added', sort: 'createdAt', width: '140px', cell: (k) => <Ago at={k.createdAt} /> },
];

function Rename({ of: k, onClose }: { of: SSHKey; onClose: () => void }) {
  const rename = useSend('patch', path);
  return (
    <RenameDialog
      name={k.name}
      busy={rename.isPending}
      error={rename.error}
      onRename={(name) => rename.mutate({ ...withId(k.id), body: { name } }, { onSuccess: onClose })}
      onClose={onClose}
    />
  );
}
