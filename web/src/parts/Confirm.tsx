import { Button, Group, Modal, TextInput } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { ErrorBox } from './ErrorBox';

interface Props {
  opened: boolean;
  onClose: () => void;
  title: string;
  children: ReactNode;
  /** The word on the button: what will happen, not "OK". */
  action: string;
  danger?: boolean;
  onConfirm: () => void;
  busy?: boolean;
  error?: unknown;
  /** To be typed first, for what cannot be taken back. */
  typed?: string;
  disabled?: boolean;
  extra?: ReactNode;
}

/** Asks before something is done, and stays open with the reason where it fails. */
export function Confirm(p: Props) {
  const [text, setText] = useState('');
  const ready = !p.disabled && (!p.typed || text === p.typed);
  return (
    <Modal opened={p.opened} onClose={p.onClose} title={p.title}>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          if (ready && !p.busy) p.onConfirm();
        }}
        style={{ display: 'grid', gap: 14 }}
      >
        <div>{p.children}</div>
        {p.typed && (
          <TextInput
            label={
              <>
                Type <b>{p.typed}</b> to confirm
              </>
            }
            value={text}
            onChange={(e) => setText(e.currentTarget.value)}
            autoComplete="off"
            data-autofocus
          />
        )}
        <ErrorBox error={p.error} />
        <Group justify="flex-end">
          {p.extra}
          <Button variant="default" onClick={p.onClose}>
            Cancel
          </Button>
          <Button type="submit" color={p.danger ? 'red.8' : undefined} loading={p.busy} disabled={!ready}>
            {p.action}
          </Button>
        </Group>
      </form>
    </Modal>
  );
}
