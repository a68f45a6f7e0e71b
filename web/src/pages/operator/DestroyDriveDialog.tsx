import { Autocomplete, Textarea, TextInput } from '@mantine/core';
import { useState } from 'react';
import type { Schema } from '../../api/client';
import { fieldErrors, useSend, withId } from '../../api/hooks';
import { FormDialog } from '../../parts/FormDialog';
import { toast } from '../../parts/toast';

/** Declares that one drive of a machine was destroyed, so that its erasure needs it no more. */
export function DestroyDriveDialog({ of: m, onClose }: { of: Schema['Machine']; onClose: () => void }) {
  const send = useSend('post', '/api/v1/operator/machines/{id}/destroy-drive');
  const [serial, setSerial] = useState('');
  const [reason, setReason] = useState('');
  const [replacement, setReplacement] = useState('');
  const { at, general } = fieldErrors(send.error);
  const gone = new Set(m.destroyedDrives.map((d) => d.serial));
  const drives = (m.hardware?.drives ?? []).map((d) => d.serial).filter((s) => s && !gone.has(s));
  return (
    <FormDialog
      title={`Declare a drive of ${m.name} destroyed`}
      submit="Declare destroyed"
      danger
      busy={send.isPending}
      disabled={!serial.trim() || !reason.trim()}
      error={general}
      onSubmit={() =>
        send.mutate(
          {
            ...withId(m.id),
            body: {
              serial: serial.trim(),
              reason: reason.trim(),
              ...(replacement.trim() && { replacement: replacement.trim() }),
            },
          },
          {
            onSuccess: () => {
              toast(`${serial.trim()} is recorded as destroyed. Release ${m.name} to have the other drives erased.`);
              onClose();
            },
          },
        )
      }
      onClose={onClose}
    >
      <p style={{ margin: 0 }}>
        Only for a drive that you have physically destroyed: it may have a tenant’s data. The erasure no longer needs
        it, and the record that the tenant can read names it with your reason. This cannot be undone.
      </p>
      <Autocomplete
        label="Serial number"
        data={[...new Set(drives)]}
        value={serial}
        onChange={setSerial}
        error={at('serial')}
        maxLength={200}
        required
        data-autofocus
      />
      <Textarea
        label="Reason"
        placeholder="failed, and was shredded"
        value={reason}
        onChange={(e) => setReason(e.currentTarget.value)}
        error={at('reason')}
        maxLength={500}
        required
      />
      <TextInput
        label="Serial number of the new drive"
        description="If one is in its place. It is erased with the others"
        value={replacement}
        onChange={(e) => setReplacement(e.currentTarget.value)}
        error={at('replacement')}
        maxLength={200}
        autoComplete="off"
      />
    </FormDialog>
  );
}
