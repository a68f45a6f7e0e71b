import { ActionIcon, Button, Group, Menu, Modal, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useState } from 'react';
import { useCan } from '../../api/session';
import { type SSHKey, useDeleteSshKey, useRenameSshKey, useSshKeys } from '../../api/sshKeys';
import { MoreIcon } from '../../app/icons';
import { Confirm } from '../../parts/Confirm';
import { CopyButton } from '../../parts/Copy';
import { EmptyState } from '../../parts/EmptyState';
import { ErrorBox } from '../../parts/ErrorBox';
import { PageHead } from '../../parts/PageHead';
import { PageSkeleton } from '../../parts/Skeletons';
import { Ago } from '../../parts/Time';
import '../../parts/table.css';
import { toast } from '../../parts/toast';
import { KeyForm } from './KeyForm';

export default function SshKeys() {
  const keys = useSshKeys();
  const can = useCan();
  const [adding, { open, close }] = useDisclosure(false);
  const [renaming, setRenaming] = useState<SSHKey | null>(null);
  const [removing, setRemoving] = useState<SSHKey | null>(null);
  const remove = useDeleteSshKey();
  const write = can('ssh-keys:write');
  const add = (
    <Button onClick={open} disabled={!write}>
      Add a key
    </Button>
  );

  return (
    <>
      <PageHead title="SSH keys" actions={write && (keys.data?.length ?? 0) > 0 && add}>
        Public keys that may log in to machines deployed with them.
      </PageHead>
      {!keys.data ? (
        keys.isError ? (
          <ErrorBox error={keys.error} retry={() => void keys.refetch()} />
        ) : (
          <PageSkeleton />
        )
      ) : keys.data.length === 0 ? (
        <EmptyState
          title="Add the key of your computer"
          action={write && add}
          api={{
            method: 'POST',
            path: '/api/v1/inventory/ssh-keys',
            body: { name: 'my-laptop', publicKey: 'ssh-ed25519 AAAA… you@laptop' },
          }}
        >
          Machines let in whoever has the private half of a key that you add here. Only the public half is ever sent.
        </EmptyState>
      ) : (
        <section className="panel table-wrap" aria-label="SSH keys">
          <table className="plain-table">
            <thead>
              <tr>
                <th scope="col">Name</th>
                <th scope="col">Fingerprint</th>
                <th scope="col" className="wide">
                  Added
                </th>
                <th scope="col">
                  <span className="sr">Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {keys.data.map((k) => (
                <tr key={k.id}>
                  <td>
                    <span className="strong">{k.name}</span>
                    <span className="cell-sub">{k.type}</span>
                  </td>
                  <td>
                    <span className="fingerprint">
                      <span className="mono truncate">{k.fingerprint}</span>
                      <CopyButton value={k.publicKey} label={`public key ${k.name}`} />
                    </span>
                  </td>
                  <td className="wide">
                    <Ago at={k.createdAt} />
                  </td>
                  <td data-end>
                    {write && (
                      <Menu position="bottom-end">
                        <Menu.Target>
                          <ActionIcon variant="subtle" color="gray" aria-label={`Actions for ${k.name}`}>
                            <MoreIcon />
                          </ActionIcon>
                        </Menu.Target>
                        <Menu.Dropdown>
                          <Menu.Item onClick={() => setRenaming(k)}>Rename</Menu.Item>
                          <Menu.Item className="danger-button" onClick={() => setRemoving(k)}>
                            Remove
                          </Menu.Item>
                        </Menu.Dropdown>
                      </Menu>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
      <Modal opened={adding} onClose={close} title="Add a key" size="lg">
        <KeyForm
          onDone={(k) => {
            close();
            toast(`${k.name} added`);
          }}
          onCancel={close}
        />
      </Modal>
      {renaming && <Rename of={renaming} onClose={() => setRenaming(null)} />}
      {removing && (
        <Confirm
          opened
          onClose={() => {
            setRemoving(null);
            remove.reset();
          }}
          title={`Remove ${removing.name}?`}
          action="Remove"
          danger
          busy={remove.isPending}
          error={remove.error}
          onConfirm={() => remove.mutate(removing.id, { onSuccess: () => setRemoving(null) })}
        >
          Machines that were deployed with it keep letting it in; new ones can no longer be given it.
        </Confirm>
      )}
    </>
  );
}

function Rename({ of: k, onClose }: { of: SSHKey; onClose: () => void }) {
  const [name, setName] = useState(k.name);
  const rename = useRenameSshKey();
  return (
    <Modal opened onClose={onClose} title={`Rename ${k.name}`}>
      <form
        className="stack"
        onSubmit={(e) => {
          e.preventDefault();
          rename.mutate({ id: k.id, name: name.trim() }, { onSuccess: onClose });
        }}
      >
        <TextInput
          label="Name"
          value={name}
          onChange={(e) => setName(e.currentTarget.value)}
          maxLength={64}
          required
          data-autofocus
        />
        <ErrorBox error={rename.error} />
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={rename.isPending}>
            Rename
          </Button>
        </Group>
      </form>
    </Modal>
  );
}
