import { Button, Group, Modal } from '@mantine/core';
import type { ReactNode } from 'react';
import { ErrorBox } from './ErrorBox';

interface Props {
  title: string;
  children: ReactNode;
  /** The label of the button that submits. */
  submit: string;
  danger?: boolean;
  /** Nothing is left to cancel. */
  final?: boolean;
  disabled?: boolean;
  busy?: boolean;
  /** Shown above the buttons. Errors of a field belong at the field. */
  error?: unknown;
  size?: 'lg';
  onSubmit: (form: FormData) => void;
  onClose: () => void;
}

/** A form in a dialog, with Cancel and one button that submits. */
export function FormDialog(p: Props) {
  return (
    <Modal opened onClose={p.onClose} title={p.title} size={p.size}>
      <form
        className="stack"
        onSubmit={(e) => {
          e.preventDefault();
          // A dialog inside a page's form must not submit that form too.
          e.stopPropagation();
          if (!p.busy && !p.disabled) p.onSubmit(new FormData(e.currentTarget));
        }}
      >
        {p.children}
        <ErrorBox error={p.error} />
        <Group justify="flex-end">
          {!p.final && (
            <Button variant="default" onClick={p.onClose}>
              Cancel
            </Button>
          )}
          <Button type="submit" color={p.danger ? 'red.8' : undefined} loading={p.busy} disabled={p.disabled}>
            {p.submit}
          </Button>
        </Group>
      </form>
    </Modal>
  );
}
