import { Button, Group, Modal, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { type Passkey, usePasskeys, useRemovePasskey, useRenamePasskey } from '../../api/members';
import { useSignInOptions } from '../../api/session';
import { addPasskey, dismissed, passkeysPossible } from '../../api/webauthn';
import { Confirm } from '../../parts/Confirm';
import { ErrorBox } from '../../parts/ErrorBox';
import { Ago } from '../../parts/Time';
import { toast } from '../../parts/toast';

export function Passkeys() {
  const passkeys = usePasskeys();
  const ways = useSignInOptions().data;
  const [adding, setAdding] = useState(false);
  const [name, setName] = useState('');
  const [renaming, setRenaming] = useState<Passkey | null>(null);
  const [removing, setRemoving] = useState<Passkey | null>(null);
  const add = useMutation({ mutationFn: addPasskey });
  const rename = useRenamePasskey();
  const remove = useRemovePasskey();
  const possible = passkeysPossible() && ways?.passkeys;
  const begin = (text: string, of: Passkey | null) => {
    setName(text);
    if (of) setRenaming(of);
    else setAdding(true);
  };
  const end = () => {
    setAdding(false);
    setRenaming(null);
    add.reset();
    rename.reset();
  };
  const save = () => {
    if (renaming) rename.mutate({ id: renaming.id, name: name.trim() }, { onSuccess: end });
    else
      add.mutate(name.trim(), {
        onSuccess: () => {
          toast('Passkey added');
          end();
        },
      });
  };
  return (
    <section className="panel" aria-labelledby="passkeys">
      <div className="panel-head">
        <h2 id="passkeys">Passkeys</h2>
        {possible && (
          <Button size="compact-sm" variant="default" onClick={() => begin('', null)}>
            Add a passkey
          </Button>
        )}
      </div>
      <div className="panel-body stack">
        {(passkeys.data ?? []).map((p) => (
          <div key={p.id} className="card-row">
            <span style={{ minWidth: 0 }}>
              <span className="cell-main strong">{p.name}</span>
              <span className="cell-sub">
                added <Ago at={p.createdAt} />, used <Ago at={p.lastUsedAt} never="never" />
              </span>
            </span>
            <Group gap={4} wrap="nowrap">
              <Button
                size="compact-sm"
                variant="subtle"
                color="gray"
                onClick={() => begin(p.name, p)}
                aria-label={`Rename ${p.name}`}
              >
                Rename
              </Button>
              <Button
                size="compact-sm"
                variant="subtle"
                color="gray"
                onClick={() => setRemoving(p)}
                aria-label={`Remove ${p.name}`}
              >
                Remove
              </Button>
            </Group>
          </div>
        ))}
        {passkeys.data?.length === 0 && (
          <div className="dim">
            {possible
              ? 'A fingerprint or a security key in place of the password and the code.'
              : 'Passkeys need a page with a name and https (or localhost); this address has neither.'}
          </div>
        )}
        <ErrorBox error={passkeys.error} />
      </div>
      <Modal
        opened={adding || renaming !== null}
        onClose={end}
        title={renaming ? `Rename ${renaming.name}` : 'Add a passkey'}
      >
        <form
          className="stack"
          onSubmit={(e) => {
            e.preventDefault();
            save();
          }}
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
          <ErrorBox error={dismissed(add.error) ? null : (add.error ?? rename.error)} />
          <Group justify="flex-end">
            <Button variant="default" onClick={end}>
              Cancel
            </Button>
            <Button type="submit" loading={add.isPending || rename.isPending} disabled={!name.trim()}>
              {renaming ? 'Rename' : 'Continue'}
            </Button>
          </Group>
        </form>
      </Modal>
      {removing && (
        <Confirm
          opened
          onClose={() => setRemoving(null)}
          title={`Remove ${removing.name}?`}
          action="Remove"
          danger
          busy={remove.isPending}
          error={remove.error}
          onConfirm={() => remove.mutate(removing.id, { onSuccess: () => setRemoving(null) })}
        >
          It no longer signs you in here. Delete it on your device, too.
        </Confirm>
      )}
    </section>
  );
}
