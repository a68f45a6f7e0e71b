import { TextInput } from '@mantine/core';
import { useState } from 'react';
import { FormDialog } from './FormDialog';

interface Props {
  name: string;
  busy: boolean;
  error: unknown;
  onRename: (name: string) => void;
  onClose: () => void;
}

/** Asks for the new name of a resource. */
export function RenameDialog({ name: before, busy, error, onRename, onClose }: Props) {
  const [name, setName] = useState(before);
  return (
    <FormDialog
      title={`Rename ${before}`}
      submit="Rename"
      disabled={!name.trim()}
      busy={busy}
      error={error}
      onSubmit={() => onRename(name.trim())}
      onClose={onClose}
    >
      <TextInput
        label="Name"
        value={name}
        onChange={(e) => setName(e.currentTarget.value)}
        maxLength={64}
        required
        data-autofocus
      />
    </FormDialog>
  );
}
