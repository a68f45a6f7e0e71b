import { TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { type ConfirmRequest, dismiss, useConfirmRequest } from './confirm';
import { FormDialog } from './FormDialog';

/** The one dialog that asks before an action; opened by useConfirm. */
export default function ConfirmDialog() {
  const request = useConfirmRequest();
  return request && <Ask of={request} key={request.title} />;
}

function Ask({ of: request }: { of: ConfirmRequest }) {
  const [text, setText] = useState('');
  const close = () => dismiss(request);
  const run = useMutation({ mutationFn: async (form: FormData) => request.run(form), onSuccess: close });
  return (
    <FormDialog
      title={request.title}
      submit={request.action}
      danger={request.danger}
      disabled={request.typed !== undefined && text !== request.typed}
      busy={run.isPending}
      error={run.error}
      onSubmit={run.mutate}
      onClose={close}
    >
      <div>{request.body}</div>
      {request.typed && (
        <TextInput
          label={
            <>
              Type <b>{request.typed}</b> to confirm
            </>
          }
          value={text}
          onChange={(e) => setText(e.currentTarget.value)}
          autoComplete="off"
          data-autofocus
        />
      )}
    </FormDialog>
  );
}
