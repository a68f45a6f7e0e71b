import { Select, Textarea } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { fieldErrors } from '../../api/hooks';
import type { OperatorAccount } from '../../api/operator';
import { startView } from '../../api/session';
import { FormDialog } from '../../parts/FormDialog';

const minutes = ['10', '30', '60'];

/** Starts a read-only view of an account in this session. */
export function ViewDialog({ of: a, onClose }: { of: OperatorAccount; onClose: () => void }) {
  const navigate = useNavigate();
  const [reason, setReason] = useState('');
  const [length, setLength] = useState('30');
  const view = useMutation({
    mutationFn: () => startView(a.id, reason.replace(/\s+/g, ' ').trim(), Number(length)),
    onSuccess: () => {
      onClose();
      navigate('/overview');
    },
  });
  const { at, general } = fieldErrors(view.error);
  return (
    <FormDialog
      title={`View ${a.name} read-only`}
      submit="View account"
      disabled={!reason.trim()}
      busy={view.isPending}
      error={general}
      onSubmit={() => view.mutate()}
      onClose={onClose}
    >
      <p className="small dim">
        In all windows of this browser, you see what a viewer of the account sees. You cannot change anything until you
        leave the view. The account's audit log shows your name and the reason.
      </p>
      <Textarea
        label="Reason"
        description="Shown to the account"
        value={reason}
        maxLength={500}
        onChange={(e) => setReason(e.currentTarget.value)}
        error={at('reason')}
        required
        data-autofocus
      />
      <Select
        label="Duration"
        data={minutes.map((m) => ({ value: m, label: `${m} min` }))}
        value={length}
        onChange={(v) => v && setLength(v)}
        allowDeselect={false}
      />
    </FormDialog>
  );
}
