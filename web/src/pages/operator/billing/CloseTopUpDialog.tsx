import { Textarea } from '@mantine/core';
import { useState } from 'react';
import { fieldErrors, useSend, withId } from '../../../api/hooks';
import { allTopUpsPath, type OperatorTopUp } from '../../../api/operator';
import { FormDialog } from '../../../parts/FormDialog';
import { toast } from '../../../parts/toast';

/** Ends a top-up whose money was paid and is not credited. */
export function CloseTopUpDialog({ of: t, onClose }: { of: OperatorTopUp; onClose: () => void }) {
  const close = useSend('post', `${allTopUpsPath}/{id}/close`);
  const [reason, setReason] = useState('');
  const errors = fieldErrors(close.error);
  const submit = () =>
    close.mutate(
      { ...withId(t.id), body: { reason: reason.trim() } },
      {
        onSuccess: () => {
          toast('Top-up closed');
          onClose();
        },
      },
    );
  return (
    <FormDialog
      title="Close a top-up"
      submit="Close top-up"
      danger
      disabled={!reason.trim()}
      busy={close.isPending}
      error={errors.general}
      onSubmit={submit}
      onClose={onClose}
    >
      <div>
        {t.problem} Before you close the top-up, refund the money at the processor or add it as credit. Its money is
        never credited after that. The top-up is marked as failed, and its issue is closed.
      </div>
      <Textarea
        label="Reason"
        description="The tenant reads it."
        placeholder="Paid in euros; added as credit of $98.50."
        maxLength={200}
        value={reason}
        onChange={(e) => setReason(e.currentTarget.value)}
        error={errors.at('reason')}
        required
        data-autofocus
      />
    </FormDialog>
  );
}
